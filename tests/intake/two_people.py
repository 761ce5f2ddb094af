"""Two people in an installation, of whom it turns out that they are one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from textwrap import dedent
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from engine.clock import FixedClock
from engine.contacts.consent import consent_records, verify_chain
from engine.gate.consent import ConsentState, settle_consent
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.merging import Merger
from engine.runs.service import Runs
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import (
    ContactRow,
    IdentityRow,
    RunRow,
)
from tests.intake.conftest import NOW, Bench, NothingToDeliver

FILES: Mapping[str, str] = {
    "wayline.yaml": """
        kind: workspace
        id: one
        title: one
        owner: us
        timezone: Asia/Shanghai
        locales: [en]
        identities: [email, phone]
        attributes: {city: {type: text}, size: {type: text}}
        merging: {by: [email, anonymous], at_most: 3}
        """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: us
        purposes: [{id: offers, title: offers, version: "1", kind: marketing, max_hold: 2d}]
        """,
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: us
        events:
          - {id: seen, title: seen}
          - id: paid
            title: paid
            effect: order
            schema:
              type: object
              properties: {amount: {type: number}, order: {type: string}}
          - {id: told, title: told, counts_as_activity: false}
        """,
    "tags.yaml": """
        kind: tags
        id: tags
        title: tags
        owner: us
        counts: [{id: visits, of: {event: seen}, within: 30d}]
        """,
    "once.yaml": """
        kind: journey
        id: once
        title: once
        owner: us
        purpose: offers
        enter: {event: seen, reentry: never}
        goal: {event: told}
        steps: [{wait_for: order, event: paid, up_to: 9d}]
        """,
    "again.yaml": """
        kind: journey
        id: again
        title: again
        owner: us
        purpose: offers
        enter: {event: paid, reentry: always}
        steps: [{wait: rest, for: 2d}]
        """,
    "each.yaml": """
        kind: journey
        id: each
        title: each
        owner: us
        purpose: offers
        enter: {event: paid, reentry: {once_per: event.order}}
        steps: [{wait: rest, for: 2d}]
        """,
    "joined.yaml": """
        kind: journey
        id: joined
        title: joined
        owner: us
        purpose: offers
        enter: {event: contact_merged, reentry: always}
        steps: [{wait: rest, for: 1h}]
        """,
}


@dataclass
class Ground(Bench):
    merger: Merger

    def id_of(self, platform: str, address: str) -> str:
        with self.store.read() as session:
            row = session.get(IdentityRow, (platform, address))
            assert row is not None
            return row.contact_id

    def contact(self, contact_id: str) -> ContactRow:
        with self.store.read() as session:
            row = session.get(ContactRow, contact_id)
            assert row is not None
            return row

    def runs(self, contact_id: str, journey: str, status: str = "active") -> list[RunRow]:
        return [
            row
            for row in self.all(RunRow)
            if (row.contact_id, row.journey, row.status) == (contact_id, journey, status)
        ]

    def state(self, contact_id: str, purpose: str = "offers", channel: str = "mail") -> ConsentState:
        with self.store.read() as session:
            return settle_consent(
                consent_records(session, contact_id), purpose, channel, self.clock.now()
            ).state

    def say(self, kind: str, user: str, **more: Any) -> str:
        self.clock.moment += timedelta(seconds=1)
        self.accept({"type": "track", "event": kind, "userId": user, **more})
        return self.id_of("user", user)


def make_ground_over(store: Store, shelf: BundleShelf) -> Ground:
    clock = FixedClock(NOW)
    with store.begin() as session:
        publish(session, {name: dedent(text) for name, text in FILES.items()}, by="test", now=NOW)
    intake = Intake(store, shelf, Runs(store, shelf, NothingToDeliver(), clock), clock)
    return Ground(store, shelf, intake, clock, Merger(store, shelf, intake, clock))


@pytest.fixture
def make_ground(shelf: BundleShelf) -> Callable[[Store], Ground]:
    return lambda store: make_ground_over(store, shelf)


@pytest.fixture
def ground(store: Store, make_ground: Callable[[Store], Ground]) -> Iterator[Ground]:
    """On SQLite and on PostgreSQL."""
    found = make_ground(store)
    yield found
    with store.read() as session:
        assert verify_chain(session) == []
        stray = (
            select(func.count())
            .select_from(ContactRow)
            .where(col(ContactRow.merged_into) == col(ContactRow.id))
        )
        assert session.scalar(stray) == 0


@pytest.fixture
def sqlite_ground(sqlite_store: Store, make_ground: Callable[[Store], Ground]) -> Ground:
    return make_ground(sqlite_store)


ALIAS = {"type": "alias", "messageId": "joined", "userId": "new", "previousId": "old"}


def refuse(ground: Ground, user: str, decision: str = "consent_withdrawn", **more: Any) -> None:
    properties = {"purpose": "offers", **more}
    named = f"{decision} {user} {ground.clock.moment}"
    ground.accept(
        {"type": "track", "event": decision, "userId": user, "properties": properties, "messageId": named}
    )
