"""Patterns and windowed counts in intake: completed in the event's transaction, rebuilt from the events."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, select, update
from sqlmodel import col

from engine.authoring.loading import bundle_of
from engine.clock import FixedClock
from engine.contacts.profile import contact_facts
from engine.contacts.rows import profile_of
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.segment import translate
from engine.runs.service import Runs
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ContactRow, DecisionRow, IdentityRow, PatternRow, RunRow

NOW = datetime(2026, 3, 1, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOTHING_TO_DELIVER: Any = None

FILES = {
    "wayline.yaml": """\
kind: workspace
id: here
title: Here
owner: tests
timezone: UTC
locales: [en]
identities: [email]
late_after: 7d
""",
    "purposes.yaml": """\
kind: purposes
id: purposes
title: Purposes
owner: tests
purposes: [{id: care, title: Care, version: "1", kind: transactional, max_hold: 1d}]
""",
    "events.yaml": """\
kind: events
id: events
title: Events
owner: tests
events:
  - id: said
    title: Said
    schema: {type: object, properties: {mood: {type: string}}}
  - id: paid
    title: Paid
    effect: order
    schema: {type: object, properties: {amount: {type: number}, product: {type: string}}}
  - id: viewed
    title: Viewed
    schema: {type: object, properties: {product: {type: string}}}
""",
    "tags.yaml": """\
kind: tags
id: tags
title: Tags
owner: tests
counts:
  - {id: orders_30d, of: {event: paid}, within: 30d}
  - {id: spend_30d, sum: amount, of: {event: paid, when: {event.amount: {gte: 10}}}, within: 30d}
  - {id: active_7d, of: {activity: true}, within: 7d}
tags:
  - {tag: eager, level: behaviour, when: {contact.active_7d: {gte: 3}}}
""",
    "soothe.yaml": """\
kind: journey
id: soothe
title: Soothe
owner: tests
purpose: care
enter:
  pattern:
    count: {event: said, when: {event.mood: bad}}
    at_least: 3
    in_a_row: true
    within: 24h
  when: {contact.tags: {lacks: employee}}
  reentry: always
steps: [{wait: pause, for: 1h}]
""",
    "follow.yaml": """\
kind: journey
id: follow
title: Follow
owner: tests
purpose: care
enter:
  pattern:
    sequence:
      - {event: viewed, as: seen}
      - {event: paid, as: bought, when: {bought.product: {fact: seen.product}}}
    within: 2h
  reentry: always
steps: [{wait: pause, for: 1h}]
""",
}


@pytest.fixture
def here(unpublished: Any) -> Any:
    """A bench with the workspace above in force."""
    with unpublished.store.begin() as session:
        publish(session, FILES, by="test", now=unpublished.clock.now())
    return unpublished


def said(bench: Any, id_: str, mood: str, **more: Any) -> Any:
    return track(bench, id_, "said", {"mood": mood}, **more)


def track(
    bench: Any, id_: str, kind: str, properties: Mapping[str, Any], *, ago: timedelta = 0 * HOUR
) -> Any:
    return {
        "type": "track",
        "event": kind,
        "messageId": id_,
        "userId": "ann",
        "properties": properties,
        "timestamp": (bench.clock.now() - ago).isoformat(),
    }


def entered(bench: Any) -> list[str]:
    return sorted(row.journey for row in bench.all(RunRow))


def test_three_bad_words_in_a_row_start_the_journey(here: Any) -> None:
    here.accept(said(here, "m1", "bad"), said(here, "m2", "bad"))
    assert entered(here) == []

    here.accept(said(here, "m3", "bad"))
    assert entered(here) == ["soothe"]


def test_a_good_word_between_them_breaks_the_row(here: Any) -> None:
    moods = ["bad", "bad", "fine", "bad"]
    here.accept(*(said(here, f"m{number}", mood) for number, mood in enumerate(moods)))

    assert entered(here) == []


def test_a_refusal_tells_how_far_the_count_has_come(here: Any) -> None:
    here.accept(said(here, "m1", "bad"), said(here, "m2", "bad"))

    told = [row.evidence for row in here.all(DecisionRow) if row.journey == "soothe"]
    assert "soothe 2/3" in str(told[-1])


def test_one_batch_may_bring_the_events_in_any_order(here: Any) -> None:
    here.accept(
        track(here, "p", "paid", {"amount": 5, "product": "tea"}),
        track(here, "v", "viewed", {"product": "tea"}, ago=HOUR),
    )

    assert entered(here) == ["follow"]


def test_what_was_paid_must_be_what_was_seen(here: Any) -> None:
    here.accept(track(here, "v", "viewed", {"product": "tea"}, ago=HOUR))
    here.accept(track(here, "p", "paid", {"amount": 5, "product": "cups"}))
    assert entered(here) == []

    here.accept(track(here, "q", "paid", {"amount": 5, "product": "tea"}))
    assert entered(here) == ["follow"]


def test_a_pattern_completed_too_late_is_refused_as_late(here: Any) -> None:
    here.clock.moment += 30 * 24 * HOUR
    here.accept(*(said(here, f"m{number}", "bad", ago=(7 * 24 + 2) * HOUR) for number in range(3)))

    assert entered(here) == []
    assert [row.reason for row in here.all(DecisionRow) if row.journey == "soothe"][-1] == "entry.late"


def test_the_condition_beside_the_pattern_asks_about_the_contact(here: Any) -> None:
    employee = {"type": "identify", "messageId": "i", "userId": "ann", "traits": {"tags": ["employee"]}}
    here.accept(employee, *(said(here, f"m{number}", "bad") for number in range(3)))

    assert entered(here) == []


def test_a_pattern_that_changes_is_rebuilt_from_what_happened_before(here: Any) -> None:
    here.accept(said(here, "m1", "bad"), said(here, "m2", "bad"))
    sooner = {**FILES, "soothe.yaml": FILES["soothe.yaml"].replace("within: 24h", "within: 48h")}
    with here.store.begin() as session:
        publish(session, sooner, by="test", now=here.clock.now())
    here.clock.moment += 30 * HOUR

    here.accept(said(here, "m3", "bad"))
    assert entered(here) == ["soothe"]


def test_a_count_that_changes_is_counted_anew_for_the_next_event(here: Any) -> None:
    here.accept(track(here, "p1", "paid", {"amount": 20}))
    here.clock.moment += 40 * 24 * HOUR
    longer = {**FILES, "tags.yaml": FILES["tags.yaml"].replace("within: 30d", "within: 60d")}
    with here.store.begin() as session:
        publish(session, longer, by="test", now=here.clock.now())
    here.accept(track(here, "p2", "paid", {"amount": 30}))

    facts = contact_facts(profile_of(here.one(ContactRow)), bundle_of(longer), here.clock.now())
    assert (facts["contact.orders_30d"], facts["contact.spend_30d"]) == (2, 50)


def test_patterns_cost_a_batch_the_same_statements_whatever_its_size(here: Any) -> None:
    here.accept(said(here, "m0", "bad"))
    counts = []
    for size in (2, 40):
        statements: list[str] = []
        engine = here.store.engine

        def note(*about: Any, into: list[str] = statements) -> None:
            into.append(about[2])

        event.listen(engine, "before_cursor_execute", note)
        here.accept(*(said(here, f"s{size}-{number}", "fine") for number in range(size)))
        event.remove(engine, "before_cursor_execute", note)
        counts.append(len(statements))
    assert counts[0] == counts[1]


LIFE = st.lists(
    st.tuples(
        st.sampled_from(["said", "paid", "viewed"]),
        st.sampled_from([0, 0, 1, 30]),
        st.sampled_from([0, 0, 0, 1, 2, 40, 200]),
        st.sampled_from(["bad", "bad", "bad", "tea"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=12)
@given(life=LIFE, lost_before=st.sets(st.integers(0, 11)))
def test_state_rebuilt_from_the_event_store_is_the_state_that_was_lost(
    life: list[tuple[str, int, int, str]], lost_before: set[int], _sqlite_template: Path, shelf: BundleShelf
) -> None:
    """Two people live the same; of one the state is lost now and then."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            ann, eve = live_twice(store, shelf, life, lost_before)
    assert ann == eve


def live_twice(
    store: Store, shelf: BundleShelf, life: list[tuple[str, int, int, str]], lost_before: set[int]
) -> list[tuple[Any, ...]]:
    clock = FixedClock(NOW)
    with store.begin() as session:
        publish(session, FILES, by="test", now=NOW)
    intake = Intake(store, shelf, Runs(store, shelf, NOTHING_TO_DELIVER, clock), clock)
    names = {"ann": "", "eve": ""}
    for number, (kind, pause, age, word) in enumerate(life):
        clock.moment += pause * HOUR
        if number in lost_before and names["ann"]:
            with store.begin() as session:
                session.execute(delete(PatternRow).where(col(PatternRow.id) == names["ann"]))
                lost = update(ContactRow).where(col(ContactRow.id) == names["ann"]).values(counts={})
                session.execute(lost)
        for name in names:
            message = {
                "type": "track",
                "event": kind,
                "messageId": f"{name}-{number}",
                "userId": name,
                "properties": {"mood": word, "product": word, "amount": age},
                "timestamp": (clock.now() - age * HOUR).isoformat(),
            }
            assert intake.accept([translate(message)], source="test").accepted == 1
        with store.read() as session:
            owners = session.execute(select(col(IdentityRow.address), col(IdentityRow.contact_id)))
            names = {address: contact_id for address, contact_id in owners.all()}  # noqa: C416
    return [state_of(store, names[name], clock.now()) for name in ("ann", "eve")]


def state_of(store: Store, contact_id: str, now: datetime) -> tuple[Any, ...]:
    """Everything that is kept, the numbers of events aside, which differ between two people."""
    bundle = bundle_of(FILES)
    with store.read() as session:
        contact = session.get_one(ContactRow, contact_id)
        row = session.get(PatternRow, contact_id)
        runs = session.scalars(select(col(RunRow.journey)).where(col(RunRow.contact_id) == contact_id))
        facts = contact_facts(profile_of(contact), bundle, now)
        counts = {name: facts[f"contact.{name}"] for name in ("orders_30d", "spend_30d", "active_7d")}
        pasts = {} if row is None else row.pasts
        kept = {
            name: [(at, fits, says) for at, _, fits, *says in past.get("kept", ())]
            for name, past in pasts.items()
        }
        return counts, contact.derived_tags, kept, sorted(runs)
