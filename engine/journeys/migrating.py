"""Where a run goes when its journey gets another version, and how it stands there: the same for foretelling
and for doing it.

A run is moved where that is safe: before its start, at a wait, or once it is known what became of its
message. It then stands as if its present wait had always been that of the new version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from engine.journeys.program import Ask, Program, Step, StepId, Wait, WaitFor
from engine.journeys.run import (
    CallEnded,
    Cause,
    OutcomeKnown,
    RunState,
    SentOn,
    TaskDecided,
    Waiting,
    WaitKind,
)
from engine.journeys.waiting import wait_is_over_at
from engine.rules.facts import Facts

SAFE = frozenset({WaitKind.TIMER, WaitKind.EVENT})
"""Kinds of waits at which a run may be moved while it waits; at any other kind, once its end is known.

Who was given a task answers the question they were shown: such a run is moved with the answer, and at once
only where the new version does not ask any more.
"""


class How(StrEnum):
    """What a new version means for who stands at a step of an earlier one."""

    STAYS = "stays"
    """The step is there: the run waits on, as the new version has it."""
    RENAMED = "renamed"
    """The same under another name."""
    GOES_ON = "goes_on"
    """The run goes on with another step, or with the same one which is of another kind now."""
    ENDS = "ends"
    STRANDED = "stranded"
    """The step is gone, and nobody says where to go from there."""


@dataclass(frozen=True)
class Destination:
    """Where a run goes that stands at one step."""

    how: How
    step: StepId | None = None
    """None before the first step, at the end and for who is stranded."""
    because: str = "step"
    """step (it is there) | was (the new version says where it went) | was_before (the version that is left
    says what it was called before) | nothing"""


def destination(old: Program, new: Program, position: StepId | None) -> Destination:
    """Where somebody goes from a step of `old` (None: before the first) when `new` takes its place."""
    if position is None:
        return Destination(How.STAYS)
    step, because = _called_now(old, new, position)
    if because == "nothing":
        return Destination(How.STRANDED, None, because)
    if step is None:
        return Destination(How.ENDS, None, because)
    if type(old.steps.get(position)) is not type(new.steps[step]):
        return Destination(How.GOES_ON, step, because)
    return Destination(How.STAYS if step == position else How.RENAMED, step, because)


def _called_now(old: Program, new: Program, name: StepId) -> tuple[StepId | None, str]:
    """What a step of the old version is in the new one, and who says so."""
    if name in new.steps:
        return name, "step"
    if name in new.was:
        return new.was[name], "was"
    before = [earlier for earlier, now in old.was.items() if now == name and earlier in new.steps]
    if len(before) == 1:  # the way back to an earlier version
        return before[0], "was_before"
    return None, "nothing"


def is_same_wait(old: Step | None, new: Step | None) -> bool:
    """Whether two versions of a step wait for the same length of time and the same events.

    What a condition says is not looked at: a step holds its name only.
    """
    match old, new:
        case Wait(), Wait():
            return replace(old, id="", next=None) == replace(new, id="", next=None)
        case WaitFor(), WaitFor():
            return (old.events, old.up_to, old.rule is None) == (new.events, new.up_to, new.rule is None)
    return type(old) is type(new)


@dataclass(frozen=True)
class Moved:
    """A run in the new version."""

    run: RunState
    cause: Cause | None = None
    """What takes it on from there at once; None: it waits."""


def is_ready(run: RunState, cause: Cause | None, new: Program, where: Destination) -> bool:
    """Whether the run may be moved now; `cause` is what has come to its wait already, if anything has.

    With an answer that the new version does not have among its own it goes its way in the old one first.
    """
    waiting = run.waiting
    if waiting is None or waiting.kind in SAFE or where.how is How.STRANDED:
        return where.how is not How.STRANDED
    if cause is None:
        return waiting.kind is WaitKind.TASK and where.how in (How.GOES_ON, How.ENDS)
    step = new.steps.get(where.step or "")
    if isinstance(cause, TaskDecided) and isinstance(step, Ask):
        return step.choice(cause.choice) is not None
    return True


def move(
    run: RunState,
    cause: Cause | None,
    old: Program,
    new: Program,
    where: Destination,
    *,
    facts: Facts,
    zone: ZoneInfo,
    now: datetime,
) -> Moved:
    """The run at its destination; `cause` is what has come to its wait already, if anything has.

    Not for runs that end or are stranded. A wait that says something else now counts from its beginning, and
    is over now at the earliest; one that says the same keeps its moment. What is kept of steps goes along
    under their new names.
    """
    kept = _renamed(run, old, new)
    waiting = run.waiting
    if waiting is None:
        return Moved(replace(kept, position=where.step))
    if where.how is How.GOES_ON:
        if isinstance(cause, OutcomeKnown):
            kept = replace(kept, outcomes={**kept.outcomes, waiting.step: cause.outcome})
        elif isinstance(cause, TaskDecided):
            kept = replace(kept, answers={**kept.answers, waiting.step: cause.choice})
        elif isinstance(cause, CallEnded):
            kept = replace(kept, calls={**kept.calls, waiting.step: cause.outcome})
        return Moved(replace(kept, position=where.step, waiting=None), SentOn())
    assert where.step is not None, "it has begun, and goes on"
    before, after = old.steps[waiting.step], new.steps[where.step]
    due_at = waiting.due_at
    if not is_same_wait(before, after):
        counted = _due(before, after, waiting, facts, zone, now)
        due_at = max(counted, now) if counted is not None else None
    waits = replace(waiting, step=where.step, due_at=due_at)
    return Moved(replace(kept, position=where.step, waiting=waits), _at(cause, where.step))


def _at(cause: Cause | None, step: StepId) -> Cause | None:
    """The cause, about the step's new name if it names one."""
    return replace(cause, step=step) if isinstance(cause, OutcomeKnown | TaskDecided | CallEnded) else cause


def _due(
    before: Step, after: Step, waiting: Waiting, facts: Facts, zone: ZoneInfo, now: datetime
) -> datetime | None:
    """When a wait is over that has become another one: counted from its beginning."""
    match after:
        case Wait():
            if waiting.began_at is None:
                return waiting.due_at  # begun before anybody wrote that down
            until = facts.get(after.until) if after.until is not None else None
            until = until if isinstance(until, datetime) else None
            if until is None and isinstance(before, Wait) and before.until == after.until is not None:
                # The date they sleep until is not known any more: as anywhere else, that moves nothing.
                return waiting.due_at
            return wait_is_over_at(after, zone, waiting.began_at, until=until)
        case WaitFor():
            if after.up_to is None:
                return None
            return _began(before, waiting, now) + after.up_to
    return waiting.due_at


def _began(before: Step, waiting: Waiting, now: datetime) -> datetime:
    if waiting.began_at is not None:
        return waiting.began_at
    if isinstance(before, WaitFor) and before.up_to is not None and waiting.due_at is not None:
        return waiting.due_at - before.up_to
    return now


def _renamed(run: RunState, old: Program, new: Program) -> RunState:
    """The run with all that it keeps by steps under the names that they have now."""
    return replace(
        run,
        outcomes=_by_new_names(run.outcomes, old, new),
        answers=_by_new_names(run.answers, old, new),
        calls=_by_new_names(run.calls, old, new),
        results=_by_new_names(run.results, old, new),
        visits=_by_new_names(run.visits, old, new),
        rounds=_by_new_names(run.rounds, old, new),
        arms=_by_new_names(run.arms, old, new),
        events=_by_new_names(run.events, old, new),
    )


def _by_new_names(kept: Mapping[StepId, Any], old: Program, new: Program) -> dict[StepId, Any]:
    names = {name: destination(old, new, name) for name in kept}
    found = {
        where.step: kept[name]
        for name, where in names.items()
        if where.how is How.RENAMED and where.step is not None
    }
    # What stands under its own name was written there later.
    return found | {name: kept[name] for name, where in names.items() if where.how is not How.RENAMED}
