"""Virtual time: people, their events and their journeys, from one due moment to the next.

The third driver beside the inline one and Temporal: the same interpreter, matching and gate, over memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from engine.authoring.bundle import Bundle
from engine.contacts.crossing import BY_RULES
from engine.contacts.profile import contact_facts
from engine.gate.state import PublishedBreaker
from engine.journeys.event import CONTACT_MERGED
from engine.journeys.interpreter import Decider
from engine.journeys.program import InFlight
from engine.plugin.registry import Registry
from engine.risk import machine
from engine.risk.machine import State, Status
from engine.rules.facts import FactValue
from engine.rules.matcher import Matcher
from engine.simulation.agenda import FIRST, TICK, Agenda, Order
from engine.simulation.calling import Calling, SaidCall
from engine.simulation.carrying import Carrier
from engine.simulation.everybody import Everybody
from engine.simulation.happening import Happening
from engine.simulation.in_flight import InFlightKeeper
from engine.simulation.journal import Journal
from engine.simulation.living import Life
from engine.simulation.people import Person, VirtualRun, begin, known_kind
from engine.simulation.records import Decided, Sent, Unanswered
from engine.simulation.sending import Sending
from engine.simulation.witness import Witness

_BY_HAND = "operator"


class VirtualWorld:
    """People and the journeys of one bundle, from `start` on.

    Every message that passes the gate counts as sent at once. With a `registry` messages are made and checked
    by its generators and checks first; without one every text passes. Decisions and sends are kept in the
    order in which they happened. No action is called: `calls` say how calls end that are not done at once. A
    `journal` sees everything and is asked instead of the matcher; a `witness` only sees. Close it when done,
    unless a matcher or a journal was given. Without `watches` breakers open by hand alone: where people live
    one by one, nobody knows the figures of all.
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
        watches: bool = True,
    ) -> None:
        self.now = start
        self.decisions: list[Decided] = [] if journal is None else journal.decisions
        self.sends: list[Sent] = []
        self.unanswered: list[Unanswered] = []
        """Answers that came where no task was open for them."""
        self._bundle = bundle
        self._own_matchers = [Matcher(bundle.rules)] if matcher is None and journal is None else []
        self._people = Everybody()
        self._agenda = Agenda()
        self._sending = Sending(bundle, start, self.decisions, self.sends, registry, watches=watches)
        rules: Decider | None = journal or matcher or self._own_matchers[0]
        assert rules is not None, "one of the three is there"
        self._calling = Calling(bundle, self.decisions, calls)
        self._keeper = InFlightKeeper(self._all_runs)
        watching = journal or witness
        self._life = Life(bundle, rules, self.decisions, self._sending, self._calling, self._keeper, watching)
        self._carrier = Carrier(self._life, self._sending, self._keeper, self._agenda, self._people)
        self._happening = Happening(self._life, self._carrier, self._agenda, self._people, self.unanswered)
        # A journal shows every firing and what was asked at it; nobody else needs to see those who stay out.
        self._happening.put_in_force(bundle, rules, every_firing=journal is not None)
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
            living = begin(person, self._bundle.workspace, self.now)
            self._people.add(living)
            for (journey, step), arm in person.arms.items():
                self._life.runs.give_arm(living, journey, step, arm, self.now)
            if self._bundle.profile.version and not are_new:
                self._agenda.plan(self.now, Order.BEGIN, person.id, BY_RULES, FIRST)
            self._happening.plan_firings(living, self.now, self._past)

    def remember(
        self, contact_id: str, event: str, at: datetime, properties: Mapping[str, Any] | None = None
    ) -> None:
        """Let an event have happened before now: it counts for the person's facts, and starts no journey.

        NotFound for a person or a type of event that does not exist, ValueError for the future.
        """
        person = self._people.find(contact_id)
        if at > self.now:
            raise ValueError("what is remembered lies in the past of a simulation")
        self._life.remember(person, self._happening.event(person, event, at, properties or {}))

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
        self._people.find(contact_id)
        known_kind(event, self._bundle)
        if at < self.now:
            raise ValueError("events cannot happen in the past of a simulation")
        self._agenda.plan(at, Order.EVENT, contact_id, event, FIRST, properties, traits, age)

    def merge(self, one: str, other: str, at: datetime, *, because: str = "operator") -> None:
        """Let two people turn out to be one at a moment that is still to come, or now.

        Ask for it before anything happens: from then on what people did is kept. NotFound for somebody who
        does not exist, ValueError for the past.
        """
        self._people.find(one), self._people.find(other)
        if at < self.now:
            raise ValueError("nobody is joined in the past of a simulation")
        self._life.keep_past()
        self._agenda.plan(at, Order.EVENT, one, CONTACT_MERGED, FIRST, {"other": other, "because": because})

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
        self._people.find(contact_id)
        if at < self.now:
            raise ValueError("tasks cannot be answered in the past of a simulation")
        told = {"choice": choice, "journey": journey, "by": by, "number": number}
        self._agenda.plan(at, Order.ANSWER, contact_id, step, FIRST, told)

    def know_refusals(self, refused: Mapping[str, str]) -> None:
        """Have providers refuse the messages of these keys, each with its code; all others are accepted."""
        self._sending.know_refusals(refused)

    async def run_until(self, moment: datetime) -> None:
        """Let everything happen that happens until then, that moment included."""
        while True:
            look_at = self._sending.next_look()
            until = moment if look_at is None else min(moment, look_at)
            due = self._agenda.take(until)
            if due is not None:
                self.now = due.at
                await self._happening.do(due, self._past)
            elif look_at is not None and look_at <= moment:
                self.now = max(self.now, look_at)
                self._sending.look(self.now)
            else:
                break
            while self._sending.take_woken():
                await self._let_go()
        self.now = self._past = max(self.now, moment)

    async def run_before(self, moment: datetime) -> None:
        """Let everything happen that happens before then; what happens at that moment is still to come."""
        await self.run_until(moment - TICK)
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
        self._switch(bundle, rules, journal)
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
        self._switch(bundle, matcher, None)
        self._keeper.place_orders(bundle.hash, people)
        moved = [(person, self._life.runs.round(person, self.now)) for person in self._people]
        for person, runs in moved:
            for run_id, cause in runs:
                await self._carrier.carry(person, run_id, cause, self.now)
        if is_computed_anew:
            for person in self._people:
                self._agenda.plan(self.now, Order.BEGIN, person.profile.id, BY_RULES, FIRST)
        await self._go_on_under_it()

    def _switch(self, bundle: Bundle, rules: Decider, journal: Journal | None) -> None:
        self._bundle = bundle
        self._sending.put_in_force(bundle, self.now)
        self._life.put_in_force(bundle, rules, journal or self._witness)
        self._happening.put_in_force(bundle, rules, every_firing=journal is not None)

    async def _go_on_under_it(self) -> None:
        """What the bundle that has just come into force lets go on."""
        for person in self._people:
            person.firings = {}
            self._happening.plan_firings(person, self.now, self._past, is_ahead=True)
            for run_id in list(person.active):
                made = self._life.runs.make_held_call(person, run_id, self.now)
                if made is not None:
                    await self._carrier.carry(person, run_id, made, self.now)
        await self._let_go()

    async def trip(self, breaker: str, scope: str, level: str) -> None:
        """Open a breaker by hand now; it holds messages in its scope until it is reset."""
        closed = Status(State.CLOSED, self.now)
        self._sending.force_breaker(breaker, scope, machine.trip(closed, level, _BY_HAND, self.now))

    async def reset(self, breaker: str, scope: str) -> None:
        """Close a breaker by hand now; what it held leaves, if nothing else holds it."""
        self._sending.force_breaker(breaker, scope, machine.reset(Status(State.CLOSED, self.now), self.now))
        await self._let_go()

    @property
    def breakers(self) -> Mapping[tuple[str, str], PublishedBreaker]:
        """What was put in force, by breaker and scope; others are closed."""
        return self._sending.breakers

    async def say_of_share(self, budget: str, share: str, *, halted: bool) -> None:
        """Halt a share of a budget by hand now, or let it go on; what it held is looked at again then."""
        self._sending.say_of_share(budget, share, self.now, _BY_HAND, halted=halted)
        if not halted:
            await self._let_go()

    async def _let_go(self) -> None:
        """Deliver what nothing holds any more."""
        ready = self._sending.ready(self.now)
        await self._carrier.look_again([(intent.contact_id, intent.key) for intent in ready], self.now)

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
        self._agenda.clear()
        self._sending.forget()
        self._calling.forget()
        self._life.runs.forget_people()
        self._keeper.forget()

    def facts(self, contact_id: str) -> dict[str, FactValue | None]:
        """The `contact.` facts of a person now."""
        return contact_facts(self._people.find(contact_id).profile, self._bundle, self.now)

    def zone(self, contact_id: str) -> str:
        """The IANA zone on whose clock a person lives: their own, else the workspace's."""
        return self._people.find(contact_id).profile.timezone or self._bundle.workspace.timezone

    def zone_candidates(self, contact_id: str) -> tuple[str, ...]:
        """Where a person may be by their phone numbers, while that is several clocks; empty otherwise."""
        return self._people.find(contact_id).profile.timezone_candidates

    def active_runs(self, contact_id: str) -> dict[str, str | None]:
        """The journeys a person is in now -> the step they are at."""
        return {
            run.program.journey: run.state.position for run in self._people.find(contact_id).active.values()
        }

    def runs(self, contact_id: str) -> tuple[VirtualRun, ...]:
        """The runs of a person that have not ended, as they stand now."""
        return tuple(self._people.find(contact_id).active.values())

    def close(self) -> None:
        """Let go of the compiled rules."""
        for matcher in self._own_matchers:
            matcher.close()

    def _all_runs(self) -> Iterator[VirtualRun]:
        return (run for person in self._people for run in person.active.values())
