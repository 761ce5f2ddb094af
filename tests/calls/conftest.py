"""Real runs and real calls over a fresh database; only the other system is a list."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from engine.calls.service import Calls
from engine.clock import FixedClock
from engine.delivery.service import Delivery
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.plugin.recording import RecordingAction, RecordingChannel
from engine.plugin.registry import load_registry
from engine.runs.advancing import Carried
from engine.runs.service import Runs
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import CallRow, ContactRow, DecisionRow, OutboxRow, RunRow
from plugins.generators import template

START = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)

FILES = {
    "wayline.yaml": """
        kind: workspace
        id: here
        title: here
        owner: us
        timezone: Asia/Shanghai
        locales: [en]
        identities: [email]
        """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: us
        purposes:
          - {id: service, title: service, version: "1", kind: transactional, max_hold: 1d}
        """,
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: us
        events:
          - {id: added, title: added, schema: {type: object, properties: {order_id: {type: string}}}}
          - {id: granted, title: granted, schema: {type: object}}
          - {id: gone, title: gone, schema: {type: object}}
        """,
    "actions.yaml": """
        kind: actions
        id: actions
        title: actions
        owner: us
        actions:
          - {id: points, plugin: recording}
        """,
}

GIFT = """
    enter: {event: added, reentry: never}
    leave: [{event: gone}]
    steps:
      - call: give
        action: points
        values: {points: 50}
        results: {balance: number}
        deadline: 1h
        failed: [{tag: mark, add: [sorry]}]
      - branch: rich
        cases:
          - when: {journey.results.give.balance: {gte: 100}}
            steps: [{tag: note, add: [rich]}]
    """


class Ground:
    """One installation without channels."""

    def __init__(self, store: Store, *, idempotent: bool = True) -> None:
        self.store = store
        self.clock = FixedClock(START)
        self.shelf = BundleShelf()
        self.action = RecordingAction(idempotent=idempotent)
        self._numbers = itertools.count(1)
        registry = load_registry(entry_points=False, extra=[self.action, RecordingChannel(), template])
        self.delivery = Delivery(
            store, self.shelf, registry, self.clock, public_url="http://here", secret="s"
        )
        self.calls = Calls(store, self.shelf, registry, self.clock)
        self.runs = Runs(store, self.shelf, self.delivery, self.clock, calls=self.calls)
        self.intake = Intake(store, self.shelf, self.runs, self.clock)

    def publish(self, body: str = GIFT, **more: str) -> None:
        files = {name: textwrap.dedent(text) for name, text in {**FILES, **more}.items()}
        head = "kind: journey\nid: gift\ntitle: gift\nowner: us\npurpose: service\n"
        files["gift.yaml"] = head + textwrap.dedent(body)
        with self.store.begin() as session:
            publish(session, files, by="test", now=self.clock.now())

    def accept(
        self, kind: str = "added", who: str = "ann", *, contact_id: str | None = None, **properties: Any
    ) -> list[str]:
        """Take one event in without carrying anything; the runs it started."""
        identities = (("user", who),) if contact_id is None else ()
        name, now = f"m{next(self._numbers)}", self.clock.now()
        event = IncomingEvent(name, kind, identities, properties, occurred_at=now, contact_id=contact_id)
        receipt = self.intake.accept([event], source="test")
        assert receipt.accepted == 1
        return list(receipt.run_ids)

    async def feed(self, kind: str = "added", **more: Any) -> list[Carried]:
        return [await self.runs.carry(run_id) for run_id in self.accept(kind, **more)]

    async def later(self, by: timedelta) -> None:
        """Let time go by, with a dispatcher at work and whatever it tells reaching the workflows."""
        self.clock.advance(by)
        await self.calls.perform_due(100)
        await self.runs.pick_up_abandoned(100)
        await self.carry_told()

    async def carry_told(self) -> None:
        with self.store.begin() as session:
            rows = list(session.scalars(select(OutboxRow).order_by(col(OutboxRow.id))))
            told = [row.key for row in rows if row.kind == "run.signal"]
            for row in rows:
                session.delete(row)
        for run_id in told:
            await self.runs.carry(run_id, durable=True)

    def next_due_at(self) -> datetime | None:
        query = select(col(RunRow.due_at)).where(
            col(RunRow.status) == "active", col(RunRow.due_at).is_not(None)
        )
        with self.store.read() as session:
            return min((due for due in session.scalars(query) if due is not None), default=None)

    def due_runs(self) -> list[str]:
        query = select(col(RunRow.id)).where(
            col(RunRow.status) == "active", col(RunRow.due_at) <= self.clock.now()
        )
        with self.store.read() as session:
            return list(session.scalars(query.order_by(col(RunRow.entry_key))))

    def rows(self, table: Any) -> list[Any]:
        with self.store.read() as session:
            return list(session.scalars(select(table)))

    def run(self) -> RunRow:
        row: RunRow
        (row,) = self.rows(RunRow)
        return row

    def call(self) -> CallRow:
        row: CallRow
        (row,) = self.rows(CallRow)
        return row

    def tags(self) -> set[str]:
        (row,) = self.rows(ContactRow)
        return set(row.tags)

    def reasons(self) -> list[str]:
        rows = sorted(self.rows(DecisionRow), key=lambda row: row.id)
        return [row.reason for row in rows if row.kind == "call"]


@pytest.fixture
def ground(store: Store) -> Iterator[Ground]:
    """On both databases, with an action that honours keys."""
    made = Ground(store)
    yield made
    made.shelf.close()


@pytest.fixture
def once(store: Store) -> Iterator[Ground]:
    """On both databases, with an action that does not."""
    made = Ground(store, idempotent=False)
    yield made
    made.shelf.close()
