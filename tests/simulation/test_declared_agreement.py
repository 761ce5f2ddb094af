"""Facts and event types of plugins decide the same in SQL and in virtual time, and in tests of rulesets."""

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
from engine.authoring.loading import load_files
from engine.clock import FixedClock
from engine.contacts.profile import contact_facts
from engine.contacts.rows import profile_of
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.intake.segment import IDENTIFY
from engine.plugin.registry import load_registry
from engine.runs.service import Runs
from engine.simulation.people import Person
from engine.simulation.testing import run_tests
from engine.simulation.virtual import VirtualWorld
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ContactRow, DeadLetterRow, DecisionRow, IdentityRow
from tests.authoring.test_declared import FILES, HEAD, Ages

START = datetime(2026, 3, 1, tzinfo=UTC)
ALL = {
    **FILES,
    # Nothing happens here by time alone.
    "visit.yaml": FILES["visit.yaml"].replace("for: 1d", "for: 365d"),
    "greet.yaml": HEAD.format(kind="journey", id="greet")
    + "purpose: care\nenter: {event: shop_visited, reentry: always, when: {contact.tags: {has: young}}}\n"
    + "leave: [{when: {contact.generation: old}}]\nsteps: [{wait: long, for: 365d}]\n",
}
REGISTRY = load_registry(entry_points=False, extra=[Ages()])
TRAITS: list[dict[str, Any]] = [{}, {"birth_year": 1999}, {"birth_year": 1950}, {"birth_year": None}]

lives = st.lists(
    st.tuples(
        st.sampled_from(["shop_visited", IDENTIFY]),
        st.integers(0, 30),
        st.sampled_from(TRAITS),
        st.sampled_from([1, 9]),
    ),
    min_size=1,
    max_size=8,
)
Life = list[tuple[str, int, dict[str, Any], int]]


@cache
def the_bundle() -> Bundle:
    bundle = load_files(ALL, declared_by=REGISTRY).bundle
    assert bundle is not None
    return bundle


@settings(max_examples=15, deadline=None)
@given(life=lives)
def test_sql_and_virtual_time_make_the_same_of_plugins_facts(life: Life, _sqlite_template: Path) -> None:
    in_memory = asyncio.run(live_in_memory(life))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            assert live_in_sql(store, life) == in_memory


async def live_in_memory(life: Life) -> tuple[list[Any], list[Any]]:
    world = VirtualWorld(the_bundle(), START)
    world.add(Person("ann"))
    at, facts = START, []
    for event, pause, traits, minutes in life:
        at += timedelta(hours=pause)
        world.feed("ann", event, at, {"minutes": minutes}, traits=traits)
        await world.run_until(at)
        facts.append(world.facts("ann"))
    world.close()
    return [(each.at, each.kind, each.verdict, each.reason) for each in world.decisions], facts


def live_in_sql(store: Store, life: Life) -> tuple[list[Any], list[Any]]:
    clock, shelf, facts = FixedClock(START), BundleShelf(knowing=REGISTRY.knowing), []
    nothing_to_deliver: Any = None
    runs = Runs(store, shelf, nothing_to_deliver, clock)
    intake = Intake(store, shelf, runs, clock)
    with store.begin() as session:
        publish(session, the_bundle().files, by="test", now=START)
        session.add(ContactRow(id="ann", created_at=START))
        session.add(IdentityRow(platform="user", address="ann", contact_id="ann", added_at=START))
    for number, (event, pause, traits, minutes) in enumerate(life):
        clock.advance(timedelta(hours=pause))
        came = IncomingEvent(
            f"m{number}", event, (("user", "ann"),), {"minutes": minutes}, traits, occurred_at=clock.moment
        )
        receipt = intake.accept([came], source="test")
        assert receipt.accepted == 1
        for run_id in receipt.run_ids:
            asyncio.run(runs.carry(run_id))
        with store.read() as session:
            bundle = shelf.live(session)
            facts.append(contact_facts(profile_of(session.get_one(ContactRow, "ann")), bundle, clock.moment))
    with store.read() as session:
        rows = list(session.scalars(select(DecisionRow).order_by(col(DecisionRow.id))))
    shelf.close()
    return [(row.at, row.kind, row.verdict, row.reason) for row in rows], facts


def test_an_event_that_does_not_fit_its_plugins_schema_is_a_dead_letter(store: Store) -> None:
    clock, shelf = FixedClock(START), BundleShelf(knowing=REGISTRY.knowing)
    nothing_to_deliver: Any = None
    intake = Intake(store, shelf, Runs(store, shelf, nothing_to_deliver, clock), clock)
    with store.begin() as session:
        publish(session, ALL, by="test", now=START, registry=REGISTRY)
    who = (("user", "ann"),)
    events = [
        IncomingEvent(f"m{n}", "shop_visited", who, {"minutes": said}) for n, said in enumerate((5, "five"))
    ]
    receipt = intake.accept(events, source="test")
    assert (receipt.accepted, receipt.dead) == (1, 1)
    with store.read() as session:
        (dead,) = session.scalars(select(DeadLetterRow))
    assert "properties.minutes: wanted number" in dead.message
    shelf.close()


async def test_tests_of_rulesets_see_what_plugins_know() -> None:
    suite = """
ruleset: [tags.yaml]
start: "2026-03-01T09:00:00+08:00"
until: 1d
tests:
  - name: by their year
    contacts: {zoe: {attributes: {birth_year: 1999}}, max: {attributes: {birth_year: 1950}}, kim: {}}
    events:
      - {at: 0d, event: shop_visited, contact: zoe, properties: {minutes: 5}}
      - {at: 0d, event: shop_visited, contact: max, properties: {minutes: 5}}
      - {at: 0d, event: shop_visited, contact: kim, properties: {minutes: 5}}
    expect:
      - {at: 1h, facts: {contact.generation: young, contact.tags: {has: young}}, contact: zoe}
      - {at: 1h, facts: {contact.generation: old, contact.tags: {lacks: young}}, contact: max}
      - {at: 1h, facts: {contact.generation: {exists: false}}, contact: kim}
"""
    loaded = load_files({**ALL, "tags.test.yaml": suite}, declared_by=REGISTRY)
    assert loaded.bundle is not None, loaded.problems
    report = await run_tests(loaded.bundle)
    assert [result.failures for result in report.results] == [()]
