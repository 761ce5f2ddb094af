"""Dates and zones that change while somebody waits, in SQL and in virtual time: the same waits and ends."""

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
from engine.authoring.rule_tests.reading import IDENTIFY
from engine.clock import FixedClock
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.runs.service import Runs
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ContactRow, DecisionRow, IdentityRow, OutboxRow, RunRow

START = datetime(2026, 3, 1, tzinfo=UTC)
HEAD = "kind: {kind}\nid: {id}\ntitle: t\nowner: us\n"
JOURNEY = HEAD + "purpose: care\nenter: {{event: said, reentry: always}}\nsteps:\n"
FILES = {
    "wayline.yaml": HEAD.format(kind="workspace", id="default")
    + "timezone: UTC\nlocales: [en]\nidentities: [email, sms]\n"
    + "attributes: {trial_ends_at: {type: instant}}\n",
    "purposes.yaml": HEAD.format(kind="purposes", id="p")
    + 'purposes: [{id: care, title: c, version: "1", kind: transactional, max_hold: 1d}]\n',
    "events.yaml": HEAD.format(kind="events", id="e") + "events: [{id: said, title: s}]\n",
    "trial.yaml": JOURNEY.format(kind="journey", id="trial")
    + "  - {wait: a_moment, for: 1h}\n"
    + "  - {wait: the_end, until: contact.trial_ends_at}\n"
    + '  - {wait: morning, days: 2, at: "10:00", weekdays: [mon, wed, thu]}\n',
    "date.yaml": JOURNEY.format(kind="journey", id="date")
    + '  - {wait: the_end, until: contact.trial_ends_at}\n  - {wait: clock, at: "09:30"}\n'
    + "  - {wait_for: word, event: said, up_to: 3d}\n",
}
NEWS: list[dict[str, Any]] = [
    {},
    {"trial_ends_at": "2026-03-09T00:00:00+08:00"},
    {"trial_ends_at": "2026-03-02T12:00:00Z"},
    {"trial_ends_at": "2026-02-02T12:00:00Z"},
    {"trial_ends_at": None},
    {"timezone": "Asia/Shanghai"},
    {"timezone": "America/New_York"},
    {"sms": "+16502530000"},
    {"sms": "+34612345678"},
    {"timezone": "Pacific/Kiritimati", "trial_ends_at": "2026-03-05T01:00:00Z"},
]
Life = list[tuple[str, int, dict[str, Any]]]
lives = st.lists(
    st.tuples(st.sampled_from(["said", IDENTIFY, IDENTIFY]), st.integers(0, 40), st.sampled_from(NEWS)),
    min_size=1,
    max_size=9,
)
Story = list[tuple[Any, ...]]


@cache
def the_bundle() -> Bundle:
    return bundle_of(FILES)


@settings(max_examples=25)
@given(life=lives)
def test_sql_and_virtual_time_move_the_same_waits(life: Life, _sqlite_template: Path) -> None:
    in_memory = asyncio.run(live_in_memory(life))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            assert live_in_sql(store, life) == in_memory


def test_a_postponed_date_keeps_waiting_and_a_brought_forward_one_comes_sooner(
    _sqlite_template: Path,
) -> None:
    late, soon = {"trial_ends_at": "2026-03-09T00:00:00Z"}, {"trial_ends_at": "2026-03-04T06:00:00Z"}
    story = asyncio.run(live_in_memory([("said", 0, late), (IDENTIFY, 72, soon)]))
    moved = [(at, kept[-1]) for at, kind, _, kept in story if kind == "wait"]
    assert moved == [(START + timedelta(days=3), "2026-03-04T06:00:00+00:00")] * 2
    ended = [at for at, kind, reason, _ in story if (kind, reason) == ("run", "run.completed")]
    assert ended == [datetime(2026, 3, 7, 9, 30, tzinfo=UTC), datetime(2026, 3, 9, 10, tzinfo=UTC)]


async def live_in_memory(life: Life) -> Story:
    world = VirtualWorld(the_bundle(), START)
    world.add(Person("ann"))
    at = START
    for event, pause, traits in life:
        at += timedelta(hours=pause)
        world.feed("ann", event, at, traits=traits)
    await world.run_until(at + timedelta(days=30))
    world.close()
    return sorted((each.at, each.kind, each.reason, _kept(each.evidence)) for each in world.decisions)


def live_in_sql(store: Store, life: Life) -> Story:
    clock, shelf = FixedClock(START), BundleShelf()
    nothing_to_deliver: Any = None
    runs = Runs(store, shelf, nothing_to_deliver, clock)
    intake = Intake(store, shelf, runs, clock)
    with store.begin() as session:
        publish(session, FILES, by="test", now=START)
        session.add(ContactRow(id="ann", created_at=START))
        session.add(IdentityRow(platform="user", address="ann", contact_id="ann", added_at=START))
    at = START
    for number, (event, pause, traits) in enumerate(life):
        at += timedelta(hours=pause)
        _sleep(store, runs, clock, at - timedelta(microseconds=1))
        clock.moment = at
        came = IncomingEvent(f"m{number}", event, (("user", "ann"),), traits=traits, occurred_at=at)
        receipt = intake.accept([came], source="test")
        assert receipt.accepted == 1
        for run_id in receipt.run_ids:
            asyncio.run(runs.carry(run_id))
        _woken(store, runs)
    _sleep(store, runs, clock, at + timedelta(days=30))
    with store.read() as session:
        rows = list(session.scalars(select(DecisionRow).order_by(col(DecisionRow.id))))
    shelf.close()
    return sorted((row.at, row.kind, row.reason, _kept(row.evidence)) for row in rows)


def _kept(evidence: Any) -> tuple[str, ...]:
    """What both tell of a wait that has moved: the step, the moment that was, and the one that is."""
    return tuple(evidence[name] for name in ("step", "was", "until") if name in evidence)


def _sleep(store: Store, runs: Runs, clock: FixedClock, until: datetime) -> None:
    """Carry every run at the moment that its row says, as its workflow would."""
    while True:
        with store.read() as session:
            query = select(RunRow).where(col(RunRow.ended_at).is_(None), col(RunRow.due_at) <= until)
            due = session.scalars(query.order_by(col(RunRow.due_at), col(RunRow.journey)).limit(1)).first()
        if due is None:
            return
        assert due.due_at is not None, "it was asked for"
        clock.moment = max(clock.moment, due.due_at)
        asyncio.run(runs.carry(due.id, durable=True))


def _woken(store: Store, runs: Runs) -> None:
    """Carry whom an errand tells to look at their rows, as the dispatcher does through their workflows."""
    with store.begin() as session:
        errands = list(session.scalars(select(OutboxRow).where(col(OutboxRow.kind) == "run.signal")))
        keys = [errand.key for errand in errands]
        for errand in errands:
            session.delete(errand)
    for run_id in keys:
        asyncio.run(runs.carry(run_id, durable=True))
