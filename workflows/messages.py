"""What workflows are started with, told and asked, and what their activities take and give back.

Recorded histories hold these: add fields with defaults, never rename or remove one. Exactly one of them is
the argument of every workflow, signal, update and activity. No program and no personal data travels here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from temporalio.exceptions import ActivityError, ApplicationError, FailureError

TASK_QUEUE = "journeys"
URGENT, NORMAL, BULK, HUMAN = LANES = ("urgent", "normal", "bulk", "human")
"""The lanes of `engine.journeys.lanes` by name: work that must not wait for one another."""
ADVANCE = "advance"
OBSERVE_BREAKER = "observe_breaker"
FORCE_BREAKER = "force_breaker"
NUDGE = "nudge"
LOOK = "look"
FORCE = "force"
BREAKER_WORKFLOW = "Breaker"
UNKNOWN_RUN = "UnknownRun"
REFUSED = "Refused"

FORM = 2
"""Of the journey workflow's loop, for executions that begin now. Form 2 starts with a wait where the starter
knew of one, is shown by search attributes and follows its run from lane to lane; form 1 does none of it."""

CONTACT = "WaylineContact"
BUNDLE = "WaylineBundle"
LANE = "WaylineLane"
STEP = "WaylineStep"
WAITING = "WaylineWaiting"
SEARCH_ATTRIBUTES = (CONTACT, BUNDLE, LANE, STEP, WAITING)
"""All Keywords, of which a SQL visibility store has ten per namespace. They stand in clear: ids, no names."""


def queue_of(lane: str) -> str:
    """The task queue of a lane."""
    return TASK_QUEUE if lane == NORMAL else f"{TASK_QUEUE}-{lane}"


def is_final(error: FailureError) -> bool:
    """Whether an activity failed for good, and not only at every try it was given.

    A local activity's error is the failure itself, another activity's is wrapped in one of its own.
    """
    cause = error.cause if isinstance(error, ActivityError) else error
    return isinstance(cause, ApplicationError) and cause.non_retryable


QUEUES = tuple(queue_of(lane) for lane in LANES)


def breaker_workflow_id(breaker: str, scope: str) -> str:
    """The one workflow that watches this breaker in this scope."""
    return f"breaker/{breaker}/{scope}"


@dataclass(frozen=True)
class RunInput:
    """All a journey's workflow knows of its run; everything else is read from the run row by `advance`."""

    run_id: str
    version: str = ""
    """The program's version, for people reading the workflow; the run row decides."""
    continue_after: int | None = None
    """Continue as new at this many history events; None: when the server suggests it."""
    form: int = 1
    """Which form of the workflow's loop this execution follows to its end; today's is `FORM`."""
    lane: str = NORMAL
    """Where its tasks belong while no person is asked."""
    at: str = NORMAL
    """The lane on which this execution is. Asked of the worker, it would be another one in a replay."""
    standing: AdvanceResult | None = None
    """Where the run stood when its start was written down: it waits from there, without a look first."""
    is_moved: bool = False
    """Whether it has just come from another lane: at its first look it stays, whatever that says."""


@dataclass(frozen=True)
class NudgeSignal:
    """A reason to look at the run row again; the row says what happened."""

    reason: str
    reference: str = ""


@dataclass(frozen=True)
class AdvanceRequest:
    run_id: str
    now: datetime
    """The workflow's present moment, delivery time."""


@dataclass(frozen=True)
class AdvanceResult:
    """Where the run stands now."""

    revision: int
    status: str
    """active | ended"""
    waiting: str
    """timer | event | outcome | task | ready | ended"""
    due_at: datetime | None = None
    """Delivery time at which to look again even when nobody nudges."""
    step: str | None = None
    outcome: str | None = None
    lane: str | None = None
    """Where the run's tasks belong during this wait; None: where they belong anyway."""


@dataclass(frozen=True)
class RunEnded:
    """What a journey's workflow returns."""

    run_id: str
    outcome: str | None = None


@dataclass(frozen=True)
class BreakerInput:
    """Which breaker a breaker's workflow watches."""

    breaker: str
    scope: str
    continue_after: int | None = None
    """As in `RunInput`."""


@dataclass(frozen=True)
class LookSignal:
    """The figures may have changed."""

    reason: str = ""


@dataclass(frozen=True)
class ObserveRequest:
    breaker: str
    scope: str
    now: datetime


@dataclass(frozen=True)
class BreakerState:
    """The published state after a look or a manual change."""

    state: str
    """closed | open | half_open"""
    level: str | None = None
    epoch: int = 0
    next_at: datetime | None = None
    """Delivery time of the next look; None: only when told to."""


@dataclass(frozen=True)
class ForceRequest:
    """An operator trips or resets a breaker by hand."""

    action: str
    """trip | reset"""
    by: str
    """Who; never empty."""
    reason: str = ""
    level: str = "red"
    """With trip: yellow | red | black."""


@dataclass(frozen=True)
class ForceOrder:
    """A validated `ForceRequest`, addressed."""

    breaker: str
    scope: str
    request: ForceRequest
    now: datetime
