"""What events and time do to one person's runs in memory; decisions are recorded, messages wished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol, cast
from zoneinfo import ZoneInfo

from engine.authoring.bundle import Bundle
from engine.changing import changed
from engine.contacts.computing import Computed, change_tags, compute
from engine.contacts.consent import ConsentEntry
from engine.contacts.counting import count_event
from engine.contacts.crossing import BY_EVENT, crossing_events, sweep_cause
from engine.contacts.deriving import Derivations
from engine.contacts.updating import apply_event
from engine.delivery.intents import run_ended_answer, withdrawn_answer
from engine.gate.consent import ConsentRecord, TakenBack, take_back
from engine.gate.model import Intent, Outcome
from engine.intake.consenting import consent_entries, pending_events
from engine.journeys.calendar import working_facts
from engine.journeys.event import Event, event_facts
from engine.journeys.interpreter import Advanced, Decider, advance
from engine.journeys.keeping import kept_of
from engine.journeys.localtime import zone_of
from engine.journeys.matching import (
    ActiveRun,
    Doors,
    Ending,
    Entering,
    History,
    Listener,
    Refusal,
    addressed,
    decide_entry,
    lasting_listeners,
    react,
    step_listeners,
)
from engine.journeys.migrating import SAFE
from engine.journeys.program import Ask, Experiment, Program
from engine.journeys.recognising import Recogniser
from engine.journeys.retiming import retimed
from engine.journeys.run import (
    Branched,
    CallEnded,
    CallOutcome,
    CallWish,
    Cancelled,
    Cause,
    Ended,
    EventSeen,
    Exposed,
    GoalReached,
    LeaveSeen,
    OutcomeKnown,
    Repeated,
    RunState,
    SendIntent,
    StartWish,
    TagChange,
    TaskClosed,
    TaskDecided,
    TaskOpened,
    TaskState,
    WaitKind,
    journey_facts,
    texts_see,
)
from engine.journeys.starting import asked_by, chain_of, refused_start, start_event, starter_of
from engine.journeys.tasking import TaskNote, closed_note, decided_note, opened_note
from engine.rules.facts import Facts
from engine.rules.matcher import Matcher
from engine.runs.keys import intent_key_of, run_id_of, wished_by
from engine.runs.telling import ended_evidence, moved_wait, repeat_evidence, repeat_reason, verdict_of
from engine.simulation.calling import Calling
from engine.simulation.exposures import MemoryAssignments
from engine.simulation.in_flight import InFlightKeeper, Taken
from engine.simulation.people import Living, VirtualRun, known_kind, state
from engine.simulation.records import Decided
from engine.simulation.sending import Sending


@dataclass(frozen=True)
class Touched:
    """The runs an event moved, by id: they are carried next, in this order."""

    entered: tuple[str, ...]
    woken: tuple[str, ...]
    settled: tuple[tuple[str, OutcomeKnown], ...]
    """Runs whose message the event dropped, with its outcome."""
    retimed: tuple[str, ...] = ()
    """Runs whose wait ends at another moment now."""


NOBODY = Touched((), (), ())


def _together(several: Sequence[Touched]) -> Touched:
    """What events of one transaction moved: those entered come first, as production carries them."""
    if len(several) < 2:
        return several[0] if several else NOBODY
    return Touched(
        tuple(run_id for touched in several for run_id in touched.entered),
        tuple(run_id for touched in several for run_id in touched.woken),
        tuple(each for touched in several for each in touched.settled),
        tuple(run_id for touched in several for run_id in touched.retimed),
    )


class Witness(Protocol):
    """Sees what happens to people and runs, as it happens."""

    def happened(self, event: Event, traits: Mapping[str, Any]) -> None:
        """An event came."""

    def moved(self, before: str | None, cause: Cause, done: Advanced, now: datetime) -> None:
        """A run went from the step it stood at, None before its start, to its next wait or its end."""


class Life:
    """One bundle's journeys over people in memory."""

    def __init__(
        self,
        bundle: Bundle,
        matcher: Decider,
        decisions: list[Decided],
        sending: Sending,
        calling: Calling,
        keeper: InFlightKeeper,
        witness: Witness | None = None,
    ) -> None:
        self._decisions = decisions
        self._sending = sending
        self._calling = calling
        self._keeper = keeper
        self._assignments = MemoryAssignments()
        self._started: list[Touched] = []
        self.put_in_force(bundle, matcher, witness)

    def put_in_force(self, bundle: Bundle, matcher: Decider, witness: Witness | None = None) -> None:
        """Let events meet this bundle from now on; runs on their way stay in the one that they entered."""
        self._bundle = bundle
        self._keeper.know(bundle, matcher)
        # What is computed of a contact asks nothing but what every decider can answer.
        self._matcher = cast(Matcher, matcher)
        # A journal wants to see everything asked; nobody else minds an answer that is known.
        self._deriving = Derivations(bundle, matcher) if isinstance(matcher, Matcher) else None
        self._witness = witness
        self._calling.put_in_force(bundle)
        self._programs: dict[str, list[Program]] = {}
        self._recogniser = Recogniser(bundle.patterns, matcher)
        for _, program in sorted(bundle.programs.items()):
            for event_type in program.entry.events:
                self._programs.setdefault(event_type, []).append(program)

    def give_arm(self, person: Living, journey: str, step: str, arm: str, at: datetime) -> None:
        """Let a person have an arm of an experiment already. KeyError for one that is not there."""
        experiment = self._bundle.programs[journey].steps[step]
        if not isinstance(experiment, Experiment) or arm not in experiment.design.arms:
            raise KeyError(f"{journey}/{step} is no experiment with an arm {arm!r}")
        self._assignments.give(experiment.design, person.profile.id, arm, at)

    def forget_people(self) -> None:
        """Let go of what is kept of people beside themselves: their arms of experiments."""
        self._assignments.forget_people()

    def remember(self, person: Living, event: Event) -> None:
        """Let an event have happened before the simulation: it counts, and starts and ends nothing."""
        profile = person.profile
        person.known = None
        profile.created_at = min(profile.created_at, event.received_at)
        count_event(profile, event, self._bundle, self._matcher)
        apply_event(profile, event, known_kind(event.type, self._bundle))
        self._recognise(person, event)
        self._say(person, event)

    def happen(
        self, person: Living, event: Event, traits: Mapping[str, Any] = MappingProxyType({})
    ) -> Touched:
        """Let an event happen: to the profile, the consents and the runs, in the order of intake."""
        if self._witness is not None:
            self._witness.happened(event, traits)
        profile = person.profile
        if traits:
            state(person, traits, self._bundle, event.received_at)
        count_event(profile, event, self._bundle, self._matcher)
        apply_event(profile, event, known_kind(event.type, self._bundle))
        person.known = None
        computed = self._computed(person, event.received_at)
        person.sort_runs()
        said = self._say(person, event)
        touched = [self._react(person, event, computed.facts, [entry.record for entry in said])]
        for pending in pending_events(said, event):
            touched.append(self._tell(person, pending, computed.facts))
        touched += self._cross(person, computed, event.event_id, BY_EVENT, event.received_at)
        return _together(touched)

    def would_enter(self, person: Living, program: Program, event: Event) -> bool:
        """Whether the event would start a run of the program as things stand."""
        facts = {**person.facts(self._bundle, event.received_at), **event_facts(event)}
        doors = replace(self._doors(person, event, facts), has_entered=lambda _journey, _key: False)
        history = person.history.get(program.journey, History())
        return isinstance(decide_entry(program, event, facts, event.received_at, doors, history), Entering)

    def compute(self, person: Living, because: str, now: datetime) -> Touched:
        """Compute the profile anew although nothing has happened; audiences crossed are told to the runs."""
        cause = sweep_cause(person.profile)
        person.sort_runs()
        computed = self._computed(person, now)
        return _together(self._cross(person, computed, cause, because, now))

    def _computed(self, person: Living, now: datetime) -> Computed:
        facts = person.facts(self._bundle, now)
        computed = compute(
            person.profile, self._bundle, self._matcher, now, facts=facts, deriving=self._deriving
        )
        person.know(self._bundle, computed.facts)
        return computed

    def _cross(
        self, person: Living, computed: Computed, cause: str, because: str, now: datetime
    ) -> list[Touched]:
        if not computed.crossings:
            return []
        events = crossing_events(computed.crossings, person.profile.id, cause, because, now)
        return [self._tell(person, event, computed.facts) for event in events]

    def _tell(self, person: Living, event: Event, contact: Facts) -> Touched:
        """Let an event happen that Wayline itself writes; it comes next after the person's latest one."""
        person.seq += 1
        person.profile.last_event_seq = person.seq
        person.known = None  # from its first event on, a contact without a count is no longer one at zero
        if self._witness is not None:
            self._witness.happened(event, {})
        return self._react(person, changed(event, seq=person.seq), contact)

    def _say(self, person: Living, event: Event) -> list[ConsentEntry]:
        """Write down what the event says of consent; what was written."""
        kind = known_kind(event.type, self._bundle)
        said = consent_entries(event, kind, self._bundle, lambda: person.consents)
        person.consents += (entry.record for entry in said)
        return said

    def _react(
        self, person: Living, event: Event, contact: Facts, consents: Sequence[ConsentRecord] = ()
    ) -> Touched:
        """What an event does to runs; `contact` are the person's facts after it, `consents` what it said."""
        now = event.received_at
        event = self._recognise(person, event)
        zone = zone_of(person.profile.timezone, self._bundle.workspace.timezone)
        facts = {**contact, **event_facts(event)}
        programs = addressed(self._programs.get(event.type, []), event)
        for program in (each for each in programs if each.entry.calendars):
            facts |= working_facts(program.entry.calendars, now, zone)
        taken = [
            found
            for said in consents
            if said.is_refusal
            and (found := take_back(said, person.consents, self._bundle.purposes, now)) is not None
        ]
        withdrawn = frozenset[str]().union(*(each.ends_runs_of for each in taken))
        runs = [_listening(run, now, zone) for run in person.active.values()]
        reaction = react(
            event,
            facts,
            now,
            runs,
            self._doors(person, event, facts),
            withdrawn=withdrawn,
            is_deletion=known_kind(event.type, self._bundle).effect == "deleted",
        )
        for run in person.active.values():
            if run.state.waiting is not None and run.state.waiting.kind is WaitKind.EVENT:
                run.since.append(event)
        for ending in reaction.endings:
            self.advance(person, ending.run_id, ending.cause, now)
        for waking in reaction.wakings:
            # It has heard its event: what else comes before it is carried is not for this wait.
            woken = person.active[waking.run_id]
            woken.at_step, woken.heard = (), EventSeen(event.event_id, event_facts(event))
        moved = self._retime(person, facts, now)
        for refusal in reaction.refusals:
            self._refuse(refusal, event)
        entered = tuple(self._enter(person, entering, event) for entering in reaction.entries)
        settled = self._drop(person, reaction.endings, taken, now)
        return Touched(entered, tuple(waking.run_id for waking in reaction.wakings), settled, moved)

    def _retime(self, person: Living, facts: Facts, now: datetime) -> tuple[str, ...]:
        """Move the ends of waits that hang on what an event has changed; the runs whose wait has moved."""
        found = []
        for run_id, run in person.active.items():
            zone = zone_of(person.profile.timezone, run.bundle.workspace.timezone)
            state = retimed(run.program, run.state, facts=facts, zone=zone, now=now)
            if state is None or state.waiting is None or run.state.waiting is None:
                continue
            evidence = moved_wait(state.position, run.state.waiting.due_at, state.waiting.due_at)
            self._decide(now, "wait", state, "allow", "run.retimed", evidence)
            run.state = state
            found.append(run_id)
        return tuple(found)

    def _recognise(self, person: Living, event: Event) -> Event:
        """The event with the patterns it completes."""
        event, person.pasts = self._recogniser.look(event, person.pasts or self._recogniser.begin())
        return event

    def take_started(self) -> Touched:
        """What the journeys that runs have started since the last call touched."""
        started, self._started = self._started, []
        return _together(started)

    def advance(self, person: Living, run_id: str, cause: Cause, now: datetime) -> Intent | CallEnded | None:
        """Move a run; the message it wishes, or the end of a call, when that is what it waits for now.

        Journeys that it starts let the person in at once; `take_started` tells whom to carry then.
        """
        run = person.active[run_id]
        if self._keeper.has_orders and not isinstance(cause, LeaveSeen | GoalReached | Cancelled):
            waits_safely = run.state.waiting is None or run.state.waiting.kind in SAFE
            taken = self.take_over(person, run, None if waits_safely else cause, now)
            if taken is not None:
                if taken.cause is None:
                    return None
                cause = taken.cause
        # A run that stays on an earlier version counts as that bundle says.
        facts = person.facts(run.bundle, now)
        zone = zone_of(person.profile.timezone, run.bundle.workspace.timezone)
        done = advance(
            run.program,
            run.state,
            cause,
            facts=facts,
            zone=zone,
            now=now,
            matcher=run.matcher,
            assignments=self._assignments,
        )
        if done.run == run.state:
            return None
        if self._witness is not None:
            self._witness.moved(run.state.position, cause, done, now)
        before, run.state = run.state, done.run
        run.at_step, run.since = step_listeners(run.program, done.run, person.seq), []
        wished: Intent | CallEnded | None = None
        for effect in done.effects:
            match effect:
                case SendIntent():
                    wished = self._wish(run, effect, now)
                    self._sending.plan(person, wished)
                case CallWish():
                    end = self._calling.call(person.profile.id, run.program.journey, effect, now)
                    wished = end if isinstance(end, CallEnded) else None
                    run.call_ends_at = end if isinstance(end, datetime) else None
                case TagChange(add, remove):
                    change_tags(person.profile, add, remove, now)
                    person.known = None
                case TaskOpened():
                    self._note(now, run.state, opened_note(effect))
                case TaskClosed():
                    due_at = before.waiting.due_at if before.waiting is not None else None
                    why = next((each.reason for each in done.effects if isinstance(each, Ended)), "")
                    self._note(now, run.state, closed_note(effect, due_at, why))
                case Branched(step, case):
                    evidence = {"step": step, "taken": case or "else"}
                    self._decide(now, "branch", run.state, "allow", "run.branched", evidence)
                case Repeated():
                    evidence = repeat_evidence(effect)
                    self._decide(now, "branch", run.state, "allow", repeat_reason(effect), evidence)
                case Exposed(step, design, assignment):
                    self._assignments.keep(design, person.profile.id, assignment, now)
                    evidence = {"step": step, **assignment.evidence(design)}
                    self._decide(now, "experiment", run.state, "allow", "experiment.exposed", evidence)
                case Ended():
                    self._over(person, run, effect, now)
        self._start(person, done.run, [each for each in done.effects if isinstance(each, StartWish)], now)
        return wished

    def round(self, person: Living, now: datetime) -> list[tuple[str, Cause | None]]:
        """Take over whom orders are for and who can be moved; the runs to be carried, and why."""
        moved: list[tuple[str, Cause | None]] = []
        for run_id, run in sorted(person.active.items(), key=lambda item: (item[1].program.journey, item[0])):
            taken = self.take_over(person, run, None, now)
            if taken is not None and taken.ended is None:
                moved.append((run_id, taken.cause))
        return moved

    def take_over(self, person: Living, run: VirtualRun, cause: Cause | None, now: datetime) -> Taken | None:
        """Take a run over to another version of its journey, or end it, as was ordered; None: it stays."""
        before = run.state
        taken = self._keeper.take(person, run, cause, now)
        if taken is None:
            return None
        waiting = before.waiting
        is_asked = waiting is not None and waiting.kind is WaitKind.TASK
        if waiting is not None and (taken.withdraws_task or (is_asked and taken.ended is not None)):
            closed = TaskClosed(waiting.step, before.visits.get(waiting.step, 1), TaskState.WITHDRAWN)
            due_at = waiting.due_at if taken.ended is None else None
            why = "run.moved" if taken.ended is None else taken.ended.reason
            self._note(now, before, closed_note(closed, due_at, why))
        if taken.ended is None:
            self._decide(now, "run", run.state, "allow", "run.moved", dict(taken.evidence))
            return taken
        self._over(person, run, taken.ended, now, taken.evidence)
        self._sending.drop_of_runs(person.profile.id, {before.run_id}, run_ended_answer(), now)
        return taken

    def _start(self, person: Living, run: RunState, wishes: Sequence[StartWish], now: datetime) -> None:
        """Ask for journeys that a run wants to start; those that cannot be asked are told first."""
        asked: list[StartWish] = []
        for wish in wishes:
            program = self._bundle.programs.get(wish.journey)
            if program is None and wish.journey in self._bundle.landmarks:
                continue  # it takes no part in this test, and that says nothing about the step
            refusal = refused_start(program, wish)
            if refusal is None:
                asked.append(wish)
            else:
                self._refused(refusal, run.contact_id, now, {"started_by": asked_by(run, wish)})
        for wish in asked:
            person.seq += 1
            self._started.append(self.happen(person, start_event(run, wish, now, person.seq)))

    def decide(
        self, person: Living, journey: str | None, step: str, choice: str, by: str, now: datetime
    ) -> tuple[str, TaskDecided] | None:
        """A person answers the task of a step: the run to be carried, and why; None when it is not open."""
        for run_id, run in person.active.items():
            waiting = run.state.waiting
            if waiting is None or waiting.kind is not WaitKind.TASK or waiting.step != step:
                continue
            asked = run.program.steps[step]
            assert isinstance(asked, Ask), "only such steps give tasks"
            chosen = asked.choice(choice)
            is_late = waiting.due_at is not None and waiting.due_at <= now
            if journey in (None, run.program.journey) and chosen is not None and not is_late:
                self._note(now, run.state, decided_note(step, choice, chosen.title, by))
                return run_id, TaskDecided(step, choice)
        return None

    def _note(self, now: datetime, run: RunState, note: TaskNote) -> None:
        evidence = dict(note.evidence)
        self._decide(
            now, "task", run, note.verdict, note.reason, evidence, note.step, would_pass_if=note.would_pass_if
        )

    def expire(self, person: Living, run_id: str, now: datetime) -> CallEnded | None:
        """The end of a call that was held until its time was over; None when there is none."""
        run = person.active.get(run_id)
        if run is None or run.call_ends_at != now or run.state.waiting is None:
            return None
        run.call_ends_at = None
        ended = CallEnded(run.state.waiting.step, CallOutcome.EXPIRED)
        return self._calling.end(person.profile.id, run.program.journey, ended, now)

    def make_held_call(self, person: Living, run_id: str, now: datetime) -> CallEnded | None:
        """The end of a call that a plan held until now; None when there is none, or it is held still."""
        run = person.active[run_id]
        if run.call_ends_at is None or run.state.waiting is None:
            return None
        name = run.program.journey
        if self._calling.is_held(run.program.purpose, name):
            return None
        run.call_ends_at = None
        return self._calling.make(person.profile.id, name, run.state.waiting.step, now)

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

    def _doors(self, person: Living, event: Event, facts: Facts) -> Doors:
        programs = addressed(self._programs.get(event.type, []), event)
        matched: tuple[str, ...] = ()
        if any(program.entry.rule_on(event.type) is not None for program in programs):
            matched = self._matcher.matching(f"entry:{event.type}", facts, event.received_at)
        return Doors(
            programs,
            matched,
            person.history,
            lambda journey, key: self._run_id(journey, event.contact_id, key) in person.entered,
            self._bundle.workspace.late_after,
            self._bundle.paused_journeys,
            self._keeper.draining(),
        )

    def _enter(self, person: Living, entering: Entering, event: Event) -> str:
        program = entering.program
        run_id = self._run_id(program.journey, event.contact_id, entering.entry_key)
        state = RunState(
            run_id,
            program.journey,
            event.contact_id,
            entering.entry_key,
            chain=chain_of(event),
            entry=kept_of(event_facts(event), program.keeps.entry),
        )
        entry = {**event.properties, "type": event.type, "occurred_at": event.occurred_at.isoformat()}
        lasting = lasting_listeners(program, event.received_at, event.seq)
        person.active[run_id] = VirtualRun(
            state, program, entry, event, lasting, event.received_at, self._bundle, self._matcher
        )
        person.entered.add(run_id)
        before = person.history.get(program.journey, History())
        person.history[program.journey] = changed(before, runs=before.runs + 1, active=before.active + 1)
        starter = starter_of(event)
        because = {"started_by": starter} if starter is not None else {}
        self._decide(event.received_at, "entry", state, "allow", "entry.entered", because)
        return run_id

    def _over(
        self,
        person: Living,
        run: VirtualRun,
        ended: Ended,
        now: datetime,
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        del person.active[run.state.run_id]
        before = person.history[run.program.journey]
        person.history[run.program.journey] = changed(before, active=before.active - 1, last_ended_at=now)
        evidence = {**ended_evidence(ended), **more}
        self._decide(now, "run", run.state, verdict_of(ended.outcome), ended.reason, evidence)

    def _refuse(self, refusal: Refusal, event: Event) -> None:
        starter = starter_of(event)
        because = {"started_by": starter} if starter is not None else {}
        self._refused(refusal, event.contact_id, event.received_at, because)

    def _refused(self, refusal: Refusal, contact_id: str, now: datetime, because: Mapping[str, Any]) -> None:
        self._decisions.append(
            Decided(
                at=now,
                kind="entry",
                contact_id=contact_id,
                journey=refusal.journey,
                stage="entry",
                verdict="skip",
                reason=refusal.reason,
                evidence={**refusal.evidence, **because},
                would_pass_if=refusal.would_pass_if,
            )
        )

    def _wish(self, run: VirtualRun, wish: SendIntent, now: datetime) -> Intent:
        state = run.state
        return Intent(
            key=intent_key_of(state.run_id, wish.step, wish.visit),
            contact_id=state.contact_id,
            purpose=wish.purpose,
            priority=run.program.priority,
            content=wish.content,
            channels=wish.channels,
            step_id=wish.step,
            visit=wish.visit,
            created_at=now,
            run_id=state.run_id,
            journey=state.journey,
            deadline_at=now + wish.deadline if wish.deadline is not None else None,
            expires_at=now + run.bundle.purposes[wish.purpose].max_hold,
            bundle_hash=run.bundle.hash,
            variables={
                "event": run.entry,
                "journey": texts_see(state),
            },
        )

    def _decide(
        self,
        at: datetime,
        kind: str,
        state: RunState,
        verdict: str,
        reason: str,
        evidence: dict[str, Any] | None = None,
        step: str | None = None,
        *,
        would_pass_if: str = "",
    ) -> None:
        self._decisions.append(
            Decided(
                at,
                kind,
                state.contact_id,
                state.journey,
                kind,
                verdict,
                reason,
                step,
                evidence=evidence or {},
                would_pass_if=would_pass_if,
            )
        )

    def _run_id(self, journey: str, contact_id: str, entry_key: str) -> str:
        return run_id_of(self._bundle.workspace.id, journey, contact_id, entry_key)


def _listening(run: VirtualRun, now: datetime, zone: ZoneInfo) -> ActiveRun:
    listeners: tuple[Listener, ...] = run.lasting + run.at_step
    facts = journey_facts(run.state) if listeners else {}
    if listeners and run.program.calendars:
        facts |= working_facts(run.program.calendars, now, zone)
    return ActiveRun(run.state.run_id, run.state.journey, run.program.purpose, listeners, facts, run.matcher)
