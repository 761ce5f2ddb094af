"""What becomes of runs in memory: each cause carries one on, its effects are done, messages are wished."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from engine.authoring.bundle import Bundle
from engine.changing import changed
from engine.contacts.computing import change_tags
from engine.delivery.intents import run_ended_answer
from engine.gate.model import Intent
from engine.journeys import joining
from engine.journeys.event import Event
from engine.journeys.interpreter import advance
from engine.journeys.localtime import zone_of
from engine.journeys.matching import (
    step_listeners,
)
from engine.journeys.migrating import SAFE
from engine.journeys.program import Ask, Call, Experiment
from engine.journeys.run import (
    Branched,
    CallEnded,
    CallOutcome,
    CallWish,
    Cancelled,
    Cause,
    Ended,
    Exposed,
    GoalReached,
    LeaveSeen,
    Repeated,
    RunOutcome,
    RunState,
    SendIntent,
    StartWish,
    TagChange,
    TaskClosed,
    TaskDecided,
    TaskOpened,
    TaskState,
    WaitKind,
    texts_see,
)
from engine.journeys.starting import asked_by, refused_start, start_event
from engine.journeys.tasking import closed_note, decided_note, opened_note
from engine.runs.keys import intent_key_of
from engine.runs.telling import ended_evidence, repeat_evidence, repeat_reason, verdict_of
from engine.simulation import merging
from engine.simulation.calling import Calling
from engine.simulation.deciding import Decisions
from engine.simulation.exposures import MemoryAssignments
from engine.simulation.in_flight import InFlightKeeper, Taken
from engine.simulation.people import Living, VirtualRun
from engine.simulation.sending import Sending
from engine.simulation.touched import Touched, together
from engine.simulation.witness import Witness


class Advancing:
    """The runs of people in memory; `start` lets an event that a run asks for happen to its person."""

    def __init__(
        self,
        decisions: Decisions,
        sending: Sending,
        calling: Calling,
        keeper: InFlightKeeper,
        start: Callable[[Living, Event], Touched],
    ) -> None:
        self._decisions = decisions
        self._sending = sending
        self._calling = calling
        self._keeper = keeper
        self._assignments = MemoryAssignments()
        self._start_by = start
        self._started: list[Touched] = []

    def put_in_force(self, bundle: Bundle, witness: Witness | None) -> None:
        """Let runs start journeys of this bundle from now on."""
        self._bundle = bundle
        self._witness = witness
        self._calling.put_in_force(bundle)

    def give_arm(self, person: Living, journey: str, step: str, arm: str, at: datetime) -> None:
        """Let a person have an arm of an experiment already. KeyError for one that is not there."""
        experiment = self._bundle.programs[journey].steps[step]
        if not isinstance(experiment, Experiment) or arm not in experiment.design.arms:
            raise KeyError(f"{journey}/{step} is no experiment with an arm {arm!r}")
        self._assignments.give(experiment.design, person.profile.id, arm, at)

    def forget_people(self) -> None:
        """Let go of what is kept of people beside themselves: their arms of experiments."""
        self._assignments.forget_people()

    def take_started(self) -> Touched:
        """What the journeys that runs have started since the last call touched."""
        started, self._started = self._started, []
        return together(started)

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
        if done.run is run.state or (done.run.position == run.state.position and done.run == run.state):
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
                    end = self._calling.call(
                        person.profile.id, person.identities, run.program.journey, effect, now
                    )
                    wished = end if isinstance(end, CallEnded) else None
                    run.call_ends_at = end if isinstance(end, datetime) else None
                case TagChange(add, remove):
                    change_tags(person.profile, add, remove, now)
                    person.note_own_doings()
                case TaskOpened():
                    self._decisions.of_task(now, run.state, opened_note(effect))
                case TaskClosed():
                    due_at = before.waiting.due_at if before.waiting is not None else None
                    why = next((each.reason for each in done.effects if isinstance(each, Ended)), "")
                    self._decisions.of_task(now, run.state, closed_note(effect, due_at, why))
                case Branched(step, case):
                    evidence = {"step": step, "taken": case or "else"}
                    self._decisions.of_run(now, "branch", run.state, "allow", "run.branched", evidence)
                case Repeated():
                    evidence = repeat_evidence(effect)
                    self._decisions.of_run(now, "branch", run.state, "allow", repeat_reason(effect), evidence)
                case Exposed(step, design, assignment):
                    self._assignments.keep(design, person.profile.id, assignment, now)
                    evidence = {"step": step, **assignment.evidence(design)}
                    self._decisions.of_run(
                        now, "experiment", run.state, "allow", "experiment.exposed", evidence
                    )
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
            self._decisions.of_task(now, before, closed_note(closed, due_at, why))
        if taken.ended is None:
            self._decisions.of_run(now, "run", run.state, "allow", "run.moved", dict(taken.evidence))
            return taken
        self._over(person, run, taken.ended, now, taken.evidence)
        self._sending.drop_of_runs(person.profile.id, {before.run_id}, run_ended_answer(), now)
        return taken

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
                self._decisions.of_task(now, run.state, decided_note(step, choice, chosen.title, by))
                return run_id, TaskDecided(step, choice)
        return None

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
        step = run.state.waiting.step
        waits_at = run.program.steps[step]
        assert isinstance(waits_at, Call), "only calls are held"
        return self._calling.make(person.profile.id, person.identities, name, step, waits_at.action, now)

    def join(self, survivor: Living, gone: Living, now: datetime) -> None:
        """Let the runs, messages and arms of two people be those of one."""
        for giving in merging.runs_that_give_way(survivor, gone, self._bundle):
            person = survivor if giving.run_id in survivor.active else gone
            self._give_way(person, person.active[giving.run_id], giving.goes_on, now)
        self._sending.move(gone.profile.id, survivor)
        self._assignments.move(gone.profile.id, survivor.profile.id)

    def _give_way(self, person: Living, run: VirtualRun, goes_on: str, now: datetime) -> None:
        before = run.state
        waiting = before.waiting
        if waiting is not None and waiting.kind is WaitKind.TASK:
            closed = TaskClosed(waiting.step, before.visits.get(waiting.step, 1), TaskState.WITHDRAWN)
            self._decisions.of_task(now, before, closed_note(closed, None, joining.REASON))
        ended = Ended(RunOutcome.CANCELLED, joining.REASON, evidence={"goes_on": goes_on})
        self._over(person, run, ended, now)
        self._sending.drop_of_runs(person.profile.id, {before.run_id}, run_ended_answer(), now)

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
                self._decisions.refused(refusal, run.contact_id, now, {"started_by": asked_by(run, wish)})
        for wish in asked:
            person.seq += 1
            self._started.append(self._start_by(person, start_event(run, wish, now, person.seq)))

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
        self._decisions.of_run(now, "run", run.state, verdict_of(ended.outcome), ended.reason, evidence)

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
