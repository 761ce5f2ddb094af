"""People at every step of one version of the journey, over a database of their own."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from engine.gate.model import Outcome
from engine.governance.difference import difference
from engine.governance.outlook import JourneyOutlook
from engine.governance.publishing import publish
from engine.intake.incoming import IncomingEvent
from engine.journeys.program import InFlight
from engine.journeys.run import Cause, EventSeen, OutcomeKnown, TaskDecided, TimerDue, WaitKind
from engine.runs.deciding import decide
from engine.store.database import Store, upgrade
from engine.store.tables import IntentRow, RunRow, TaskRow, WaitRow
from tests.governance.ways import bundle, files, ways
from tests.runs.conftest import Spine


class Holding(dict[str, str]):
    """Every message is held, until somebody settles it."""

    def get(self, step: str, default: Any = None) -> Any:
        return "held"


class Town(Spine):
    """People at every step of one version, brought there by events, outcomes, answers and time."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.post.script = Holding()
        self._carried = 0

    def put_in_force(self, number: int, policies: Mapping[str, InFlight] | None = None) -> None:
        with self.store.begin() as session:
            publish(
                session,
                files(number),
                by="test",
                now=self.clock.now(),
                policies=policies or {},
                shelf=self.shelf,
            )

    def hear(self, kind: str, who: str, city: str | None = None, **properties: Any) -> tuple[str, ...]:
        traits = {"renewal_at": "2026-09-01T00:00:00+00:00"} | ({"city": city} if city is not None else {})
        event = IncomingEvent(
            f"m{next(self._numbers)}-{self.clock.now().timestamp()}",
            kind,
            (("user", who),),
            properties,
            traits,
            occurred_at=self.clock.now(),
        )
        return self.intake.accept([event], source="test").run_ids

    def sleep_until(self, moment: datetime) -> None:
        self.clock.advance(max(moment - self.clock.now(), timedelta(0)))

    def settle_down(self, number: int) -> None:
        """Somebody at every step, somebody who has not begun, somebody whose event has come just now."""
        asyncio.run(self._settle_down(number))

    async def _settle_down(self, number: int) -> None:
        for step, way in ways(number).items():
            (run_id,) = self.hear("added", f"at {step}", way.city)
            await self.runs.carry(run_id)
            for cause in way.causes:
                await self._let(run_id, f"at {step}", cause)
            assert self.run(id=run_id).position == step, (number, step, way)
            waits = self.rows(WaitRow, run_id=run_id, kind="step")
            if waits and waits[0].event_type != "*":
                (run_id,) = self.hear("added", f"heard at {step}", way.city)
                await self.runs.carry(run_id)
                for cause in way.causes:
                    await self._let(run_id, f"heard at {step}", cause)
                self.hear("viewed", f"heard at {step}", price=100)
        self.hear("added", "not begun")

    async def _let(self, run_id: str, who: str, cause: Cause) -> None:
        """Let happen to one person what the cause says, and to nobody else."""
        row = self.run(id=run_id)
        match cause:
            case OutcomeKnown(outcome=outcome):
                self.settle(run_id, Outcome(outcome))
            case TimerDue():
                assert row.due_at is not None
                self.sleep_until(row.due_at)
            case EventSeen():
                self.hear("viewed", who, price=100)
            case TaskDecided(choice=choice):
                self.answer(run_id, choice)
        await self.runs.carry(run_id, durable=True)

    def settle(self, run_id: str, outcome: Outcome = Outcome.SENT) -> None:
        row = self.run(id=run_id)
        step = row.position or ""
        (intent,) = self.rows(IntentRow, run_id=run_id, step_id=step, outcome=None)
        self.post.settle(intent.key, outcome)

    def answer(self, run_id: str, choice: str) -> None:
        (task,) = self.rows(TaskRow, run_id=run_id, state="open")
        with self.store.begin() as session:
            decide(session, task.id, choice, by="ana", now=self.clock.now(), key=None, note="")

    def answer_first(self, run_id: str) -> None:
        """The first answer there is, unless the time for it has passed."""
        for task in self.rows(TaskRow, run_id=run_id, state="open"):
            if task.due_at > self.clock.now():
                self.answer(run_id, task.choices[0]["id"])

    def foretold(self, number: int, policies: Mapping[str, InFlight]) -> JourneyOutlook | None:
        with self.store.read() as session:
            found = difference(session, self.shelf, bundle(number), policies)
        return next((each.people for each in found.journeys if each.change.journey == "trip"), None)

    async def live_on(self) -> None:
        """Let time pass and everything happen, until everybody's run has ended."""
        for _ in range(80):
            active = self.rows(RunRow, status="active")
            if not active:
                return
            for row in active:
                if row.waiting == WaitKind.OUTCOME:
                    self.settle(row.id)
                elif row.waiting == WaitKind.TASK:
                    self.answer_first(row.id)
            due = [row.due_at for row in active if row.due_at is not None]
            if due and not any(row.waiting in ("outcome", "ready", "task") for row in active):
                self.sleep_until(min(due))
            await self.take_over()
            for row in active:
                await self.runs.carry(row.id, durable=row.durable)
        raise AssertionError(
            [(row.position, row.waiting, row.due_at) for row in self.rows(RunRow, status="active")]
        )


@cache
def _template() -> Path:
    path = Path(tempfile.mkdtemp(prefix="wayline-edits-")) / "empty.db"
    upgrade(f"sqlite:///{path}")
    return path


@cache
def people_of(number: int) -> tuple[Path, datetime]:
    """A database with people at every step of a version, and its present moment."""
    path = _template().with_name(f"{number:02d}.db")
    shutil.copyfile(_template(), path)
    with closing(Store(f"sqlite:///{path}")) as store:
        town = Town(store)
        town.put_in_force(number)
        town.settle_down(number)
        now = town.clock.now()
        town.shelf.close()
    return path, now
