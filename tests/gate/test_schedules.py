"""Caps hold under any interleaving: made-up schedules against books of our own, in memory and in SQL."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.clock import JourneyTime
from engine.contacts.consent import ConsentEntry, record_consent
from engine.delivery.gate_rules import gate_rules
from engine.delivery.gate_state import SqlGateState
from engine.delivery.intents import plan
from engine.gate.consent import ConsentRecord
from engine.gate.model import Cap, Intent
from engine.gate.state import GateState, Identity, Standing
from engine.governance.publishing import publish
from engine.simulation.gate_state import MemoryGateState
from engine.simulation.sight import Addressee
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import CapPlaceRow, ContactRow, IdentityRow
from tests.gate.schedules import FILES, LEASE, PAUSES, RESULTS, START, ZONE, World, live

SCHEDULES = int(os.environ.get("WAYLINE_SCHEDULES", "1000000"))
"""How many the long test lives through."""
IDENTITIES = (Identity("app", "ann-app"), Identity("email", "ann-email"))


@cache
def bundle() -> Bundle:
    return bundle_of({name: textwrap.dedent(text) for name, text in FILES.items()})


class MemoryBench:
    """The gate's memory of virtual time."""

    def __init__(self) -> None:
        rules = gate_rules(bundle())
        grant = ConsentRecord("marketing", "*", "granted", START)
        person = Addressee(Standing(timezone=ZONE), IDENTITIES, (grant,))
        self.memory = MemoryGateState(rules, lambda _: person, lease=LEASE, time=JourneyTime(START, START))
        self.state: GateState = self.memory
        self.caps: Sequence[Cap] = rules.caps

    def plan(self, intent: Intent) -> None:
        self.memory.plan(intent)

    def held_places(self) -> set[str]:
        return {key for key in self.memory.wishes if self.memory.places_of(key)}


class SqlBench:
    """The gate's memory in a database; one contact, one history."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.shelf = BundleShelf()
        with store.begin() as session:
            publish(session, dict(bundle().files), by="test", now=START)
            session.add(ContactRow(id="ann", created_at=START, timezone=ZONE))
            for each in IDENTITIES:
                row = IdentityRow(
                    platform=each.platform, address=each.address, contact_id="ann", added_at=START
                )
                session.add(row)
            record_consent(session, ConsentEntry("ann", "marketing", "granted", START))
        self.state: GateState = SqlGateState(store, self.shelf, lease=LEASE)
        self.caps: Sequence[Cap] = bundle().caps

    def plan(self, intent: Intent) -> None:
        with self.store.begin() as session:
            # Long ago: nobody else is kept from taking it up.
            plan(session, intent, now=intent.created_at - timedelta(minutes=5))

    def held_places(self) -> set[str]:
        query = select(col(CapPlaceRow.intent_key)).where(col(CapPlaceRow.state) != "released")
        with self.store.read() as session:
            return set(session.scalars(query))


def judge_of(world: World, seed: int) -> None:
    """No cap was ever over-run, and no place is held that nothing was sent for, or the other way round."""
    assert world.over_runs == 0, f"seed {seed}"
    assert world.leaks() == [], f"seed {seed}"


class Schedules(RuleBasedStateMachine):
    """Hypothesis makes the schedules up, and tells the shortest that breaks the books."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(MemoryBench())

    @rule(
        priority=st.sampled_from([20, 50, 80]),
        content=st.sampled_from(["hello", "gift"]),
        purpose=st.sampled_from(["marketing", "service"]),
        channels=st.sampled_from([("email",), ("app",), ("email", "app"), ("app", "email")]),
    )
    def plan(self, priority: int, content: str, purpose: str, channels: tuple[str, ...]) -> None:
        self.world.plan(priority, content, purpose, channels)

    @rule(pause=st.sampled_from(PAUSES))
    def pass_time(self, pause: timedelta) -> None:
        self.world.pass_time(pause)

    @rule(data=st.data())
    @precondition(lambda self: self.world.planned)
    def claim(self, data: st.DataObject) -> None:
        self.world.claim(data.draw(st.sampled_from([each.key for each in self.world.planned])))

    @rule(data=st.data(), at_once=st.booleans(), result=st.sampled_from(sorted(set(RESULTS))))
    @precondition(lambda self: self.world.working)
    def go_on(self, data: st.DataObject, at_once: bool, result: str) -> None:
        self.world.go_on(data.draw(st.sampled_from(sorted(self.world.working))), at_once, result)

    @rule(data=st.data())
    @precondition(lambda self: self.world.working)
    def renew(self, data: st.DataObject) -> None:
        self.world.renew(data.draw(st.sampled_from(sorted(self.world.working))))

    @rule(data=st.data())
    @precondition(lambda self: self.world.working)
    def die(self, data: st.DataObject) -> None:
        self.world.die(data.draw(st.sampled_from(sorted(self.world.working))))

    @invariant()
    def no_cap_is_over_run(self) -> None:
        assert self.world.over_runs == 0

    @invariant()
    def whatever_was_sent_holds_its_places(self) -> None:
        counted = {
            key
            for key, sent in self.world.sent.items()
            if sent.channel == "app" or sent.intent.purpose == "marketing"
        }
        assert counted <= self.world.bench.held_places()

    def teardown(self) -> None:
        self.world.settle_down()
        assert self.world.leaks() == []


Schedules.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSchedules = Schedules.TestCase


@pytest.mark.parametrize("seed", range(0, 1000, 250))
def test_no_made_up_schedule_over_runs_a_cap_or_leaks_a_place(seed: int) -> None:
    for each in range(seed, seed + 250):
        judge_of(live(MemoryBench(), each), each)


@pytest.mark.parametrize("seed", range(8))
def test_nor_does_any_in_sql(seed: int, store: Store) -> None:
    bench = SqlBench(store)
    try:
        judge_of(live(bench, seed, steps=80), seed)
    finally:
        bench.shelf.close()


@pytest.mark.long
def test_no_schedule_of_very_many_does() -> None:
    for seed in range(SCHEDULES):
        judge_of(live(MemoryBench(), seed), seed)


@pytest.mark.long
def test_nor_does_any_of_many_in_sql(_sqlite_template: Path, tmp_path: Path) -> None:
    for seed in range(max(1, SCHEDULES // 2000)):
        path = tmp_path / f"{seed}.db"
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            bench = SqlBench(store)
            judge_of(live(bench, seed, steps=80), seed)
            bench.shelf.close()
        path.unlink()
