"""Virtual time: people, their events and their journeys, from one due moment to the next.

The third driver beside the inline one and Temporal: the same interpreter, matching and gate, over memory.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from engine.authoring.bundle import Bundle
from engine.contacts.crossing import BY_RULES, BY_TIME
from engine.contacts.profile import contact_facts
from engine.errors import NotFound
from engine.gate.model import Intent, Outcome
from engine.intake.firing import firing_event
from engine.journeys.event import Event
from engine.journeys.interpreter import Decider
from engine.journeys.program import InFlight
from engine.journeys.run import CallEnded, Cause, OutcomeKnown, Started, TimerDue
from engine.plugin.registry import Registry
from engine.risk import machine
from engine.risk.machine import State, Status
from engine.rules.facts import FactValue
from engine.rules.matcher import Matcher
from engine.simulation.calling import Calling, SaidCall
from engine.simulation.forecasting import Firings
from engine.simulation.in_flight import InFlightKeeper
from engine.simulation.journal import Journal
from engine.simulation.living import NOBODY, Life, Touched, Witness
from engine.simulation.people import Living, Person, VirtualRun, begin, known_kind
from engine.simulation.records import Decided, Sent, Unanswered
from engine.simulation.sending import Sending


class _Order(IntEnum):
    """What happens first of all that happens at one moment."""

    BEGIN = 0
    EVENT = 1
    PROFILE = 2
    CLOCK = 3
    HELD = 4
    CALL = 5
    TIMER = 6
    ANSWER = 7


class _Due(NamedTuple):
    """One thing that will happen; sorts in the order in which such things happen."""

    at: datetime
    order: _Order
    rank: tuple[int, str, str]
    """Of what is due together: the more important first, then by journey and entry, as production would."""
    number: int
    contact_id: str
    subject: str
    """An event's type, a held message's key, a timer's run, a schedule's journey, a task's step, or why a
    profile is computed."""
    properties: Mapping[str, Any]
    traits: Mapping[str, Any]
    age: timedelta = timedelta()
    """Of an event: how long before it arrives it happened."""


_FIRST = (0, "", "")
_BY_HAND = "operator"
_TICK = timedelta(microseconds=1)


class VirtualWorld:
    """People and the journeys of one bundle, from `start` on.

    Every message that passes the gate counts as sent at once. With a `registry` messages are made and checked
    by its generators and checks first; without one every text passes. Decisions and sends are kept in the
    order in which they happened. No action is called: `calls` say how calls end that are not done at once. A
    `journal` sees everything and is asked instead of the matcher; a `witness` only sees. Close it when done,
    unless a matcher or a journal was given.
    """

    def __init__(
        self,
        bundle: Bundle,
        start: datetime,
        *,
        matcher: Matcher | None = None,
        registry: Registry | None = None,
        journal: Journal | None = None,
        calls: Iterable[SaidCall] = (),
        witness: Witness | None = None,
    ) -> None:
        self.now = start
        self.decisions: list[Decided] = [] if journal is None else journal.decisions
        self.sends: list[Sent] = []
        self.unanswered: list[Unanswered] = []
        """Answers that came where no task was open for them."""
        self._bundle = bundle
        self._own_matchers = [Matcher(bundle.rules)] if matcher is None and journal is None else []
        self._people: dict[str, Living] = {}
        self._due: list[_Due] = []
        self._numbers = itertools.count()
        self._sending = Sending(bundle, start, self.decisions, self.sends, registry)
        rules: Decider | None = journal or matcher or self._own_matchers[0]
        assert rules is not None, "one of the three is there"
        self._calling = Calling(bundle, self.decisions, calls)
        self._keeper = InFlightKeeper(self._all_runs)
        watching = journal or witness
        self._life = Life(bundle, rules, self.decisions, self._sending, self._calling, self._keeper, watching)
        # A journal shows every firing and what was asked at it; nobody else needs to see those who stay out.
        self._firings = Firings(bundle, rules, every=journal is not None)
        self._witness = witness
        self._past = start
        """Everything up to then has happened."""

    def add(self, *people: Person, are_new: bool = False) -> None:
        """Let people exist from the present moment on; new ones only begin to be known by their first event.

        ValueError for an id that is taken, KeyError for an arm that no experiment has.
        """
        for person in people:
            if person.id in self._people:
                raise ValueError(f"there are two people {person.id!r}")
            self._people[person.id] = begin(person, self._bundle.workspace, self.now)
            for (journey, step), arm in person.arms.items():
                self._life.give_arm(self._people[person.id], journey, step, arm, self.now)
            if self._bundle.profile.version and not are_new:
                self._plan(self.now, _Order.BEGIN, person.id, BY_RULES, _FIRST)
            self._plan_firings(self._people[person.id], self._past)

    def remember(
        self, contact_id: str, event: str, at: datetime, properties: Mapping[str, Any] | None = None
    ) -> None:
        """Let an event have happened before now: it counts for the person's facts, and starts no journey.

        NotFound for a person or a type of event that does not exist, ValueError for the future.
        """
        person = self._person(contact_id)
        if at > self.now:
            raise ValueError("what is remembered lies in the past of a simulation")
        self._life.remember(person, self._event(person, event, at, properties or {}))

    def feed(
        self,
        contact_id: str,
        event: str,
        at: datetime,
        properties: Mapping[str, Any] | None = None,
        *,
        traits: Mapping[str, Any] | None = None,
        age: timedelta = timedelta(),
    ) -> None:
        """Let an event arrive at a moment that is still to come, or now.

        `traits` are what it states of the person, as an address or a tag. It happened `age` earlier.
        NotFound for a person or a type of event that does not exist, ValueError for the past.
        """
        self._person(contact_id)
        known_kind(event, self._bundle)
        if at < self.now:
            raise ValueError("events cannot happen in the past of a simulation")
        self._plan(at, _Order.EVENT, contact_id, event, _FIRST, properties, traits, age)

    def answer(
        self,
        contact_id: str,
        step: str,
        choice: str,
        at: datetime,
        *,
        journey: str | None = None,
        by: str = "somebody",
        number: int = 0,
    ) -> None:
        """Let a person answer the task of a step at a moment that is still to come, or now.

        NotFound for a contact that does not exist, ValueError for the past.
        """
        self._person(contact_id)
        if at < self.now:
            raise ValueError("tasks cannot be answered in the past of a simulation")
        told = {"choice": choice, "journey": journey, "by": by, "number": number}
        self._plan(at, _Order.ANSWER, contact_id, step, _FIRST, told)

    def know_refusals(self, refused: Mapping[str, str]) -> None:
        """Have providers refuse the messages of these keys, each with its code; all others are accepted."""
        self._sending.know_refusals(refused)

    async def run_until(self, moment: datetime) -> None:
        """Let everything happen that happens until then, that moment included."""
        while self._due and self._due[0].at <= moment:
            due = heapq.heappop(self._due)
            self.now = due.at
            person = self._people[due.contact_id]
            together = self._together_with(due)
            match due.order:
                case _Order.EVENT:
                    await self._happen(person, due)
                case _Order.BEGIN | _Order.PROFILE:
                    await self._compute(person, due)
                case _Order.CLOCK:
                    await self._fire(person, due)
                case _Order.HELD:
                    await self._look_again([(each.contact_id, each.subject) for each in together])
                case _Order.CALL:
                    await self._carry(person, due.subject, self._life.expire(person, due.subject, self.now))
                case _Order.TIMER if _is_awaited(person, due):
                    await self._carry(person, due.subject, TimerDue())
                case _Order.TIMER:
                    pass  # the wait has been moved to another moment since
                case _Order.ANSWER:
                    await self._decide(person, due.subject, **due.properties)
            for each in together:
                person = self._people[each.contact_id]
                self._plan_profile(person)
                self._plan_firings(person, self._past, each)
        self.now = self._past = max(self.now, moment)

    async def run_before(self, moment: datetime) -> None:
        """Let everything happen that happens before then; what happens at that moment is still to come."""
        await self.run_until(moment - _TICK)
        self.now = max(self.now, moment)

    async def put_in_force(
        self, bundle: Bundle, *, matcher: Matcher | None = None, journal: Journal | None = None
    ) -> None:
        """Let another bundle be in force from the present moment on, as when a plan is switched on or off.

        Runs on their way stay in the one that they entered; what was held and may leave now leaves. One of
        `matcher` and `journal` decides its conditions; a world with a journal needs one for this bundle too.
        """
        rules: Decider | None = journal or matcher
        assert rules is not None, "one of the two is there"
        self._switch(bundle, rules, journal, by_plan=True)
        await self._go_on_under_it()

    async def publish(
        self,
        bundle: Bundle,
        policies: Mapping[str, InFlight] = MappingProxyType({}),
        *,
        matcher: Matcher | None = None,
    ) -> None:
        """Let another bundle be published at the present moment, as `wayline publish --policy` does it.

        People on their way stay, go over, drain or end as `policies` or their journeys' files say.
        RulesetError when somebody would be stranded; nothing is changed then. What counts and patterns kept
        under other definitions begins anew, for a simulation keeps no past events. Not for worlds with a
        journal.
        """
        people = self._keeper.foretell(bundle, self._bundle, policies)
        if matcher is None:
            self._own_matchers.append(matcher := Matcher(bundle.rules))
        is_computed_anew = bundle.profile.version != self._bundle.profile.version
        self._switch(bundle, matcher, None, by_plan=False)
        self._keeper.place_orders(bundle.hash, people)
        moved = [(person, self._life.round(person, self.now)) for person in self._people.values()]
        for person, runs in moved:
            for run_id, cause in runs:
                await self._carry(person, run_id, cause)
        if is_computed_anew:
            for contact_id in self._people:
                self._plan(self.now, _Order.BEGIN, contact_id, BY_RULES, _FIRST)
        await self._go_on_under_it()

    def _switch(self, bundle: Bundle, rules: Decider, journal: Journal | None, *, by_plan: bool) -> None:
        self._bundle = bundle
        self._sending.put_in_force(bundle, by_plan=by_plan)
        self._life.put_in_force(bundle, rules, journal or self._witness)
        self._firings = Firings(bundle, rules, every=journal is not None)

    async def _go_on_under_it(self) -> None:
        """What the bundle that has just come into force lets go on."""
        for person in self._people.values():
            person.firings = {}
            self._plan_firings(person, self._past, is_ahead=True)
            for run_id in list(person.active):
                made = self._life.make_held_call(person, run_id, self.now)
                if made is not None:
                    await self._carry(person, run_id, made)
        await self._let_go()

    async def trip(self, breaker: str, scope: str, level: str) -> None:
        """Open a breaker by hand now; it holds messages in its scope until it is reset."""
        closed = Status(State.CLOSED, self.now)
        self._sending.set_breaker(breaker, scope, machine.trip(closed, level, _BY_HAND, self.now))

    async def reset(self, breaker: str, scope: str) -> None:
        """Close a breaker by hand now; what it held leaves, if nothing else holds it."""
        self._sending.set_breaker(breaker, scope, machine.reset(Status(State.CLOSED, self.now), self.now))
        await self._let_go()

    async def _let_go(self) -> None:
        """Deliver what nothing holds any more."""
        ready = self._sending.ready(self.now)
        await self._look_again([(intent.contact_id, intent.key) for intent in ready])

    def start_over(self, start: datetime) -> None:
        """Be as a new world that begins at `start`: nobody is there, nothing has happened.

        What was worked out of the bundle stays, and so do places taken in the strata of experiments, in which
        alone people have to do with each other. So a population is lived through one by one, in the memory
        that one of its members needs.
        """
        self.now = self._past = start
        self.decisions.clear()
        self.sends.clear()
        self.unanswered.clear()
        self._people.clear()
        self._due.clear()
        self._numbers = itertools.count()
        self._sending.forget()
        self._calling.forget()
        self._life.forget_people()
        self._keeper.forget()

    def facts(self, contact_id: str) -> dict[str, FactValue | None]:
        """The `contact.` facts of a person now."""
        return contact_facts(self._person(contact_id).profile, self._bundle, self.now)

    def zone(self, contact_id: str) -> str:
        """The IANA zone on whose clock a person lives: their own, else the workspace's."""
        return self._person(contact_id).profile.timezone or self._bundle.workspace.timezone

    def zone_candidates(self, contact_id: str) -> tuple[str, ...]:
        """Where a person may be by their phone numbers, while that is several clocks; empty otherwise."""
        return self._person(contact_id).profile.timezone_candidates

    def active_runs(self, contact_id: str) -> dict[str, str | None]:
        """The journeys a person is in now -> the step they are at."""
        return {run.program.journey: run.state.position for run in self._people[contact_id].active.values()}

    def runs(self, contact_id: str) -> tuple[VirtualRun, ...]:
        """The runs of a person that have not ended, as they stand now."""
        return tuple(self._person(contact_id).active.values())

    def close(self) -> None:
        """Let go of the compiled rules."""
        for matcher in self._own_matchers:
            matcher.close()

    def _all_runs(self) -> Iterator[VirtualRun]:
        return (run for person in self._people.values() for run in person.active.values())

    def _person(self, contact_id: str) -> Living:
        if contact_id not in self._people:
            raise NotFound(f"there is no person {contact_id!r} in this simulation")
        return self._people[contact_id]

    def _event(
        self,
        person: Living,
        event: str,
        at: datetime,
        properties: Mapping[str, Any],
        age: timedelta = timedelta(),
    ) -> Event:
        person.seq += 1
        return Event(
            event_id=f"v{next(self._numbers)}",
            type=event,
            contact_id=person.profile.id,
            occurred_at=at - age,
            received_at=at,
            source="simulation",
            properties=properties,
            seq=person.seq,
        )

    async def _happen(self, person: Living, due: _Due) -> None:
        event = self._event(person, due.subject, due.at, due.properties, due.age)
        await self._carry_touched(person, self._life.happen(person, event, due.traits))

    async def _decide(
        self, person: Living, step: str, *, choice: str, journey: str | None, by: str, number: int
    ) -> None:
        decided = self._life.decide(person, journey, step, choice, by, self.now)
        if decided is None:
            self.unanswered.append(Unanswered(self.now, person.profile.id, step, choice, number))
            return
        await self._carry(person, *decided)

    async def _compute(self, person: Living, due: _Due) -> None:
        """A profile whose moment has come; one that was computed since is due at another one."""
        if due.order is _Order.PROFILE and person.profile.profile_due_at != due.at:
            return
        touched = self._life.compute(person, due.subject, self.now)
        await self._carry_touched(person, touched)

    async def _fire(self, person: Living, due: _Due) -> None:
        """A schedule's moment has come; as in production, only those who would enter hear of it."""
        journey = due.subject
        coming = person.firings.get(journey)
        if coming is None or coming.at != due.at:
            return  # another one was planned since
        del person.firings[journey]
        program = self._bundle.programs[journey]
        event = firing_event(program, self._bundle, person.profile, self.now, self.now)
        # Who travels west sees one ten o'clock twice; the events of both have one id.
        if not coming.fires or event.event_id in person.fired:
            return
        if self._life.would_enter(person, program, event):
            person.fired.add(event.event_id)
            person.seq += 1
            event = replace(event, seq=person.seq)
            await self._carry_touched(person, self._life.happen(person, event))

    def _plan_firings(
        self, person: Living, past: datetime, done: _Due | None = None, *, is_ahead: bool = False
    ) -> None:
        """Plan the firings that concern somebody, as they stand after what was just `done`.

        With `is_ahead`, nothing of the present moment was done yet.
        """
        for journey in self._firings.journeys:
            planned = person.firings.get(journey)
            if planned is not None and planned.state == self._firings.state_of(journey, person.profile):
                continue
            # A firing of this very moment is still to come when its turn is after what was done.
            is_over = not is_ahead and (done is None or (_Order.CLOCK, journey) <= (done.order, done.subject))
            after = self.now if is_over else max(past, self.now - _TICK)
            coming = self._firings.next_after(journey, person.profile, after)
            person.firings[journey] = coming
            if coming.at is not None:
                self._plan(coming.at, _Order.CLOCK, person.profile.id, journey, (0, journey, ""))

    def _plan_profile(self, person: Living) -> None:
        at = person.profile.profile_due_at
        if at is not None and at != person.planned_at:
            person.planned_at = at
            self._plan(at, _Order.PROFILE, person.profile.id, BY_TIME, _FIRST)

    async def _carry_touched(self, person: Living, touched: Touched) -> None:
        for run_id in touched.entered:
            await self._carry(person, run_id, Started())
        for run_id in touched.woken:
            run = person.active.get(run_id)
            await self._carry(person, run_id, run.heard if run is not None else None)
        for run_id, known in touched.settled:
            await self._carry(person, run_id, known)
        for run_id in touched.retimed:
            await self._carry(person, run_id, None)

    def _together_with(self, due: _Due) -> list[_Due]:
        """What is due, and of held messages all of this moment, the most important first."""
        together = [due]
        while due.order is _Order.HELD and self._due and self._due[0][:2] == due[:2]:
            together.append(heapq.heappop(self._due))
        return together

    async def _look_again(self, messages: Sequence[tuple[str, str]]) -> None:
        """Deliver held messages, given as contact and key, whose moment has come.

        As in production, all of them are, before the first of their runs hears of it.
        """
        ended: list[tuple[Living, Intent, Outcome]] = []
        for contact_id, key in messages:
            person, held = self._people[contact_id], self._sending.held(contact_id, key)
            if held is None:
                continue
            outcome = await self._sending.deliver(person, key, self.now)
            if outcome is None:
                self._plan_look(held)
            else:
                ended.append((person, held, outcome))
        for person, held, outcome in ended:
            if held.run_id is not None:
                await self._carry(person, held.run_id, OutcomeKnown(held.step_id, outcome.value))

    async def _carry(
        self,
        person: Living,
        run_id: str,
        cause: Cause | None,
    ) -> None:
        """Advance a run and deliver what it wishes until it waits or ends; then the runs that it started."""
        woken: list[Touched] = []
        await self._carry_with_started(person, run_id, cause, woken)
        for touched in woken:
            # In production their own workflows hear of it, after the commit.
            await self._carry_touched(person, replace(touched, entered=()))
        if self._keeper.has_orders:
            for each, why in self._life.round(person, self.now):
                await self._carry(person, each, why)

    async def _carry_with_started(
        self, person: Living, run_id: str, cause: Cause | None, woken: list[Touched]
    ) -> None:
        await self._carry_one(person, run_id, cause)
        started = self._life.take_started()
        if started is NOBODY:
            return
        for each in started.entered:
            await self._carry_with_started(person, each, Started(), woken)
        woken.append(started)

    async def _carry_one(self, person: Living, run_id: str, cause: Cause | None) -> None:
        while cause is not None and run_id in person.active:
            wished = self._life.advance(person, run_id, cause, self.now)
            if wished is None:
                break
            if isinstance(wished, CallEnded):
                cause = wished
                continue
            outcome = await self._sending.deliver(person, wished.key, self.now)
            if outcome is None:
                self._plan_look(wished)
                return
            cause = OutcomeKnown(wished.step_id, outcome.value)
        run = person.active.get(run_id)
        if run is not None and run.state.waiting is not None and run.state.waiting.due_at is not None:
            rank = (-run.program.priority, run.program.journey, run.state.entry_key)
            self._plan(run.state.waiting.due_at, _Order.TIMER, person.profile.id, run_id, rank)
        elif run is not None and run.call_ends_at is not None:
            rank = (-run.program.priority, run.program.journey, run.state.entry_key)
            self._plan(run.call_ends_at, _Order.CALL, person.profile.id, run_id, rank)

    def _plan_look(self, intent: Intent) -> None:
        at = self._sending.wakes_at(intent.key)
        if at is not None:
            rank = (-intent.priority, intent.created_at.isoformat(), intent.step_id)
            self._plan(at, _Order.HELD, intent.contact_id, intent.key, rank)

    def _plan(
        self,
        at: datetime,
        order: _Order,
        contact_id: str,
        subject: str,
        rank: tuple[int, str, str],
        properties: Mapping[str, Any] | None = None,
        traits: Mapping[str, Any] | None = None,
        age: timedelta = timedelta(),
    ) -> None:
        number = next(self._numbers)
        due = _Due(at, order, rank, number, contact_id, subject, properties or {}, traits or {}, age)
        heapq.heappush(self._due, due)


def _is_awaited(person: Living, due: _Due) -> bool:
    """Whether a run still waits for the moment that was planned for it."""
    run = person.active.get(due.subject)
    waiting = run.state.waiting if run is not None else None
    return waiting is not None and waiting.due_at == due.at
