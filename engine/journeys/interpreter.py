"""The one interpreter: carries a run from a cause to its next wait or its end. Every driver calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from engine.changing import changed, frozen
from engine.experiments.assignment import NOTHING_REMEMBERED, Assignment, Assignments, By, assign
from engine.journeys.calendar import working_facts
from engine.journeys.keeping import kept_of
from engine.journeys.program import (
    LONGEST_STRIDE,
    Ask,
    Branch,
    Call,
    ChangeTags,
    Experiment,
    Program,
    Repeat,
    Send,
    SetValues,
    Start,
    StepId,
    Stop,
    Wait,
    WaitFor,
)
from engine.journeys.run import (
    NO_ANSWER,
    Branched,
    CallEnded,
    CallOutcome,
    CallWish,
    Cancelled,
    Cause,
    Effect,
    Ended,
    EventSeen,
    Exposed,
    GoalReached,
    LeaveSeen,
    OutcomeKnown,
    Repeated,
    RunOutcome,
    RunState,
    SendIntent,
    SentOn,
    Started,
    StartWish,
    TagChange,
    TaskClosed,
    TaskDecided,
    TaskOpened,
    TaskState,
    TimerDue,
    Waiting,
    WaitKind,
    journey_facts,
)
from engine.journeys.values import of_declared_types, with_values
from engine.journeys.waiting import may_be_over_at_once, next_minute, task_is_due_at, wait_is_over_at
from engine.rules.facts import Facts, FactValue

BUDGET = 2 * LONGEST_STRIDE
"""Steps after which a run that has not slept ends as `run.loop`; no journey that was checked comes near."""
_SHOWN_OF_A_LOOP = 20


class Decider(Protocol):
    """Decides the rules of one bundle; `engine.rules.matcher.Matcher` is one."""

    def matching(self, shard: str, facts: Facts, now: datetime) -> Sequence[str]:
        """The ids of the shard's rules that are true, in the order of their definition."""

    def holds(self, rule_id: str, facts: Facts, now: datetime) -> bool:
        """Whether one rule is true; unknown is not."""


@frozen
class Advanced:
    """The run as it stands now, and what is to be done in the transaction that stores it, in order."""

    run: RunState
    effects: tuple[Effect, ...] = ()
    path: tuple[StepId, ...] = ()
    """The steps it came by, in order."""


def advance(
    program: Program,
    run: RunState,
    cause: Cause,
    *,
    facts: Facts,
    zone: ZoneInfo,
    now: datetime,
    matcher: Decider,
    assignments: Assignments = NOTHING_REMEMBERED,
) -> Advanced:
    """Carry the run from its cause to its next wait or its end; `now` is journey time.

    A cause that does not fit what the run waits for (it came twice, or too late) changes nothing and has no
    effects. `facts` are those of the contact; the run adds its own.
    `assignments` are asked where an experiment is reached; without them every contact is new to it.
    """
    if not run.is_active:
        return Advanced(run)
    match cause:
        case LeaveSeen(leave):
            return _end(run, _withdrawn(run), Ended(RunOutcome.LEFT, "run.left", leave))
        case GoalReached():
            return _end(run, _withdrawn(run), Ended(RunOutcome.GOAL, "run.goal"))
        case Cancelled(reason):
            return _end(run, _withdrawn(run), Ended(RunOutcome.CANCELLED, reason))
    walk = _Walk(program, facts, zone, now, matcher, assignments)
    resumed = walk.resume(run, cause)
    return Advanced(run) if resumed is None else walk.walk(*resumed)


def _is_due(waiting: Waiting, now: datetime) -> bool:
    return waiting.due_at is not None and waiting.due_at <= now


@dataclass
class _Walk:
    """One advance: the steps taken between two waits."""

    program: Program
    facts: Facts
    zone: ZoneInfo
    now: datetime
    matcher: Decider
    assignments: Assignments
    path: list[StepId] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    def resume(self, run: RunState, cause: Cause) -> tuple[RunState, StepId | None] | None:
        """The run past its present wait and the step to go to; None when the cause does not fit.

        What it waits for is as before: `walk` says in any case what it waits for then.
        """
        waiting = run.waiting
        if waiting is None:
            if isinstance(cause, Started) and run.position is None:
                return run, self.program.first
            if isinstance(cause, SentOn) and run.position is not None:
                return run, run.position
            return None
        match cause, self.program.steps[waiting.step]:
            case TimerDue(), Wait(next=following) if _is_due(waiting, self.now):
                return run, following
            case TimerDue(), WaitFor() as wait if _is_due(waiting, self.now):
                has_come = self._has_come(wait, {**self.facts, **journey_facts(run)})
                return _remembering(run, wait.id, {}), wait.then if has_come else wait.otherwise
            case EventSeen(said=said), WaitFor(then=following):
                kept = kept_of(said, self.program.keeps.events.get(waiting.step, ()))
                return _remembering(run, waiting.step, kept), following
            case TimerDue(), Ask() as ask if _is_due(waiting, self.now):
                self.effects.append(TaskClosed(ask.id, run.visits[ask.id], TaskState.EXPIRED))
                return changed(run, answers={**run.answers, ask.id: NO_ANSWER}), ask.otherwise
            case TaskDecided(step, answer), Ask() as ask if step == waiting.step:
                choice = ask.choice(answer)
                if choice is not None:
                    return changed(run, answers={**run.answers, step: answer}), choice.next
            case OutcomeKnown(step, outcome), Send() as send if step == waiting.step:
                past = changed(run, outcomes={**run.outcomes, step: outcome})
                return past, send.outcomes.get(outcome, send.next)
            case CallEnded(step, outcome, results), Call() as call if step == waiting.step:
                answers = {**run.results, step: of_declared_types(call.results, results)}
                past = changed(run, calls={**run.calls, step: outcome}, results=answers)
                return past, call.next if outcome == CallOutcome.DONE else call.failed
        return None

    def walk(self, run: RunState, here: StepId | None) -> Advanced:
        effects, path = self.effects, self.path
        position, stride = run.position, run.stride
        known: dict[str, FactValue | None] = {**self.facts, **journey_facts(run)}
        left = self._left(known)
        if left is not None:
            return _end(run, effects, left, path)
        while here is not None:
            if stride >= BUDGET:
                run = changed(run, position=position, stride=stride)
                return _end(run, effects, self._loop(stride, here), path)
            step = self.program.steps[here]
            came_from, position, stride = position, here, stride + 1
            path.append(here)
            match step:
                case Send():
                    visit = run.visits.get(here, 0) + 1
                    run = changed(
                        run,
                        position=here,
                        stride=stride,
                        visits={**run.visits, here: visit},
                        waiting=Waiting(WaitKind.OUTCOME, here, None, self.now),
                    )
                    wish = SendIntent(here, visit, step.content, step.channels, step.purpose, step.deadline)
                    return Advanced(run, (*effects, wish), tuple(path))
                case Call():
                    visit = run.visits.get(here, 0) + 1
                    run = changed(
                        run,
                        position=here,
                        stride=stride,
                        visits={**run.visits, here: visit},
                        waiting=Waiting(WaitKind.CALL, here, None, self.now),
                    )
                    asked = step.action, step.values, tuple(step.results), step.purpose, step.deadline
                    return Advanced(run, (*effects, CallWish(here, visit, *asked)), tuple(path))
                case Wait():
                    since = self._since(step, run)
                    over = self._over(step, known, since)
                    if over > self.now:
                        return _sleep(run, effects, Waiting(WaitKind.TIMER, here, over, since), path)
                    here = step.next
                case WaitFor() if self._has_come(step, known):
                    here = step.then
                case WaitFor():
                    due_at = self.now + step.up_to if step.up_to is not None else None
                    return _sleep(run, effects, Waiting(WaitKind.EVENT, here, due_at, self.now), path)
                case Ask():
                    visit = run.visits.get(here, 0) + 1
                    due_at = task_is_due_at(step, self.zone, self.now)
                    run = changed(run, visits={**run.visits, here: visit})
                    effects.append(self._task(step, visit, due_at))
                    return _sleep(run, effects, Waiting(WaitKind.TASK, here, due_at, self.now), path)
                case Branch():
                    here, passed = self._case(step, known)
                    effects.append(passed)
                case Repeat():
                    begun = run.rounds.get(here, 0) if came_from in step.inside else 0
                    known[f"journey.rounds.{here}"] = begun
                    again = self._again(step, begun, known)
                    begun += again.round is not None
                    run = changed(run, rounds={**run.rounds, here: begun})
                    known[f"journey.rounds.{here}"] = begun
                    # A fixed number of times asks nothing that would have to be explained.
                    effects += [again] if step.rule is not None else []
                    here = step.next if again.round is None else step.body
                case Experiment():
                    exposed = self._exposed(step, run, known)
                    arm = exposed.assignment.arm
                    effects.append(exposed)
                    run = changed(run, arms={**run.arms, here: arm})
                    known.update(journey_facts(run))
                    here = step.ways[step.design.arms.index(arm)]
                case SetValues():
                    run = changed(run, values=with_values(run, step, known))
                    # A fact that is unknown has taken away what its name stood for.
                    known.update({f"journey.values.{name}": None for name in step.facts})
                    known.update(journey_facts(run))
                    here = step.next
                case ChangeTags():
                    effects.append(TagChange(step.add, step.remove))
                    known["contact.tags"] = _changed(known.get("contact.tags"), step)
                    here = step.next
                case Start():
                    visit = run.visits.get(here, 0) + 1
                    run = changed(run, visits={**run.visits, here: visit})
                    effects.append(StartWish(here, visit, step.journey, step.values, run.chain + 1))
                    here = step.next
                case Stop():
                    run = changed(run, position=here, stride=stride)
                    return _end(run, effects, Ended(RunOutcome.STOPPED, "run.stopped", here), path)
        if position != run.position or stride != run.stride:
            run = changed(run, position=position, stride=stride)
        return _end(run, effects, Ended(RunOutcome.COMPLETED, "run.completed"), path)

    def _left(self, known: Facts) -> Ended | None:
        """The end by a leave that is about the contact's state, not about an event, if one holds by now."""
        for leave in self.program.leaves:
            if not leave.events and leave.rule and self.matcher.holds(leave.rule, known, self.now):
                return Ended(RunOutcome.LEFT, "run.left", leave.id)
        return None

    def _has_come(self, step: WaitFor, known: Facts) -> bool:
        """Whether what is waited for is a state of the contact, and is so by now."""
        if step.events or step.rule is None:
            return False
        return self.matcher.holds(step.rule, known, self.now)

    def _over(self, step: Wait, known: Facts, since: datetime) -> datetime:
        until = known.get(step.until) if step.until is not None else None
        until = until if isinstance(until, datetime) else None
        return wait_is_over_at(step, self.zone, since, until=until)

    def _since(self, step: Wait, run: RunState) -> datetime:
        """When the wait begins: in later rounds of a repeat once this minute is over.

        The ten o'clock that ended the last round is not the one that this round waits for.
        """
        rounds = (run.rounds.get(each.id, 0) for each in self.program.repeats if step.id in each.inside)
        comes_again = may_be_over_at_once(step) and any(count > 1 for count in rounds)
        return next_minute(self.now, self.zone) if comes_again else self.now

    def _task(self, step: Ask, visit: int, due_at: datetime) -> TaskOpened:
        choices = tuple((each.id, each.title) for each in step.choices)
        priority = self.program.priority if step.priority is None else step.priority
        return TaskOpened(step.id, visit, step.queue, step.question, choices, priority, due_at)

    def _case(self, step: Branch, known: Facts) -> tuple[StepId | None, Branched]:
        shard = f"branch:{self.program.journey}/{step.id}"
        if self.program.calendars:
            known = {**known, **working_facts(self.program.calendars, self.now, self.zone)}
        true = frozenset(self.matcher.matching(shard, known, self.now))
        rules = tuple(rule for rule, _ in step.cases)
        for number, (rule, following) in enumerate(step.cases, 1):
            if rule in true:
                return following, Branched(step.id, number, rules[:number], dict(known))
        return step.otherwise, Branched(step.id, None, rules, dict(known))

    def _exposed(self, step: Experiment, run: RunState, known: Facts) -> Exposed:
        # A run goes the same way each time it comes by, also before anything of it is written down.
        arm = run.arms.get(step.id)
        if arm in step.design.arms:
            assignment = Assignment(arm, By.KEPT)
        else:
            assignment = assign(step.design, run.contact_id, known, self.assignments)
        return Exposed(step.id, step.design, assignment)

    def _again(self, step: Repeat, begun: int, known: Facts) -> Repeated:
        if begun >= step.at_most:
            return Repeated(step.id, None, begun, step.at_most, (), {})
        asked = (step.rule,) if step.rule is not None else ()
        if asked and self.program.calendars:
            known = {**known, **working_facts(self.program.calendars, self.now, self.zone)}
        goes_on = all(self.matcher.holds(rule, known, self.now) for rule in asked)
        return Repeated(
            step.id, begun + 1 if goes_on else None, begun, step.at_most, asked, dict(known) if asked else {}
        )

    def _loop(self, stride: int, here: StepId) -> Ended:
        """The end of a run that goes round without ever sleeping; checked journeys cannot."""
        path = self.path[:-1] if self.path[-1:] == [here] else self.path
        since = len(path) - path[::-1].index(here) - 1 if here in path else 0
        evidence = {"steps": stride, "round": path[since:][-_SHOWN_OF_A_LOOP:]}
        return Ended(RunOutcome.FAILED, "run.loop", here, evidence, "a wait stands among these steps")


def _withdrawn(run: RunState) -> tuple[TaskClosed, ...]:
    """The task that the run waits for, if it does: nobody needs to answer it any more."""
    waiting = run.waiting
    if waiting is None or waiting.kind is not WaitKind.TASK:
        return ()
    return (TaskClosed(waiting.step, run.visits[waiting.step], TaskState.WITHDRAWN),)


def _remembering(run: RunState, step: StepId, kept: Mapping[str, FactValue]) -> RunState:
    """The run with what it keeps of the event that a wait has just ended with; nothing when none had come."""
    if not kept and step not in run.events:
        return run
    others = {name: each for name, each in run.events.items() if name != step}
    return changed(run, events={**others, step: kept} if kept else others)


def _changed(tags: FactValue | None, step: ChangeTags) -> frozenset[str]:
    before = tags if isinstance(tags, frozenset) else frozenset()
    return (before | frozenset(step.add)) - frozenset(step.remove)


def _sleep(run: RunState, effects: Sequence[Effect], waiting: Waiting, path: Sequence[StepId]) -> Advanced:
    """The run at a wait that time or somebody else ends."""
    run = changed(run, position=waiting.step, waiting=waiting, stride=0, chain=0)
    return Advanced(run, tuple(effects), tuple(path))


def _end(run: RunState, effects: Sequence[Effect], ended: Ended, path: Sequence[StepId] = ()) -> Advanced:
    return Advanced(changed(run, waiting=None, outcome=ended.outcome), (*effects, ended), tuple(path))


def next_send_at(program: Program, run: RunState) -> datetime | None:
    """The moment (journey time) at which the present wait may lead to a send by itself; None when it cannot.

    A cap that looks ahead leaves room for it.
    """
    waiting = run.waiting
    if waiting is None or waiting.due_at is None:
        return None
    return waiting.due_at if program.next_sends.get(waiting.step) else None
