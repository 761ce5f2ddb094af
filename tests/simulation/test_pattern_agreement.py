"""Patterns and counts in SQL and in virtual time: the same entries, refusals and facts, also out of order."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.clock import FixedClock
from engine.contacts.profile import contact_facts
from engine.contacts.rows import profile_of
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.runs.service import Runs
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ContactRow, DecisionRow

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HEAD = "kind: {kind}\nid: {id}\ntitle: t\nowner: us\n"
JOURNEY = (
    HEAD + "purpose: care\nenter:\n  pattern:\n{pattern}  reentry: {{once_per: event.nr}}\n"
    "steps: [{{wait: long, for: 365d}}]\n"
)
SCHEMA = "{type: object, properties: {nr: {type: string}, mood: {type: string}, price: {type: number}}}"
FILES = {
    "wayline.yaml": HEAD.format(kind="workspace", id="default")
    + "timezone: UTC\nlocales: [en]\nidentities: [email]\nlate_after: 2d\n",
    "purposes.yaml": HEAD.format(kind="purposes", id="p")
    + 'purposes: [{id: care, title: c, version: "1", kind: transactional, max_hold: 1d}]\n',
    "events.yaml": HEAD.format(kind="events", id="e")
    + f"events: [{{id: said, title: s, schema: {SCHEMA}}}, {{id: paid, title: p, schema: {SCHEMA}}}]\n",
    "tags.yaml": HEAD.format(kind="tags", id="t")
    + "counts:\n"
    + "  - {id: words_1d, of: {event: said, when: {event.mood: bad}}, within: 1d}\n"
    + "  - {id: spend_3d, sum: price, of: {event: paid}, within: 3d}\n"
    + "  - {id: active_2d, of: {activity: true}, within: 2d}\n"
    + "tags: [{tag: busy, level: behaviour, when: {contact.active_2d: {gte: 3}}}]\n",
    "row.yaml": JOURNEY.format(
        kind="journey",
        id="row",
        pattern="    count: {event: said, when: {event.mood: bad}}\n"
        "    at_least: 2\n    in_a_row: true\n    within: 24h\n",
    ),
    "dearer.yaml": JOURNEY.format(
        kind="journey",
        id="dearer",
        pattern="    sequence:\n      - {event: paid, as: one}\n      - {event: said}\n"
        "      - {event: paid, as: two, when: {two.price: {gt: {fact: one.price}}}}\n    within: 2d\n",
    ),
}
FACTS = ("contact.words_1d", "contact.spend_3d", "contact.active_2d", "contact.tags")
Life = list[tuple[str, int, int, str, int]]

lives = st.lists(
    st.tuples(
        st.sampled_from(["said", "paid"]),
        st.sampled_from([0, 1, 5, 20]),
        st.sampled_from([0, 0, 0, 2, 30, 60]),
        st.sampled_from(["bad", "bad", "fine"]),
        st.sampled_from([5, 10, 20]),
    ),
    min_size=1,
    max_size=12,
)


@cache
def the_bundle() -> Bundle:
    return bundle_of(FILES)


@settings(max_examples=20)
@given(life=lives)
def test_sql_and_virtual_time_recognise_and_count_the_same(life: Life, _sqlite_template: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            in_sql = live_in_sql(store, life)
    assert in_sql == asyncio.run(live_in_memory(life))


async def live_in_memory(life: Life) -> tuple[list[Any], list[Any]]:
    world = VirtualWorld(the_bundle(), START)
    world.add(Person("ann"))
    at, facts = START, []
    for number, (event, pause, age, mood, price) in enumerate(life):
        at += pause * HOUR
        properties = {"nr": str(number), "mood": mood, "price": price}
        world.feed("ann", event, at, properties, age=age * HOUR)
        await world.run_until(at)
        facts.append([world.facts("ann")[name] for name in FACTS])
    world.close()
    return [(each.at, each.journey, each.verdict, each.reason) for each in world.decisions], facts


def live_in_sql(store: Store, life: Life) -> tuple[list[Any], list[Any]]:
    clock, shelf, bundle = FixedClock(START), BundleShelf(), the_bundle()
    nothing_to_deliver: Any = None
    intake = Intake(store, shelf, Runs(store, shelf, nothing_to_deliver, clock), clock)
    with store.begin() as session:
        publish(session, FILES, by="test", now=START)
        session.add(ContactRow(id="ann", created_at=START))
    facts = []
    for number, (event, pause, age, mood, price) in enumerate(life):
        clock.moment += pause * HOUR
        properties = {"nr": str(number), "mood": mood, "price": price}
        came = IncomingEvent(
            f"m{number}", event, (), properties, occurred_at=clock.moment - age * HOUR, contact_id="ann"
        )
        assert intake.accept([came], source="test").accepted == 1
        with store.read() as session:
            known = contact_facts(profile_of(session.get_one(ContactRow, "ann")), bundle, clock.moment)
            facts.append([known[name] for name in FACTS])
    with store.read() as session:
        rows = list(session.scalars(select(DecisionRow).order_by(col(DecisionRow.id))))
    shelf.close()
    return [(row.at, row.journey, row.verdict, row.reason) for row in rows], facts
