"""One life through SQL and through virtual time, told alike, so that tests can compare the two."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.clock import FixedClock
from engine.contacts.consent import ConsentEntry, record_consent
from engine.contacts.profile import contact_facts
from engine.contacts.rows import profile_of
from engine.delivery.service import Delivery
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.intake.sweeping import Sweeper, Swept
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import Registry, load_registry
from engine.runs.service import Runs
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ContactRow, DecisionRow, IdentityRow, IntentRow, OutboxRow, RunRow
from plugins.generators import template
from tests.simulation.small_workspace import DAY, FILES, PEOPLE, START


@dataclass(frozen=True)
class Happening:
    pause: timedelta
    who: str
    event: str
    properties: Mapping[str, Any]


Story = tuple[Any, ...]


@cache
def the_bundle() -> Bundle:
    return bundle_of({name: textwrap.dedent(text) for name, text in FILES.items()})


async def live_in_memory(
    life: list[Happening], bundle: Bundle, registry: Registry | None = None
) -> tuple[dict[str, list[Story]], dict[str, Any]]:
    world = VirtualWorld(bundle, START, registry=registry)
    world.add(*PEOPLE)
    at = START
    for happening in life:
        at += happening.pause
        world.feed(happening.who, happening.event, at, happening.properties)
    await world.run_until(at + 20 * DAY)
    facts = {person.id: world.facts(person.id) for person in PEOPLE}
    world.close()
    stories: dict[str, list[Story]] = {person.id: [] for person in PEOPLE}
    for decided in world.decisions:
        stories[decided.contact_id].append(
            (
                decided.at,
                decided.kind,
                decided.journey,
                decided.step,
                decided.channel,
                decided.verdict,
                decided.reason,
                because(decided.evidence),
                decided.hold_until,
            )
        )
    return stories, facts


def because(evidence: Mapping[str, Any]) -> tuple[Any, ...]:
    """The arm or the cap that a decision is about, and why it is this one."""
    names = ("arm", "by", "hash", "place_in_stratum", "hold_out")
    return tuple(
        evidence.get(name)
        for name in (*names, "cap", "used", "factor", "yields_to", "silent_since", "window", "last_heard")
    )


class SqlLife:
    """The production services over one database; a loop stands for workflows and dispatcher."""

    def __init__(
        self,
        store: Store,
        files: Mapping[str, str],
        lag: timedelta = timedelta(),
        *,
        shelf: BundleShelf | None = None,
        people: Sequence[Person] = PEOPLE,
        channels: Sequence[RecordingChannel] = (),
    ) -> None:
        """`lag` is how long after its moment everything is done; `channels` are offered beside the usual."""
        self.store, self.lag = store, lag
        self.clock = FixedClock(START)
        self.shelf = shelf or BundleShelf()
        self.channel = RecordingChannel()
        registry = load_registry(entry_points=False, extra=[self.channel, *channels, template])
        # One send at a time: what is due together goes out in the order of its importance.
        self.delivery = Delivery(
            store, self.shelf, registry, self.clock, public_url="http://here", secret="s", at_once=1
        )
        self.runs = Runs(store, self.shelf, self.delivery, self.clock)
        self.intake = Intake(store, self.shelf, self.runs, self.clock)
        self.sweeper = Sweeper(store, self.shelf, self.runs, self.clock)
        with store.begin() as session:
            publish(session, files, by="test", now=START)
            for person in people:
                self.add(session, person)

    def add(self, session: Any, person: Person) -> None:
        session.add(
            ContactRow(
                id=person.id,
                created_at=START,
                timezone=person.timezone,
                timezone_source="stated",
                attributes=dict(person.attributes),
            )
        )
        for platform, address in person.identities.items():
            session.add(IdentityRow(platform=platform, address=address, contact_id=person.id, added_at=START))
        session.flush()
        for purpose in person.consents:
            record_consent(session, ConsentEntry(person.id, purpose, "granted", START))

    async def live(self, life: list[Happening]) -> dict[str, list[Story]]:
        await self.carry_swept(self.sweeper.refresh_page(100))
        at = self.clock.now()
        for number, happening in enumerate(life):
            at += happening.pause
            await self.pass_time(at, inclusive=False)
            self.clock.moment = max(at + self.lag, self.clock.moment)
            event = IncomingEvent(
                f"m{number}",
                happening.event,
                (),
                happening.properties,
                occurred_at=self.clock.now(),
                contact_id=happening.who,
            )
            receipt = self.intake.accept([event], source="simulation")
            assert (receipt.accepted, receipt.dead) == (1, 0)
            for run_id in receipt.run_ids:
                await self.runs.carry(run_id)
            await self.carry_told()
        await self.pass_time(at + 20 * DAY, inclusive=True)
        self.shelf.close()
        return self.stories()

    async def pass_time(self, until: datetime, *, inclusive: bool) -> None:
        """Let time go by, from one due moment to the next; what is due at `until` itself may come later."""
        end = until + timedelta(microseconds=int(inclusive))
        while (due_at := self.next_due_at()) is not None and due_at < end:
            self.clock.moment = max(due_at + self.lag, self.clock.moment)
            await self.carry_swept(self.sweeper.sweep_page(100))
            await self.delivery.deliver_due(100)
            await self.carry_told()
            for run_id in self.due_runs():
                await self.carry(run_id)
        self.clock.moment = max(until, self.clock.moment)

    async def carry(self, run_id: str, *, durable: bool = True) -> None:
        """What a run's workflow does when it wakes."""
        await self.runs.carry(run_id, durable=durable)

    async def carry_swept(self, swept: Swept) -> None:
        for run_id in swept.run_ids:
            await self.runs.carry(run_id)
        await self.carry_told()

    def facts(self) -> dict[str, Any]:
        """What is known of everybody now."""
        with self.store.read() as session:
            rows = session.scalars(select(ContactRow))
            return {row.id: contact_facts(profile_of(row), the_bundle(), self.clock.now()) for row in rows}

    def next_due_at(self) -> datetime | None:
        with self.store.read() as session:
            runs = select(col(RunRow.due_at)).where(col(RunRow.status) == "active")
            moments = [*session.scalars(runs), *session.scalars(select(col(ContactRow.profile_due_at)))]
            for held in session.scalars(select(IntentRow).where(col(IntentRow.state) == "held")):
                moments += [held.wake_at, held.retry_at, held.deadline_at]
        return min((moment for moment in moments if moment is not None), default=None)

    def due_runs(self) -> list[str]:
        with self.store.read() as session:
            query = (
                select(col(RunRow.id))
                .where(col(RunRow.status) == "active", col(RunRow.due_at) <= self.clock.now())
                .order_by(col(RunRow.priority).desc(), col(RunRow.journey), col(RunRow.entry_key))
            )
            return list(session.scalars(query))

    async def carry_told(self) -> None:
        """What workflows do when the outbox's signals reach them."""
        while True:
            with self.store.begin() as session:
                rows = list(session.scalars(select(OutboxRow).order_by(col(OutboxRow.id))))
                told = [row.key for row in rows if row.kind == "run.signal"]
                for row in rows:
                    session.delete(row)
            if not told:
                return
            for run_id in told:
                await self.carry(run_id)

    def stories(self) -> dict[str, list[Story]]:
        stories: dict[str, list[Story]] = {person.id: [] for person in PEOPLE}
        with self.store.read() as session:
            steps = {row.key: row.step_id for row in session.scalars(select(IntentRow))}
            for row in session.scalars(select(DecisionRow).order_by(col(DecisionRow.id))):
                stories[row.contact_id].append(
                    (
                        row.at,
                        row.kind,
                        row.journey,
                        steps.get(row.intent_key or ""),
                        row.channel,
                        row.verdict,
                        row.reason,
                        because(row.evidence),
                        row.hold_until,
                    )
                )
        return stories
