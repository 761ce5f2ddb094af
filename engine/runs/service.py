"""Runs as other services use them: intake lets events start and end them, drivers carry them on."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.clock import Clock, Clocks
from engine.contacts.identity import RacedError
from engine.delivery.onward import Onward
from engine.errors import WaylineError
from engine.gate.model import Outcome
from engine.gate.state import Claim
from engine.journeys.event import Event
from engine.journeys.program import Program
from engine.runs.advancing import Advancing, Carried, Plans
from engine.runs.entering import Ground, Reacting
from engine.runs.going_on import Company, GoingOn, Settles, Step, Went, later
from engine.runs.leasing import has_abandoned, lease_abandoned
from engine.runs.locking import RevisionLostError
from engine.runs.starting import Door
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ControlRow

__all__ = ["Carried", "Delivers", "Reacting", "Runs"]

_AT_ONCE = 8
"""Abandoned runs carried side by side."""

_log = structlog.get_logger(__name__)


class Delivers(Plans, Settles, Protocol):
    """What runs ask of delivery; `engine.delivery.service.Delivery` does it."""

    async def deliver(
        self, key: str, *, carried: bool = False, claim: Claim | None = None, onward: Onward | None = None
    ) -> Outcome | None: ...


class Performs(Protocol):
    """What runs ask of calls; `engine.calls.service.Calls` does it."""

    async def perform(self, key: str) -> str | None: ...


class Runs:
    """The runs of a workspace. Every call may be repeated without harm, also after a crash at any point.

    Without `calls` the calls that runs wish are left to whoever finds them due. `keeps_no_match` set to False
    leaves out the decisions `entry.no_match`, one per event for each journey
    that listens to it with a condition: the most frequent and least surprising answer there is.
    """

    def __init__(
        self,
        store: Store,
        shelf: BundleShelf,
        delivery: Delivers,
        clock: Clock,
        *,
        calls: Performs | None = None,
        keeps_no_match: bool = True,
    ) -> None:
        self._calls = calls
        self._store = store
        self._shelf = shelf
        self._delivery = delivery
        self._clock = clock
        self._keeps_no_match = keeps_no_match
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._advancing = Advancing(shelf, self._owner, delivery)
        self._company = Company(store, self._advancing, delivery, clock)
        self._doors: tuple[str, dict[str, list[Program]]] = ("", {})

    def reacting(
        self, session: Session, control: ControlRow, bundle: Bundle, events: Sequence[Event], clocks: Clocks
    ) -> Reacting:
        """The reactions to a batch of events, in the caller's transaction, which has locked their contacts.

        `bundle` is the one in force.
        """
        ground = Ground(
            session,
            self._shelf,
            control,
            bundle,
            self._programs(bundle),
            now=clocks.journey_now(),
            real_now=clocks.delivery_now(),
        )
        return Reacting(ground, events, owner=self._owner, keeps_no_match=self._keeps_no_match)

    async def carry(self, run_id: str, *, durable: bool = False, real_now: datetime | None = None) -> Carried:
        """Advance the run and deliver what it sends until it waits or ends. NotFound for an unknown run.

        `durable` says that the run's own workflow asks. `real_now` is that workflow's idea of delivery time,
        used where it is later than the clock's: time that a test skips has passed for the run as well.
        """
        started: list[str] = []
        found = await self._carry_on(run_id, durable, real_now, started)
        for each in started:
            await self._carry_found(each, real_now)
        return found

    async def _carry_on(
        self, run_id: str, durable: bool, real_now: datetime | None, started: list[str]
    ) -> Carried:
        """Where the run stands once it waits or has ended; what it started is added to `started`."""
        found = await self._go(run_id, durable, real_now)
        started += found.started
        while True:
            if found.call_key is not None:
                outcome = await self._calls.perform(found.call_key) if self._calls is not None else None
                onward = None
            elif found.intent_key is not None:
                key = found.intent_key
                onward = GoingOn(
                    self._company, self._advancing, run_id, key, self._clock, real_now, durable=durable
                )
                outcome = await self._delivery.deliver(key, carried=True, claim=found.claim, onward=onward)
            else:
                return found
            if outcome is None:
                parked = await self._store.run_writing(self._park, run_id, real_now)
                if parked is not None:
                    return parked
            if onward is not None and onward.found is not None:
                found = onward.found
            else:
                # What it waited for had ended already, or ended by itself.
                found = await self._go(run_id, durable, real_now)
            started += found.started

    def enter_through(self, door: Door) -> None:
        """Have the journeys that runs start ask for their contacts at this door; intake says so once."""
        self._advancing.door = door

    async def pick_up_abandoned(self, limit: int) -> int:
        """Carry runs whose process has left them lying; how many were found. Call it every second or so."""
        run_ids = await self._store.run(self._lease_abandoned, limit)
        await self.carry_found(run_ids)
        return len(run_ids)

    async def carry_found(self, run_ids: Sequence[str]) -> None:
        """Carry these, a few side by side; one that cannot be carried is left to its lease."""
        for start in range(0, len(run_ids), _AT_ONCE):
            await asyncio.gather(*map(self._carry_found, run_ids[start : start + _AT_ONCE]))

    async def _carry_found(self, run_id: str, real_now: datetime | None = None) -> None:
        try:
            await self.carry(run_id, real_now=real_now)
        except WaylineError as error:
            # One run that cannot be carried must not keep the others; its lease brings it back later.
            _log.warning("a run could not be carried", run_id=run_id, error=type(error).__name__)

    async def _go(self, run_id: str, durable: bool, real_now: datetime | None) -> Carried:
        """Move the run if anything has happened to it, beside others; where it stands now."""

        async def by_itself() -> Went:
            return Went(None, await self._store.run_writing(self._advance, run_id, durable, real_now))

        went = await self._company.go(Step(run_id, durable, None, by_itself), real_now)
        assert went.stands is not None, "no message had to end first"
        return went.stands

    def _advance(self, run_id: str, durable: bool, real_now: datetime | None) -> Carried:
        while True:
            try:
                with self._store.begin() as session:
                    return self._advancing.advance(
                        session, run_id, later(self._clock, real_now), durable=durable
                    )
            except (RevisionLostError, RacedError):
                continue

    def _park(self, run_id: str, real_now: datetime | None) -> Carried | None:
        with self._store.begin() as session:
            return self._advancing.park(session, run_id, later(self._clock, real_now))

    def _lease_abandoned(self, limit: int) -> list[str]:
        now = self._clock.now()
        with self._store.read() as session:
            if not has_abandoned(session, now):
                return []
        with self._store.begin() as session:
            return lease_abandoned(session, self._owner, now, limit)

    def _programs(self, bundle: Bundle) -> dict[str, list[Program]]:
        """The journeys of a bundle by the event types that may start them."""
        known, doors = self._doors
        if known != bundle.hash:
            doors = {}
            for _, program in sorted(bundle.programs.items()):
                for event_type in program.entry.events:
                    doors.setdefault(event_type, []).append(program)
            self._doors = (bundle.hash, doors)
        return doors
