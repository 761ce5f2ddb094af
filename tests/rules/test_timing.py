"""When tests turn by time alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules.condition import Op, Test
from engine.rules.evaluator import settle
from engine.rules.timing import next_turn, turns_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)

ages = st.sampled_from([timedelta(minutes=90), DAY, 30 * DAY])
tests = st.builds(
    Test, st.sampled_from(["contact.a", "contact.b"]), st.sampled_from([Op.WITHIN, Op.OLDER_THAN]), ages
)
moments = st.one_of(
    st.none(), st.integers(-3_000, 3_000).map(lambda minutes: NOW + timedelta(minutes=30 * minutes))
)


def test_what_does_not_ask_for_ages_never_turns() -> None:
    turns = turns_of([Test("contact.a", Op.BEFORE, NOW), Test("contact.n", Op.GTE, 3)])

    assert turns == {}
    assert next_turn(turns, {"contact.a": NOW, "contact.n": 3}, NOW) is None


def test_thirty_days_of_silence_are_over_to_the_microsecond() -> None:
    test = Test("contact.a", Op.OLDER_THAN, 30 * DAY)
    facts = {"contact.a": NOW - 29 * DAY}

    turn = next_turn(turns_of([test]), facts, NOW)

    assert turn == NOW + DAY
    assert (settle(test, facts, turn - TICK).value, settle(test, facts, turn).value) == ("false", "true")
    assert next_turn(turns_of([test]), facts, turn) is None


@settings(max_examples=200)
@given(st.lists(tests, min_size=1, max_size=4), moments, moments, st.integers(0, 10**6))
def test_nothing_turns_before_the_next_turn_and_nothing_after_the_last(
    asked: list[Test], a: datetime | None, b: datetime | None, chance: int
) -> None:
    facts = {"contact.a": a, "contact.b": b}
    turn = next_turn(turns_of(asked), facts, NOW)

    until = turn - TICK if turn is not None else NOW + 400 * DAY
    between = NOW + (until - NOW) * chance / 10**6
    for moment in (between, until):
        assert [settle(test, facts, moment) for test in asked] == [settle(test, facts, NOW) for test in asked]
    if turn is not None:
        assert turn > NOW


@given(st.lists(tests, min_size=1, max_size=4), moments)
def test_every_turn_changes_some_test(asked: list[Test], a: datetime | None) -> None:
    """So a sweep costs no more than what can change: each moment it is called for has its reason."""
    facts = {"contact.a": a}
    turn = next_turn(turns_of(asked), facts, NOW)
    if turn is not None:
        after = [settle(test, facts, turn) for test in asked]
        assert after != [settle(test, facts, turn - TICK) for test in asked]
