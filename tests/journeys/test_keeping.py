"""What runs keep of events: what is named and short, the same when it is stored and read again."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from engine.journeys.event import Event, event_facts
from engine.journeys.keeping import MOST_LABELS, as_plain, from_stored, kept_of, to_stored
from engine.rules.facts import FactValue
from engine.rules.patterns import LONGEST_TEXT

NOW = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
_values = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.lists(st.text(max_size=5), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.none(),
)


def happened(**properties: object) -> dict[str, FactValue | None]:
    return event_facts(Event("e", "said", "c", NOW, NOW, "test", properties))


@given(
    said=st.dictionaries(st.sampled_from("abcde"), _values),
    names=st.sets(st.sampled_from([*"abcdef", "type", "occurred_at"])),
)
def test_what_is_named_and_known_is_kept_through_the_store(said: dict[str, object], names: set[str]) -> None:
    facts = happened(**said)
    kept = kept_of(facts, names)

    assert kept == {name: facts[f"event.{name}"] for name in names if facts.get(f"event.{name}") is not None}
    assert from_stored(json.loads(json.dumps(to_stored(kept)))) == kept
    json.dumps(as_plain(kept))


def test_long_texts_and_lists_are_not_kept() -> None:
    longest, labels = "x" * LONGEST_TEXT, [str(number) for number in range(MOST_LABELS)]
    facts = happened(fits=longest, long=longest + "x", few=labels, many=[*labels, "more"])

    assert set(kept_of(facts, {"fits", "long", "few", "many"})) == {"fits", "few"}


def test_texts_see_moments_and_lists_as_templates_do() -> None:
    kept = kept_of(happened(tags=["b", "a"]), {"tags", "occurred_at"})

    assert as_plain(kept) == {"tags": ["a", "b"], "occurred_at": NOW.isoformat()}
