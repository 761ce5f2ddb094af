"""Tasks for people in SQL and in virtual time: the same tasks, ways and ends, whoever answers when."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
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
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.runs.deciding import TaskClosedError, decide
from engine.runs.service import Runs
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ContactRow, DecisionRow, OutboxRow, RunRow, TaskRow

START = datetime(2026, 3, 6, 1, 0, tzinfo=UTC)
"""A Friday morning in Shanghai."""
HEAD = "kind: {kind}\nid: {id}\ntitle: t\nowner: us\n"
FILES = {
    "wayline.yaml": HEAD.format(kind="workspace", id="default")
    + "timezone: Asia/Shanghai\nlocales: [en]\nidentities: [email]\n"
    + "queues: {support: {title: Support}, seniors: {title: Seniors}}\n",
    "purposes.yaml": HEAD.format(kind="purposes", id="p")
    + 'purposes: [{id: care, title: c, version: "1", kind: transactional, max_hold: 1d}]\n',
    "events.yaml": HEAD.format(kind="events", id="e")
    + "events: [{id: complained, title: c}, {id: thanked, title: t}, {id: left, title: l}]\n",
    "office.yaml": HEAD.format(kind="calendar", id="office")
    + 'hours: [{days: [mon, tue, wed, thu, fri], from: "09:00", to: "17:00"}]\n',
    "care.yaml": HEAD.format(kind="journey", id="care")
    + """\
purpose: care
priority: 40
enter: {event: complained, reentry: always}
goal: {event: thanked, within: 30d}
leave: [{event: left}, {when: {contact.tags: {has: quiet}}}]
steps:
  - branch: hours
    cases:
      - {when: {calendar.office: true}, steps: [{tag: by_day, add: [by_day]}]}
  - ask: call
    queue: support
    question: Call?
    choices:
      - {id: solved, title: Solved, steps: [{stop: fine}]}
      - {id: worse, title: Worse, steps: [{tag: escalate, add: [escalated]}]}
      - {id: again, title: Later, steps: [{wait: pause, for: 5h}]}
    deadline: 6h
    calendar: office
    otherwise: [{tag: hush, add: [missed]}]
  - ask: senior
    queue: seniors
    question: Take over?
    priority: 90
    choices: [{id: done, title: Done}]
    deadline: 26h
    otherwise: [{tag: give_up, add: [quiet]}]
  - branch: how
    cases:
      - {when: {journey.answers.senior: done, journey.answers.call: worse}, steps: [{wait: rest, for: 2d}]}
      - {when: {journey.answers.call: expired}, steps: [{stop: sorry}]}
""",
}
ANSWERS = [("call", "solved"), ("call", "worse"), ("call", "again"), ("senior", "done")]


@dataclass(frozen=True)
class Act:
    """An event of a person, or an answer to a task of theirs."""

    pause: timedelta
    who: str
    what: str | tuple[str, str]


people = st.sampled_from(["ann", "bob"])
pauses = st.sampled_from([0, 1, 60, 3600, 5 * 3600, 6 * 3600, 26 * 3600, 70 * 3600]).map(
    lambda seconds: timedelta(seconds=seconds)
)
acts = st.one_of(
    st.builds(Act, pauses, people, st.sampled_from(["complained", "complained", "thanked", "left"])),
    st.builds(Act, pauses, people, st.sampled_from(ANSWERS)),
    st.builds(Act, pauses, people, st.sampled_from(ANSWERS)),
)
lives = st.lists(acts, min_size=1, max_size=14)
Story = tuple[Any, ...]


@cache
def the_bundle() -> Bundle:
    return bundle_of(FILES)


@settings(max_examples=30, deadline=None)
@given(life=lives)
def test_sql_and_virtual_time_make_the_same_of_tasks(life: list[Act], _sqlite_template: Path) -> None:
    in_memory = asyncio.run(live_in_memory(life))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            in_sql = asyncio.run(SqlLife(store).live(life))
    assert in_sql == in_memory


async def live_in_memory(life: list[Act]) -> Mapping[str, list[Story]]:
    world = VirtualWorld(the_bundle(), START)
    world.add(Person("ann"), Person("bob", timezone="Europe/Berlin"))
    at = START
    for act in life:
        at += act.pause
        if isinstance(act.what, str):
            world.feed(act.who, act.what, at)
        else:
            world.answer(act.who, *act.what, at, by="ana")
        await world.run_until(at)
    await world.run_until(at + timedelta(days=20))
    world.close()
    stories: dict[str, list[Story]] = {"ann": [], "bob": []}
    for each in world.decisions:
        told = (each.at, each.kind, each.verdict, each.reason, _shown(each.evidence), each.would_pass_if)
        stories[each.contact_id].append(told)
    return stories


class SqlLife:
    """Intake, runs and decisions over one database; a loop stands for the workflows."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.shelf = store, FixedClock(START), BundleShelf()
        nothing_to_deliver: Any = None
        self.runs = Runs(store, self.shelf, nothing_to_deliver, self.clock)
        self.intake = Intake(store, self.shelf, self.runs, self.clock)
        with store.begin() as session:
            publish(session, FILES, by="test", now=START)
            session.add(ContactRow(id="ann", created_at=START))
            session.add(ContactRow(id="bob", created_at=START, timezone="Europe/Berlin"))

    async def live(self, life: list[Act]) -> Mapping[str, list[Story]]:
        for number, act in enumerate(life):
            # As virtual time: what is due by then comes first only if it came to be before this moment.
            await self.pass_time(self.clock.now() + act.pause, inclusive=not isinstance(act.what, str))
            if isinstance(act.what, str):
                event = IncomingEvent(
                    f"m{number}", act.what, occurred_at=self.clock.now(), contact_id=act.who
                )
                receipt = self.intake.accept([event], source="test")
                for run_id in receipt.run_ids:
                    await self.runs.carry(run_id)
                await self.pass_time(self.clock.now(), inclusive=True)
            else:
                self.answer(act.who, *act.what)
            await self.carry_told()
        await self.pass_time(self.clock.now() + timedelta(days=20), inclusive=True)
        self.shelf.close()
        return self.stories()

    def answer(self, who: str, step: str, choice: str) -> None:
        with self.store.begin() as session:
            wanted = (
                col(TaskRow.contact_id) == who,
                col(TaskRow.step_id) == step,
                col(TaskRow.state) == "open",
            )
            found = session.scalars(select(TaskRow).where(*wanted)).all()
            for task in found:
                with suppress(TaskClosedError):
                    decide(session, task.id, choice, by="ana", now=self.clock.now())

    async def pass_time(self, until: datetime, *, inclusive: bool) -> None:
        end = until + timedelta(microseconds=int(inclusive))
        while (due_at := self.next_due_at()) is not None and due_at < end:
            self.clock.moment = max(due_at, self.clock.moment)
            with self.store.read() as session:
                query = select(col(RunRow.id)).where(
                    col(RunRow.status) == "active", col(RunRow.due_at) <= self.clock.now()
                )
                due = list(session.scalars(query.order_by(col(RunRow.entry_key))))
            for run_id in due:
                await self.runs.carry(run_id, durable=True)
        self.clock.moment = max(until, self.clock.moment)

    def next_due_at(self) -> datetime | None:
        with self.store.read() as session:
            query = select(col(RunRow.due_at)).where(col(RunRow.status) == "active")
            return min((at for at in session.scalars(query) if at is not None), default=None)

    async def carry_told(self) -> None:
        with self.store.begin() as session:
            rows = list(session.scalars(select(OutboxRow).order_by(col(OutboxRow.id))))
            told = [row.key for row in rows if row.kind == "run.signal"]
            for row in rows:
                session.delete(row)
        for run_id in told:
            await self.runs.carry(run_id, durable=True)

    def stories(self) -> Mapping[str, list[Story]]:
        stories: dict[str, list[Story]] = {"ann": [], "bob": []}
        with self.store.read() as session:
            for row in session.scalars(select(DecisionRow).order_by(col(DecisionRow.id))):
                told = (row.at, row.kind, row.verdict, row.reason, _shown(row.evidence), row.would_pass_if)
                stories[row.contact_id].append(told)
        return stories


def _shown(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """What both keep of a decision: SQL adds the conditions behind it, and the event."""
    more = {"event_id", "entry_key", "cases", "rule", "tests"}
    return {name: value for name, value in evidence.items() if name not in more}
