"""Carries runs in virtual time: whom something has moved goes on, with what they wish, until they wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from engine.gate.model import Intent, Outcome
from engine.journeys.run import CallEnded, Cause, OutcomeKnown, Started
from engine.simulation.agenda import Agenda, Order
from engine.simulation.everybody import Everybody
from engine.simulation.in_flight import InFlightKeeper
from engine.simulation.living import Life
from engine.simulation.people import Living
from engine.simulation.sending import Sending
from engine.simulation.touched import NOBODY, Touched


class Carrier:
    """Advances runs and delivers their messages; what they wait for goes on the agenda."""

    def __init__(
        self,
        life: Life,
        sending: Sending,
        keeper: InFlightKeeper,
        agenda: Agenda,
        people: Everybody,
    ) -> None:
        self._life = life
        self._sending = sending
        self._keeper = keeper
        self._agenda = agenda
        self._people = people

    async def touched(self, person: Living, touched: Touched, now: datetime) -> None:
        """Carry all whom an event has moved."""
        for run_id in touched.entered:
            await self.carry(person, run_id, Started(), now)
        for run_id in touched.woken:
            run = person.active.get(run_id)
            await self.carry(person, run_id, run.heard if run is not None else None, now)
        for run_id, known in touched.settled:
            await self.carry(person, run_id, known, now)
        for run_id in touched.retimed:
            await self.carry(person, run_id, None, now)

    async def look_again(self, messages: Sequence[tuple[str, str]], now: datetime) -> None:
        """Deliver held messages, given as contact and key, whose moment has come.

        As in production, all of them are, before the first of their runs hears of it.
        """
        ended: list[tuple[Living, Intent, Outcome]] = []
        for contact_id, key in messages:
            person = self._people.find(contact_id)
            held = self._sending.held(person.profile.id, key)
            if held is None:
                continue
            outcome = await self._deliver(person, key, now)
            if outcome is None:
                self._plan_look(held)
            else:
                ended.append((person, held, outcome))
        for person, held, outcome in ended:
            if held.run_id is not None:
                await self.carry(person, held.run_id, OutcomeKnown(held.step_id, outcome.value), now)

    async def carry(
        self,
        person: Living,
        run_id: str,
        cause: Cause | None,
        now: datetime,
    ) -> None:
        """Advance a run and deliver what it wishes until it waits or ends; then the runs that it started."""
        woken: list[Touched] = []
        await self._carry_with_started(person, run_id, cause, woken, now)
        for touched in woken:
            # In production their own workflows hear of it, after the commit.
            await self.touched(person, replace(touched, entered=()), now)
        if self._keeper.has_orders:
            for each, why in self._life.runs.round(person, now):
                await self.carry(person, each, why, now)

    async def _carry_with_started(
        self, person: Living, run_id: str, cause: Cause | None, woken: list[Touched], now: datetime
    ) -> None:
        await self._carry_one(person, run_id, cause, now)
        started = self._life.runs.take_started()
        if started is NOBODY:
            return
        for each in started.entered:
            await self._carry_with_started(person, each, Started(), woken, now)
        woken.append(started)

    async def _carry_one(self, person: Living, run_id: str, cause: Cause | None, now: datetime) -> None:
        while cause is not None and run_id in person.active:
            wished = self._life.runs.advance(person, run_id, cause, now)
            if wished is None:
                break
            if isinstance(wished, CallEnded):
                cause = wished
                continue
            outcome = await self._deliver(person, wished.key, now)
            if outcome is None:
                self._plan_look(wished)
                return
            cause = OutcomeKnown(wished.step_id, outcome.value)
        run = person.active.get(run_id)
        if run is not None and run.state.waiting is not None and run.state.waiting.due_at is not None:
            rank = (-run.program.priority, run.program.journey, run.state.entry_key)
            self._agenda.plan(run.state.waiting.due_at, Order.TIMER, person.profile.id, run_id, rank)
        elif run is not None and run.call_ends_at is not None:
            rank = (-run.program.priority, run.program.journey, run.state.entry_key)
            self._agenda.plan(run.call_ends_at, Order.CALL, person.profile.id, run_id, rank)

    async def _deliver(self, person: Living, key: str, now: datetime) -> Outcome | None:
        outcome = await self._sending.deliver(person, key, now)
        if outcome is Outcome.SENT:
            self._life.sent(person, now)
        return outcome

    def _plan_look(self, intent: Intent) -> None:
        at = self._sending.wakes_at(intent.key)
        if at is not None:
            rank = (-self._sending.value_of(intent.key), intent.created_at.isoformat(), intent.step_id)
            self._agenda.plan(at, Order.HELD, intent.contact_id, intent.key, rank)
