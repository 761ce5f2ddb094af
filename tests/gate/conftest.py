"""The gate's memory behind one face for the contract suite: SQL on both databases, and plain memory."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.clock import JourneyTime
from engine.contacts.consent import ConsentEntry, record_consent
from engine.delivery.gate_rules import gate_rules
from engine.delivery.gate_state import SqlGateState
from engine.delivery.intents import plan
from engine.delivery.waking import wake
from engine.gate.consent import ConsentRecord
from engine.gate.model import Intent
from engine.gate.state import GateState, Identity, Moment, PublishedBreaker, Standing
from engine.governance.control import kill, unkill
from engine.governance.publishing import publish
from engine.simulation.gate_state import MemoryGateState
from engine.simulation.sight import Addressee
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import (
    AttemptRow,
    BreakerRow,
    CapPlaceRow,
    ContactRow,
    DecisionRow,
    IdentityRow,
    IntentRow,
)

START = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
LEASE = timedelta(seconds=30)

FILES = {
    "wayline.yaml": """
        {kind: workspace, id: here, title: here, owner: us, timezone: Asia/Shanghai, locales: [en],
         identities: [email, app]}
        """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: us
        purposes:
          - {id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 3d}
        """,
    "channels.yaml": """
        kind: channels
        id: channels
        title: channels
        owner: us
        channels:
          - {id: email, plugin: mail, identity: email, settings: {}}
          - {id: app, plugin: push, identity: app, settings: {}}
        """,
    "content.yaml": """
        {kind: content, id: content, title: content, owner: us,
         contents: [{id: hello, locales: {en: {subject: Hello, body: Good morning}}}]}
        """,
    "caps.yaml": """
        kind: caps
        id: caps
        title: caps
        owner: us
        caps:
          - {id: one_a_day, counts: {purpose: marketing}, limit: 1, window: {rolling: 24h}, when_full: defer}
          - {id: email_gap, counts: {channels: [email]}, min_gap: 1h, when_full: skip}
        """,
}


class Memory(Protocol):
    """What the contract suite does to a gate's memory and sees of it, beside `GateState` itself."""

    state: GateState

    def plan(self, intent: Intent) -> None: ...
    def withdraw(self) -> None: ...
    def erase(self) -> None: ...
    def kill(self) -> None: ...
    def unkill(self) -> int: ...
    def breaker(self, breaker: PublishedBreaker) -> None: ...
    def probes_left(self) -> int: ...
    def found(self, key: str) -> tuple[str, str | None, str | None]: ...
    def places(self, key: str) -> list[tuple[str, bool, datetime]]: ...
    def decisions(self, key: str) -> Sequence[str]: ...
    def results(self, key: str) -> Sequence[str]: ...


class SqlMemory:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.shelf = BundleShelf()
        with store.begin() as session:
            publish(session, dedented(), by="test", now=START)
            session.add(ContactRow(id="ann", created_at=START, timezone="Asia/Shanghai"))
            for platform in ("email", "app"):
                row = IdentityRow(
                    platform=platform, address=f"ann-{platform}", contact_id="ann", added_at=START
                )
                session.add(row)
            record_consent(session, ConsentEntry("ann", "marketing", "granted", START))
        self.state: GateState = SqlGateState(store, self.shelf, lease=LEASE)

    def plan(self, intent: Intent) -> None:
        with self.store.begin() as session:
            plan(session, intent, now=START)

    def withdraw(self) -> None:
        with self.store.begin() as session:
            record_consent(session, ConsentEntry("ann", "marketing", "withdrawn", START))

    def erase(self) -> None:
        with self.store.begin() as session:
            session.execute(update(ContactRow).values(erased_at=START))

    def kill(self) -> None:
        with self.store.begin() as session:
            kill(session, by="ops", reason="stop", now=START)

    def unkill(self) -> int:
        with self.store.begin() as session:
            unkill(session, by="ops", now=START)
            return wake(session, "kill", now=START)

    def breaker(self, breaker: PublishedBreaker) -> None:
        with self.store.begin() as session:
            session.merge(
                BreakerRow(
                    breaker_id=breaker.breaker_id,
                    scope=breaker.scope,
                    state=breaker.state,
                    probes_left=breaker.probes_left,
                    ramp=breaker.ramp,
                    epoch=breaker.epoch,
                    since=START,
                )
            )

    def probes_left(self) -> int:
        with self.store.read() as session:
            return session.scalars(select(BreakerRow)).one().probes_left

    def found(self, key: str) -> tuple[str, str | None, str | None]:
        with self.store.read() as session:
            row = session.get(IntentRow, key)
            assert row is not None
            return row.state, row.outcome, row.hold_scope

    def places(self, key: str) -> list[tuple[str, bool, datetime]]:
        query = select(CapPlaceRow).where(
            col(CapPlaceRow.intent_key) == key, col(CapPlaceRow.state) != "released"
        )
        with self.store.read() as session:
            return sorted((row.cap_id, row.state == "confirmed", row.at) for row in session.scalars(query))

    def decisions(self, key: str) -> Sequence[str]:
        query = select(DecisionRow).where(col(DecisionRow.intent_key) == key).order_by(col(DecisionRow.id))
        with self.store.read() as session:
            return [row.reason for row in session.scalars(query)]

    def results(self, key: str) -> Sequence[str]:
        query = select(AttemptRow).where(col(AttemptRow.intent_key) == key).order_by(col(AttemptRow.id))
        with self.store.read() as session:
            return [row.result for row in session.scalars(query)]


class PlainMemory:
    def __init__(self) -> None:
        grant = ConsentRecord("marketing", "*", "granted", START)
        identities = (Identity("app", "ann-app"), Identity("email", "ann-email"))
        self.person = Addressee(Standing(timezone="Asia/Shanghai"), identities, (grant,))
        self.memory = MemoryGateState(
            gate_rules(shipped()),
            lambda contact_id: self.person if contact_id == "ann" else None,
            lease=LEASE,
            time=JourneyTime(START, START),
        )
        self.state: GateState = self.memory

    def plan(self, intent: Intent) -> None:
        self.memory.plan(intent)

    def withdraw(self) -> None:
        said = ConsentRecord("marketing", "*", "withdrawn", START)
        self.person = Addressee(self.person.standing, self.person.identities, (*self.person.consents, said))

    def erase(self) -> None:
        self.person = Addressee(Standing(is_erased=True), self.person.identities, self.person.consents)

    def kill(self) -> None:
        self.memory.stop("stop")

    def unkill(self) -> int:
        return self.memory.start_again()

    def breaker(self, breaker: PublishedBreaker) -> None:
        self.memory.publish(breaker)

    def probes_left(self) -> int:
        (breaker,) = self.memory.breakers.values()
        return breaker.probes_left

    def found(self, key: str) -> tuple[str, str | None, str | None]:
        wish = self.memory.wishes[key]
        return str(wish.state), wish.outcome, wish.hold_scope

    def places(self, key: str) -> list[tuple[str, bool, datetime]]:
        return sorted((place.cap_id, place.is_confirmed, place.at) for place in self.memory.places_of(key))

    def decisions(self, key: str) -> Sequence[str]:
        return [noted.answer.reason for noted in self.memory.decisions if noted.key == key]

    def results(self, key: str) -> Sequence[str]:
        return [attempt.result for owner, attempt in self.memory.attempts if owner == key]


def dedented() -> dict[str, str]:
    return {name: textwrap.dedent(text) for name, text in FILES.items()}


def shipped() -> Bundle:
    return bundle_of(dedented())


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def memory(request: pytest.FixtureRequest) -> Iterator[Memory]:
    """The gate's memory, three times over: in plain memory, on SQLite and on PostgreSQL."""
    if request.param == "memory":
        yield PlainMemory()
        return
    store: Any = request.getfixturevalue(
        {"sqlite": "sqlite_store", "postgresql": "postgres_store"}[request.param]
    )
    made = SqlMemory(store)
    yield made
    made.shelf.close()


@pytest.fixture
def now() -> Moment:
    return Moment(START, START)
