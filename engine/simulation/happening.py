"""Does in virtual time what the agenda says, one moment after another, and plans what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from engine.authoring.bundle import Bundle
from engine.contacts.crossing import BY_TIME
from engine.intake.firing import firing_event
from engine.journeys.event import CONTACT_MERGED, Event
from engine.journeys.interpreter import Decider
from engine.journeys.run import TimerDue
from engine.simulation.agenda import FIRST, TICK, Agenda, Due, Order
from engine.simulation.carrying import Carrier
from engine.simulation.everybody import Everybody
from engine.simulation.forecasting import Firings
from engine.simulation.living import Life
from engine.simulation.people import Living
from engine.simulation.records import Unanswered


class Happening:
    """What happens to people under the bundle in force."""

    def __init__(
        self,
        life: Life,
        carrier: Carrier,
        agenda: Agenda,
        people: Everybody,
        unanswered: list[Unanswered],
    ) -> None:
        self._life = life
        self._carrier = carrier
        self._agenda = agenda
        self._people = people
        self._unanswered = unanswered

    def put_in_force(self, bundle: Bundle, rules: Decider, *, every_firing: bool) -> None:
        """Let schedules fire by this bundle from now on; with `every_firing` also where nobody enters."""
        self._bundle = bundle
        self._firings = Firings(bundle, rules, every=every_firing)

    async def do(self, due: Due, past: datetime) -> None:
        """Let one thing happen, and what is due together with it; all up to `past` has happened before."""
        now, person = due.at, self._people.find(due.contact_id)
        together = self._agenda.together_with(due)
        match due.order:
            case Order.EVENT:
                await self._happen(person, due)
            case Order.BEGIN | Order.PROFILE:
                if not await self._compute(person, due):
                    self._plan_profile(person)
                    return  # the person is as they were, and so is whatever hangs on that
            case Order.CLOCK:
                await self._fire(person, due)
            case Order.HELD:
                await self._carrier.look_again([(each.contact_id, each.subject) for each in together], now)
            case Order.CALL:
                expired = self._life.runs.expire(person, due.subject, now)
                await self._carrier.carry(person, due.subject, expired, now)
            case Order.TIMER if _is_awaited(person, due):
                await self._carrier.carry(person, due.subject, TimerDue(), now)
            case Order.TIMER:
                pass  # the wait has been moved to another moment since
            case Order.ANSWER:
                await self._decide(person, due.subject, now, **due.properties)
        for each in together:
            person = self._people.find(each.contact_id)
            self._plan_profile(person)
            self.plan_firings(person, now, past, each)

    def event(
        self,
        person: Living,
        event: str,
        at: datetime,
        properties: Mapping[str, Any],
        age: timedelta = timedelta(),
    ) -> Event:
        """The next event of a person; it happened `age` before it arrives."""
        person.seq += 1
        return Event(
            event_id=f"v{self._agenda.number()}",
            type=event,
            contact_id=person.profile.id,
            occurred_at=at - age,
            received_at=at,
            source="simulation",
            properties=properties,
            seq=person.seq,
        )

    def plan_firings(
        self,
        person: Living,
        now: datetime,
        past: datetime,
        done: Due | None = None,
        *,
        is_ahead: bool = False,
    ) -> None:
        """Plan the firings that concern somebody, as they stand after what was just `done`.

        With `is_ahead`, nothing of the present moment was done yet.
        """
        journeys = self._firings.journeys
        is_as_before = person.known is not None and person.known is person.planned_with
        if is_as_before and len(person.firings) == len(journeys):
            return  # nothing that a firing could hang on has changed
        person.planned_with = person.known
        for journey in journeys:
            planned = person.firings.get(journey)
            if planned is not None and planned.state == self._firings.state_of(journey, person.profile):
                continue
            # A firing of this very moment is still to come when its turn is after what was done.
            is_over = not is_ahead and (done is None or (Order.CLOCK, journey) <= (done.order, done.subject))
            after = now if is_over else max(past, now - TICK)
            coming = self._firings.next_after(journey, person.profile, after)
            person.firings[journey] = coming
            if coming.at is not None:
                self._agenda.plan(coming.at, Order.CLOCK, person.profile.id, journey, (0, journey, ""))

    async def _happen(self, person: Living, due: Due) -> None:
        if due.subject == CONTACT_MERGED:
            await self._merge(person, self._people.find(due.properties["other"]), due)
            return
        event = self.event(person, due.subject, due.at, due.properties, due.age)
        await self._carrier.touched(person, self._life.happen(person, event, due.traits), due.at)

    async def _merge(self, one: Living, other: Living, due: Due) -> None:
        if one is other:
            return
        survivor, gone = self._people.join(one, other)
        name = f"v{self._agenda.number()}"
        touched = self._life.merge(survivor, gone, due.properties["because"], name, due.at)
        await self._carrier.touched(survivor, touched, due.at)

    async def _decide(
        self,
        person: Living,
        step: str,
        now: datetime,
        *,
        choice: str,
        journey: str | None,
        by: str,
        number: int,
    ) -> None:
        decided = self._life.runs.decide(person, journey, step, choice, by, now)
        if decided is None:
            self._unanswered.append(Unanswered(now, person.profile.id, step, choice, number))
            return
        await self._carrier.carry(person, *decided, now)

    async def _compute(self, person: Living, due: Due) -> bool:
        """A profile whose moment has come; one that was computed since is due at another one.

        Whether that has changed anything.
        """
        if due.order is Order.PROFILE and person.profile.profile_due_at != due.at:
            return False
        touched = self._life.compute(person, due.subject, due.at)
        if touched is None:
            return False
        await self._carrier.touched(person, touched, due.at)
        return True

    async def _fire(self, person: Living, due: Due) -> None:
        """A schedule's moment has come; as in production, only those who would enter hear of it."""
        journey, now = due.subject, due.at
        coming = person.firings.get(journey)
        if coming is None or coming.at != due.at:
            return  # another one was planned since
        del person.firings[journey]
        program = self._bundle.programs[journey]
        event = firing_event(program, self._bundle, person.profile, now, now)
        # Who travels west sees one ten o'clock twice; the events of both have one id.
        if not coming.fires or event.event_id in person.fired:
            return
        if self._life.would_enter(person, program, event):
            person.fired.add(event.event_id)
            person.seq += 1
            event = replace(event, seq=person.seq)
            await self._carrier.touched(person, self._life.happen(person, event), now)

    def _plan_profile(self, person: Living) -> None:
        at = person.profile.profile_due_at
        if at is not None and at != person.planned_at:
            person.planned_at = at
            self._agenda.plan(at, Order.PROFILE, person.profile.id, BY_TIME, FIRST)


def _is_awaited(person: Living, due: Due) -> bool:
    """Whether a run still waits for the moment that was planned for it."""
    run = person.active.get(due.subject)
    waiting = run.state.waiting if run is not None else None
    return waiting is not None and waiting.due_at == due.at
