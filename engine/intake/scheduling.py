"""Schedules at work: when one fires, the contacts it is for are fed to intake as events, page by page.

A firing is worked through in the order of contacts' ids, with its cursor in the database: whoever dies in the
middle is followed by whoever comes next, and events that were fed already are known by their ids. Of firings
that were missed the latest is caught up while it is younger than the workspace's `late_after`; the others are
skipped and counted, as are those of a paused journey. A schedule that is new or changed begins with its next
firing, never with one that has been.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.clock import Clock, FixedClock
from engine.contacts.profile import Profile, contact_facts
from engine.errors import WaylineError
from engine.intake.accepting import Intake
from engine.intake.cursors import Firing, Passed, arm, due, read_contacts, take_up
from engine.intake.firing import SOURCE, firing_event, scheduled
from engine.intake.incoming import IncomingEvent
from engine.journeys.event import SCHEDULE_FIRED, event_facts
from engine.journeys.matching import Doors, Entering, History, decide_entry
from engine.journeys.program import Program
from engine.runs.known import read_history
from engine.store.bundles import BundleShelf
from engine.store.control import clocks_of, read_control
from engine.store.database import Store
from engine.store.in_flight import draining
from engine.store.tables import ControlRow, ScheduleRow

if TYPE_CHECKING:
    from engine.runs.service import Runs

_PAGE = 200
_ARMED_FOR = timedelta(seconds=5)
"""Delivery time after which contacts' zones are looked at again."""
_AT_ONCE = 8

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Page:
    """A few contacts that a firing came to, and for which of them it is."""

    events: tuple[IncomingEvent, ...]
    position: str
    is_last: bool
    pause: timedelta


class Schedules:
    """One process's share of the schedules; any number may work on one database."""

    def __init__(
        self,
        store: Store,
        shelf: BundleShelf,
        intake: Intake,
        runs: Runs,
        clock: Clock,
        *,
        page: int = _PAGE,
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._intake = intake
        self._runs = runs
        self._clock = clock
        self._page_size = page
        self._armed: tuple[str, datetime] | None = None

    async def fire_due(self) -> int:
        """Work through one page of a firing that is due; how many contacts and firings that brought on."""
        firing = await self._store.run(self._take_up)
        if firing is None:
            return 0
        if firing is Passed.MISSED:
            return 1
        page = await self._store.run(self._page, firing)
        if page is None:
            return 1
        run_ids = await self._store.run(self._accept, page.events) if page.events else ()
        await self._store.run(self._move_on, firing, page)
        for start in range(0, len(run_ids), _AT_ONCE):
            await asyncio.gather(*map(self._carry, run_ids[start : start + _AT_ONCE]))
        return max(1, len(page.events))

    def _accept(self, events: Sequence[IncomingEvent]) -> Sequence[str]:
        return self._intake.accept(events, source=SOURCE).run_ids

    async def _carry(self, run_id: str) -> None:
        try:
            await self._runs.carry(run_id)
        except (WaylineError, SQLAlchemyError) as error:
            # Its lease brings it back; the others of the page are carried all the same.
            _log.warning("a run could not be carried", run_id=run_id, error=type(error).__name__)

    def _take_up(self) -> Firing | Passed | None:
        """A firing with something left to do, leased to this caller."""
        real_now = self._clock.now()
        with self._store.read() as session:
            control = read_control(session)
            if control.live_bundle is None:
                return None
            bundle = self._shelf.in_force(session, control)
            is_armed = self._is_armed(bundle, real_now)
            if is_armed and not self._has_due(session, control, real_now):
                return None
        with self._store.begin() as session:
            control = read_control(session)
            bundle = self._shelf.in_force(session, control)
            if not self._is_armed(bundle, real_now):
                arm(session, bundle, self._journey_now(control, real_now))
                self._armed = (bundle.hash, real_now)
            return take_up(session, control, bundle, self._journey_now(control, real_now), real_now)

    def _is_armed(self, bundle: Bundle, real_now: datetime) -> bool:
        if self._armed is None:
            return False
        known, since = self._armed
        return known == bundle.hash and (not scheduled(bundle) or real_now - since < _ARMED_FOR)

    def _has_due(self, session: Session, control: ControlRow, real_now: datetime) -> bool:
        query = select(col(ScheduleRow.journey)).where(due(self._journey_now(control, real_now), real_now))
        return session.scalars(query.limit(1)).first() is not None

    def _page(self, firing: Firing) -> Page | None:
        """The next contacts; None when the journey has gone meanwhile."""
        with self._store.read() as session:
            control = read_control(session)
            bundle = self._shelf.in_force(session, control)
            program = scheduled(bundle).get(firing.journey)
            if program is None or program.entry.schedule is None:
                return None
            schedule = program.entry.schedule
            size = min(self._page_size, schedule.per_second)
            profiles = read_contacts(session, firing, size)
            now = self._journey_now(control, self._clock.now())
            chosen = self._chosen(session, control, bundle, program, firing, profiles, now)
        return Page(
            events=chosen,
            position=profiles[-1].id if profiles else firing.position,
            is_last=len(profiles) < size,
            pause=timedelta(seconds=len(chosen) / schedule.per_second),
        )

    def _chosen(
        self,
        session: Session,
        control: ControlRow,
        bundle: Bundle,
        program: Program,
        firing: Firing,
        profiles: Sequence[Profile],
        now: datetime,
    ) -> tuple[IncomingEvent, ...]:
        """Events for those who would enter as things stand; intake decides it again in its own transaction.

        An event for everybody else, each day, would be most of what the database holds, and say nothing.
        """
        matcher = self._shelf.matcher(bundle)
        history = read_history(session, program.journey, [profile.id for profile in profiles])
        rule = f"{program.entry.rule}#{SCHEDULE_FIRED}"
        events = []
        for profile in profiles:
            event = firing_event(program, bundle, profile, firing.fires_at, now)
            facts = {**contact_facts(profile, bundle, now), **event_facts(event)}
            doors = Doors(
                (program,),
                {rule} if matcher.holds(rule, facts, now) else (),
                history,
                lambda _journey, _key: False,
                bundle.workspace.late_after,
                {*control.paused_journeys, *bundle.paused_journeys},
                draining(control),
            )
            found = decide_entry(program, event, facts, now, doors, history.get(profile.id, History()))
            if isinstance(found, Entering):
                events.append(
                    IncomingEvent(
                        event.event_id,
                        event.type,
                        properties=event.properties,
                        occurred_at=event.occurred_at,
                        contact_id=profile.id,
                    )
                )
        return tuple(events)

    def _move_on(self, firing: Firing, page: Page) -> None:
        """Put the cursor behind the page, unless somebody else has taken the firing over."""
        now = self._clock.now()
        values: dict[str, object] = {
            "after_id": page.position,
            "entered": col(ScheduleRow.entered) + len(page.events),
            "lease": None,
            "ready_at": now + page.pause,
        }
        if page.is_last:
            values |= {"fires_at": None, "after_id": "", "fired_at": firing.fires_at}
        with self._store.begin() as session:
            session.execute(
                update(ScheduleRow)
                .where(
                    col(ScheduleRow.journey) == firing.journey,
                    col(ScheduleRow.zone) == firing.zone,
                    col(ScheduleRow.lease) == firing.lease,
                )
                .values(values)
                .execution_options(synchronize_session=False)
            )

    def _journey_now(self, control: ControlRow, real_now: datetime) -> datetime:
        return clocks_of(control, FixedClock(real_now)).journey_now()
