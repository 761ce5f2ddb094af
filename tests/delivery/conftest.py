"""A published workspace, contacts who agreed, real generator and check, and channels that record."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from sqlmodel import SQLModel, select

from engine.clock import FixedClock, JourneyTime
from engine.contacts.consent import ConsentEntry, record_consent
from engine.delivery.intents import plan
from engine.delivery.limits import Limits
from engine.delivery.service import Delivery
from engine.gate.model import Intent, Outcome
from engine.governance.publishing import publish
from engine.plugin.contracts import Channel
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import Registry, load_registry
from engine.store.bundles import BundleShelf
from engine.store.control import change_control, read_control
from engine.store.database import Store
from engine.store.tables import (
    AttemptRow,
    CapPlaceRow,
    ContactRow,
    DecisionRow,
    IdentityRow,
    IntentRow,
    RunRow,
)
from plugins.checks import lexicon
from plugins.generators import template

Row = TypeVar("Row", bound=SQLModel)

START = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
LIMITS = Limits(
    generate=timedelta(seconds=5),
    check=timedelta(seconds=5),
    preflight=timedelta(seconds=2),
    send=timedelta(seconds=10),
    lease=timedelta(seconds=30),
)

FILES: Mapping[str, str] = {
    "wayline.yaml": """
        kind: workspace
        id: here
        title: here
        owner: us
        timezone: Asia/Shanghai
        locales: [en, zh]
        identities: [email, app]
        """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: us
        purposes:
          - {id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 3d}
          - id: service
            title: service
            version: "1"
            kind: transactional
            max_hold: 1d
            repeat_unknown: true
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
        kind: content
        id: content
        title: content
        owner: us
        contents:
          - id: hello
            locales:
              en: {subject: Hello, body: "Good morning {{ contact.locale | default('you', true) }}"}
              zh: {subject: 您好, body: 早上好}
          - id: boast
            locales:
              en: {subject: Best, body: we are simply the miracle}
        """,
    "checks.yaml": """
        kind: checks
        id: checks
        title: checks
        owner: us
        checks:
          - {id: no_wonders, plugin: lexicon, lexicons: [wonders], purposes: [marketing]}
        """,
    "wonders.lexicon.yaml": """
        kind: lexicon
        id: wonders
        title: wonders
        owner: us
        source: ours
        as_of: "2026-01-01"
        entries:
          - {term: miracle, severity: block, law: our own word, suggestion: say what it does}
        """,
}


class Desk:
    """Everything between a wish and a provider, on one database and one clock."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = FixedClock(START)
        self.shelf = BundleShelf()
        self.mail: Channel = RecordingChannel("mail")
        self.push: Channel = RecordingChannel("push", idempotent=True)
        self.files = {name: textwrap.dedent(text) for name, text in FILES.items()}
        self.delivery = self.process()

    def process(self, *, checks: bool = True) -> Delivery:
        """Delivery as one more process would run it, with the channels as they are now."""
        offers = [self.mail, self.push]
        others = [template, *([lexicon] if checks else [])]
        return self.over(load_registry(entry_points=False, extra=[*offers, *others]))

    def over(self, registry: Registry, *, limits: Limits = LIMITS, **options: Any) -> Delivery:
        """Delivery as one more process would run it, with these plugins."""
        self.delivery = Delivery(
            self.store,
            self.shelf,
            registry,
            self.clock,
            public_url="https://here.example",
            secret="s" * 32,
            limits=limits,
            **options,
        )
        return self.delivery

    def publish(self, **files: str) -> None:
        """Put the workspace in force, with these files beside the usual ones."""
        self.files |= {f"{name}.yaml": textwrap.dedent(text) for name, text in files.items()}
        with self.store.begin() as session:
            publish(session, self.files, by="test", now=START)

    def contact(
        self,
        contact_id: str = "ann",
        *,
        consents: Sequence[str] = ("marketing",),
        platforms: Sequence[str] = ("email", "app"),
        locale: str | None = None,
    ) -> str:
        with self.store.begin() as session:
            session.add(ContactRow(id=contact_id, created_at=START, locale=locale, timezone="Asia/Shanghai"))
            for platform in platforms:
                address = f"{contact_id}@example.com" if platform == "email" else f"device-{contact_id}"
                session.add(
                    IdentityRow(platform=platform, address=address, contact_id=contact_id, added_at=START)
                )
            for purpose in consents:
                record_consent(session, ConsentEntry(contact_id, purpose, "granted", self.journey_now()))
        return contact_id

    def plan(self, key: str = "k1", contact_id: str = "ann", **values: Any) -> str:
        """Write a wish down as a run's step does."""
        with self.store.begin() as session:
            plan(session, self.intent(key, contact_id, **values), now=self.clock.now())
        return key

    def intent(self, key: str, contact_id: str, **values: Any) -> Intent:
        with self.store.read() as session:
            live = read_control(session).live_bundle or ""
        given: dict[str, Any] = {
            "purpose": "marketing",
            "priority": 50,
            "content": "hello",
            "channels": ("email",),
            "step_id": "step",
            "visit": 1,
            "created_at": self.journey_now(),
            "bundle_hash": live,
        }
        return Intent(key=key, contact_id=contact_id, **(given | values))

    async def deliver(self, key: str = "k1", *, carried: bool = True) -> Outcome | None:
        return await self.delivery.deliver(key, carried=carried)

    async def settle_down(self) -> None:
        """Everything a dispatcher does until nothing is due."""
        while await self.delivery.deliver_due(50) + await self.delivery.recover(50):
            pass

    def journey_now(self) -> datetime:
        with self.store.read() as session:
            control = read_control(session)
        time = JourneyTime(control.time_origin, control.time_journey_origin, control.time_scale)
        return time.at(self.clock.now())

    def speed_up(self, scale: float) -> None:
        """Let journey time run that many times faster from now on."""
        with self.store.begin() as session:
            change_control(session, time_scale=scale)

    def run_row(self, run_id: str, *, durable: bool) -> None:
        with self.store.begin() as session:
            session.add(
                RunRow(
                    id=run_id,
                    journey="welcome",
                    version="v",
                    bundle_hash="b",
                    contact_id="ann",
                    entry_key="once",
                    durable=durable,
                    started_at=START,
                    lease_owner="somebody",
                    lease_until=START + timedelta(hours=1),
                )
            )

    def rows(self, table: type[Row], **wanted: Any) -> list[Row]:
        with self.store.read() as session:
            found = list(session.exec(select(table)))
        return [row for row in found if all(getattr(row, name) == value for name, value in wanted.items())]

    def row(self, key: str = "k1") -> IntentRow:
        (found,) = self.rows(IntentRow, key=key)
        return found

    def reasons(self, key: str = "k1") -> list[str]:
        return [row.reason for row in self.rows(DecisionRow, intent_key=key)]

    def results(self, key: str = "k1") -> list[str]:
        return [row.result for row in self.rows(AttemptRow, intent_key=key)]

    def places(self, key: str = "k1") -> list[str]:
        return [row.state for row in self.rows(CapPlaceRow, intent_key=key)]


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    """A desk on both databases, with the workspace published."""
    made = Desk(store)
    made.publish()
    yield made
    made.shelf.close()


@pytest.fixture
def sqlite_desk(sqlite_store: Store) -> Iterator[Desk]:
    made = Desk(sqlite_store)
    made.publish()
    yield made
    made.shelf.close()
