"""What events do to the runs of people in memory: they end some, wake some and start others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from engine.authoring.bundle import Bundle
from engine.changing import changed
from engine.delivery.intents import run_ended_answer, withdrawn_answer
from engine.gate.consent import ConsentRecord, TakenBack, take_back
from engine.gate.model import Outcome
from engine.journeys import matching
from engine.journeys.calendar import working_facts
from engine.journeys.event import ABOUT_MERGES, Event, event_facts
from engine.journeys.interpreter import Decider
from engine.journeys.keeping import kept_of
from engine.journeys.localtime import zone_of
from engine.journeys.matching import (
    ANY_EVENT,
    NO_RUNS,
    ActiveRun,
    Doors,
    Ending,
    Entering,
    Listener,
    Refusal,
    addressed,
    decide_entry,
    lasting_listeners,
)
from engine.journeys.program import Program
from engine.journeys.recognising import Recogniser
from engine.journeys.retiming import retimed
from engine.journeys.run import (
    Cancelled,
    EventSeen,
    OutcomeKnown,
    RunState,
    WaitKind,
    journey_facts,
)
from engine.journeys.starting import chain_of, starter_of
from engine.rules.facts import Facts
from engine.runs.keys import run_id_of, wished_by
from engine.runs.telling import moved_wait
from engine.simulation.advancing import Advancing
from engine.simulation.deciding import Decisions
from engine.simulation.in_flight import InFlightKeeper
from engine.simulation.people import Living, VirtualRun, known_kind
from engine.simulation.sending import Sending
from engine.simulation.touched import NOBODY, Touched


class Reacting:
    """The journeys of the bundle in force, as events meet them."""

    def __init__(
        self, decisions: Decisions, sending: Sending, keeper: InFlightKeeper, advancing: Advancing
    ) -> None:
        self._decisions = decisions
        self._sending = sending
        self._keeper = keeper
        self._advancing = advancing
        self.keeps_past = False
        """Whether people may turn out to be one: then what they did is looked at once more."""

    def put_in_force(self, bundle: Bundle, matcher: Decider) -> None:
        """Let events meet this bundle from now on."""
        self._bundle = bundle
        self._matcher = matcher
        self._programs: dict[str, list[Program]] = {}
        self.recogniser = Recogniser(bundle.patterns, matcher)
        for _, program in sorted(bundle.programs.items()):
            for event_type in program.entry.events:
                self._programs.setdefault(event_type, []).append(program)

    def would_enter(self, person: Living, program: Program, event: Event) -> bool:
        """Whether the event would start a run of the program as things stand."""
        facts = {**person.facts(self._bundle, event.received_at), **event_facts(event)}
        programs = addressed(self._programs.get(event.type, []), event)
        doors = changed(self._doors(person, event, facts, programs), has_entered=lambda _journey, _key: False)
        history = person.history.get(program.journey, NO_RUNS)
        return isinstance(decide_entry(program, event, facts, event.received_at, doors, history), Entering)

    def recognise(self, person: Living, event: Event) -> Event:
        """The event with the patterns it completes."""
        if self.keeps_past:
            person.past.append(event)
        event, person.pasts = self.recogniser.look(event, person.pasts or self.recogniser.begin())
        return event

    def react(
        self, person: Living, event: Event, contact: Facts, consents: Sequence[ConsentRecord] = ()
    ) -> Touched:
        """What an event does to runs; `contact` are the person's facts after it, `consents` what it said."""
        now = event.received_at
        event = self.recognise(person, event)
        programs = addressed(self._programs.get(event.type, []), event)
        is_deletion = known_kind(event.type, self._bundle).effect == "deleted"
        said_now = person.consents if event.type in ABOUT_MERGES else consents
        if not (person.active or programs or said_now or is_deletion):
            return NOBODY
        zone = zone_of(person.profile.timezone, self._bundle.workspace.timezone)
        brought = event_facts(event)
        facts = {**contact, **brought}
        for program in (each for each in programs if each.entry.calendars):
            facts |= working_facts(program.entry.calendars, now, zone)
        taken = [
            found
            for said in list(said_now)
            if said.is_refusal
            and (found := take_back(said, person.consents, self._bundle.purposes, now)) is not None
        ]
        withdrawn: frozenset[str] = frozenset().union(*(each.ends_runs_of for each in taken))
        reaction = matching.NO_REACTION
        if programs or withdrawn or is_deletion or _is_heard(event, person.active.values()):
            reaction = matching.react(
                event,
                facts,
                now,
                [_listening(run, event, zone) for run in person.active.values()],
                self._doors(person, event, facts, programs),
                withdrawn=withdrawn,
                is_deletion=is_deletion,
            )
        for run in person.active.values():
            if run.state.waiting is not None and run.state.waiting.kind is WaitKind.EVENT:
                run.since.append(event)
        for ending in reaction.endings:
            self._advancing.advance(person, ending.run_id, ending.cause, now)
        for waking in reaction.wakings:
            # It has heard its event: what else comes before it is carried is not for this wait.
            woken = person.active[waking.run_id]
            woken.at_step, woken.heard = (), EventSeen(event.event_id, brought)
        moved = self._retime(person, facts, now)
        for refusal in reaction.refusals:
            self._refuse(refusal, event)
        entered = tuple(self._enter(person, entering, event, brought) for entering in reaction.entries)
        settled = self._drop(person, reaction.endings, taken, now)
        return Touched(entered, tuple(waking.run_id for waking in reaction.wakings), settled, moved)

    def _retime(self, person: Living, facts: Facts, now: datetime) -> tuple[str, ...]:
        """Move the ends of waits that hang on what an event has changed; the runs whose wait has moved."""
        found = []
        for run_id, run in person.active.items():
            if run.state.waiting is None or run.state.waiting.kind is not WaitKind.TIMER:
                continue  # nothing else hangs on what is known
            zone = zone_of(person.profile.timezone, run.bundle.workspace.timezone)
            state = retimed(run.program, run.state, facts=facts, zone=zone, now=now)
            if state is None or state.waiting is None:
                continue
            evidence = moved_wait(state.position, run.state.waiting.due_at, state.waiting.due_at)
            self._decisions.of_run(now, "wait", state, "allow", "run.retimed", evidence)
            run.state = state
            found.append(run_id)
        return tuple(found)

    def _drop(
        self, person: Living, endings: Sequence[Ending], taken: Sequence[TakenBack], now: datetime
    ) -> tuple[tuple[str, OutcomeKnown], ...]:
        """Drop the messages of ended runs and those that a refusal stops; runs that waited for one go on."""
        if not endings and not taken:
            return ()
        contact_id = person.profile.id
        because = withdrawn_answer()
        by_withdrawal = {
            ending.run_id
            for ending in endings
            if isinstance(ending.cause, Cancelled) and ending.cause.reason == because.reason
        }
        otherwise = {ending.run_id for ending in endings} - by_withdrawal
        self._sending.drop_of_runs(contact_id, by_withdrawal, because, now)
        self._sending.drop_of_runs(contact_id, otherwise, run_ended_answer(), now)
        dropped: dict[str, Outcome] = {}
        for each in taken:
            dropped |= self._sending.drop_stopped(contact_id, each, now)
        return tuple(
            (run.state.run_id, OutcomeKnown(run.state.position or "", dropped[key].value))
            for run in person.active.values()
            if (key := wished_by(run.state)) in dropped
        )

    def _doors(self, person: Living, event: Event, facts: Facts, programs: Sequence[Program]) -> Doors:
        matched: Sequence[str] = ()
        if any(program.entry.rule_on(event.type) is not None for program in programs):
            matched = self._matcher.matching(f"entry:{event.type}", facts, event.received_at)
        return Doors(
            programs,
            matched,
            person.history,
            lambda journey, key: (journey, key) in person.entered,
            self._bundle.workspace.late_after,
            self._bundle.paused_journeys,
            self._keeper.draining(),
        )

    def _enter(self, person: Living, entering: Entering, event: Event, brought: Facts) -> str:
        program = entering.program
        run_id = self._run_id(program.journey, event.contact_id, entering.entry_key)
        state = RunState(
            run_id,
            program.journey,
            event.contact_id,
            entering.entry_key,
            chain=chain_of(event),
            entry=kept_of(brought, program.keeps.entry),
        )
        entry = {**event.properties, "type": event.type, "occurred_at": event.occurred_at.isoformat()}
        lasting = lasting_listeners(program, event.received_at, event.seq)
        person.active[run_id] = VirtualRun(
            state, program, entry, event, lasting, event.received_at, self._bundle, self._matcher
        )
        person.entered.add((program.journey, entering.entry_key))
        before = person.history.get(program.journey, NO_RUNS)
        person.history[program.journey] = changed(before, runs=before.runs + 1, active=before.active + 1)
        starter = starter_of(event)
        because = {"started_by": starter} if starter is not None else {}
        self._decisions.of_run(event.received_at, "entry", state, "allow", "entry.entered", because)
        return run_id

    def _refuse(self, refusal: Refusal, event: Event) -> None:
        starter = starter_of(event)
        because = {"started_by": starter} if starter is not None else {}
        self._decisions.refused(refusal, event.contact_id, event.received_at, because)

    def _run_id(self, journey: str, contact_id: str, entry_key: str) -> str:
        return run_id_of(self._bundle.workspace.id, journey, contact_id, entry_key)


def _is_heard(event: Event, runs: Iterable[VirtualRun]) -> bool:
    """Whether any of the runs listens for events of the event's type."""
    return any(_has_listener(run, event) for run in runs)


def _has_listener(run: VirtualRun, event: Event) -> bool:
    for listener in run.lasting:
        if listener.event_type == event.type or listener.event_type == ANY_EVENT:
            return True
    for listener in run.at_step:
        if listener.event_type == event.type or listener.event_type == ANY_EVENT:
            return True
    return False


def _listening(run: VirtualRun, event: Event, zone: ZoneInfo) -> ActiveRun:
    listeners: tuple[Listener, ...] = run.lasting + run.at_step
    is_asked = _has_listener(run, event)
    facts = journey_facts(run.state) if is_asked else {}
    if is_asked and run.program.calendars:
        facts |= working_facts(run.program.calendars, event.received_at, zone)
    return ActiveRun(run.state.run_id, run.state.journey, run.program.purpose, listeners, facts, run.matcher)
