"""A workspace, real intake and real runs on a fresh database; only the far side of delivery is scripted."""

from __future__ import annotations

import asyncio
import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import SQLModel

from engine.clock import FixedClock
from engine.delivery.ending import Ended
from engine.delivery.intents import plan
from engine.delivery.onward import Onward
from engine.delivery.progress import Progress
from engine.delivery.recording import lock_run, tell_run
from engine.delivery.setting_out import Wish
from engine.delivery.viewing import Situation
from engine.gate.model import Outcome
from engine.gate.state import Claim
from engine.governance.in_flight import PeopleKeeper
from engine.governance.publishing import Published, publish
from engine.intake.accepting import Intake
from engine.intake.answering import Receipt
from engine.intake.incoming import IncomingEvent
from engine.journeys.program import InFlight
from engine.runs.advancing import Carried
from engine.runs.service import Runs
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import (
    ControlRow,
    DecisionRow,
    EventRow,
    IntentRow,
    OutboxRow,
    RunRow,
    StratumRow,
    WaitRow,
)

Row = TypeVar("Row", bound=SQLModel)

START = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)

BASE: Mapping[str, str] = {
    "wayline.yaml": """
        kind: workspace
        id: here
        title: here
        owner: us
        timezone: Asia/Shanghai
        locales: [en]
        identities: [email]
        queues: {support: {title: Support}, legal: {title: Legal}}
        """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: us
        purposes:
          - {id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 3d}
          - {id: service, title: service, version: "1", kind: transactional, max_hold: 1d}
        """,
    "channels.yaml": """
        kind: channels
        id: channels
        title: channels
        owner: us
        channels:
          - {id: email, plugin: recording, identity: email, settings: {}}
        """,
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: us
        contents:
          - id: text
            locales:
              en: {subject: Hello, body: Good morning}
        """,
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: us
        events:
          - {id: added, title: added, schema: {type: object}}
          - id: viewed
            title: viewed
            schema: {type: object, properties: {price: {type: number}}}
          - id: paid
            title: paid
            effect: order
            schema: {type: object, properties: {amount: {type: number}, order_id: {type: string}}}
          - {id: gone, title: gone, schema: {type: object}}
        """,
}


class Post:
    """The far side of delivery: every message is sent at once, unless a script says otherwise."""

    def __init__(self, store: Store, clock: FixedClock) -> None:
        self.script: dict[str, str] = {}
        """Step -> an outcome, `held`, or `busy` (another process is at it)."""
        self.delivered: list[str] = []
        self._store = store
        self._clock = clock

    def plan_each(
        self, session: Session, wishes: Sequence[Wish], now: datetime, situation: Situation
    ) -> list[Claim | None]:
        for each in wishes:
            plan(session, each.intent, now=now)
        return [None for _ in wishes]

    def settle_each(self, session: Session, many: Sequence[Ended]) -> list[Progress | None]:
        raise AssertionError("what this sends it settles by itself")

    async def deliver(
        self, key: str, *, carried: bool = False, claim: Claim | None = None, onward: Onward | None = None
    ) -> Outcome | None:
        return await self._store.run(self._deliver, key)

    def _deliver(self, key: str) -> Outcome | None:
        with self._store.begin() as session:
            row = session.get(IntentRow, key, with_for_update=True)
            assert row is not None
            if row.outcome is not None:
                return Outcome(row.outcome)
            if row.state == "held":
                return None
            answer = self.script.get(row.step_id, "sent")
            if answer == "busy":
                return None
            if answer == "held":
                row.state = "held"
                return None
            return self._settle(row, Outcome(answer))

    def settle(self, key: str, outcome: Outcome = Outcome.SENT) -> None:
        """What some other process does when it delivers a message that was held or left lying."""
        with self._store.begin() as session:
            row = session.get(IntentRow, key)
            assert row is not None
            run = lock_run(session, row.run_id)
            self._settle(row, outcome)
            tell_run(session, run, key, self._clock.now())

    def _settle(self, row: IntentRow, outcome: Outcome) -> Outcome:
        row.outcome = outcome.value
        row.state = "accepted" if outcome is Outcome.SENT else "ended"
        row.updated_at = self._clock.now()
        if outcome is Outcome.SENT:
            row.handed_over_at = self._clock.now()
            self.delivered.append(row.step_id)
        return outcome


class Spine:
    """Everything between an event and a wish, on one database and one clock."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = FixedClock(START)
        self.shelf = BundleShelf()
        self.post = Post(store, self.clock)
        self.runs = Runs(store, self.shelf, self.post, self.clock)
        self.intake = Intake(store, self.shelf, self.runs, self.clock)
        self.people = PeopleKeeper(store, self.shelf, self.clock)
        self._numbers = itertools.count(1)

    def publish(self, **journeys: str) -> Published:
        """Put a workspace with these journeys in force: id -> everything below the head."""
        return self.publish_with({}, **journeys)

    def publish_with(self, policies: Mapping[str, InFlight], /, **journeys: str) -> Published:
        """The same with policies for people on their way."""
        with self.store.begin() as session:
            return publish(
                session,
                self.files(**journeys),
                by="test",
                now=self.clock.now(),
                policies=policies,
                shelf=self.shelf,
            )

    def files(self, **journeys: str) -> dict[str, str]:
        """A workspace with these journeys."""
        files = {name: textwrap.dedent(text) for name, text in BASE.items()}
        for name, body in journeys.items():
            purpose = "" if "\npurpose:" in textwrap.dedent(body) else "purpose: service\n"
            head = f"kind: journey\nid: {name}\ntitle: {name}\nowner: us\n{purpose}"
            files[f"{name}.yaml"] = head + textwrap.dedent(body)
        return files

    async def take_over(self) -> None:
        """What the dispatcher does about people on their way, until there is nothing more to do now."""
        while await self.people.take_over():
            pass

    def accept(
        self, kind: str, *, who: str = "ann", at: datetime | None = None, **properties: Any
    ) -> Receipt:
        """Take one event in without carrying anything."""
        event = IncomingEvent(
            f"m{next(self._numbers)}", kind, (("user", who),), properties, occurred_at=at or self.clock.now()
        )
        receipt = self.intake.accept([event], source="test")
        assert receipt.accepted == 1
        return receipt

    def accept_all(self, *kinds: str, who: str = "ann") -> Receipt:
        """Take events in as one batch."""
        moment = self.clock.now()
        batch = [
            IncomingEvent(f"m{next(self._numbers)}", kind, (("user", who),), occurred_at=moment)
            for kind in kinds
        ]
        return self.intake.accept(batch, source="test")

    def speed_up(self, scale: float) -> None:
        """Let journey time run that many times faster from now on."""
        with self.store.begin() as session:
            control = session.get(ControlRow, 1)
            assert control is not None
            control.time_origin = control.time_journey_origin = self.clock.now()
            control.time_scale = scale

    def keep_no_match(self, kept: bool) -> None:
        self.runs = Runs(self.store, self.shelf, self.post, self.clock, keeps_no_match=kept)
        self.intake = Intake(self.store, self.shelf, self.runs, self.clock)

    async def feed(self, kind: str, *, who: str = "ann", **properties: Any) -> list[Carried]:
        """Take one event in and carry what it started, as the intake process does."""
        receipt = await asyncio.to_thread(self.accept, kind, who=who, **properties)
        return [await self.runs.carry(run_id) for run_id in receipt.run_ids]

    async def carry_all(self) -> None:
        """What the workflows do when a timer fires or a nudge arrives."""
        for run in self.rows(RunRow):
            await self.runs.carry(run.id, durable=True)

    def rows(self, table: type[Row], **wanted: Any) -> list[Row]:
        with self.store.read() as session:
            found = list(session.scalars(select(table).order_by(*_order(table))))
        return [row for row in found if all(getattr(row, name) == value for name, value in wanted.items())]

    def run(self, **wanted: Any) -> RunRow:
        (row,) = self.rows(RunRow, **wanted)
        return row

    def intent(self, step: str) -> IntentRow:
        (row,) = self.rows(IntentRow, step_id=step)
        return row

    def errands(self) -> list[str]:
        return [row.kind for row in self.rows(OutboxRow)]

    def waits(self) -> list[tuple[str, str]]:
        return [(row.kind, row.event_type) for row in self.rows(WaitRow)]

    def reasons(self, kind: str) -> list[str]:
        return [row.reason for row in self.rows(DecisionRow, kind=kind)]


def _order(table: type[SQLModel]) -> list[Any]:
    names = {
        RunRow: ("started_at", "id"),
        IntentRow: ("created_at", "key"),
        EventRow: ("seq",),
        StratumRow: ("stratum",),
    }
    return [getattr(table, name) for name in names.get(table, ("id",))]


@pytest.fixture
def spine(store: Store) -> Iterator[Spine]:
    """The spine on both databases, without a journey published yet."""
    made = Spine(store)
    yield made
    made.shelf.close()


@pytest.fixture
def sqlite_spine(sqlite_store: Store) -> Iterator[Spine]:
    made = Spine(sqlite_store)
    yield made
    made.shelf.close()
