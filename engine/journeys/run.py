"""A run as a value: where it stands, what it waits for, what may move it and what moving it brings about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from engine.changing import frozen
from engine.experiments.assignment import Assignment, Design
from engine.journeys.keeping import EVENTS, as_plain
from engine.journeys.program import Scalar, StepId
from engine.rules.facts import Facts, FactValue


class WaitKind(StrEnum):
    TIMER = "timer"
    EVENT = "event"
    OUTCOME = "outcome"
    TASK = "task"
    CALL = "call"


class TaskState(StrEnum):
    """What became of a task that a run gave to people."""

    OPEN = "open"
    DECIDED = "decided"
    EXPIRED = "expired"
    """Nobody answered before its deadline."""
    WITHDRAWN = "withdrawn"
    """Its run ended first."""


NO_ANSWER = "expired"
"""What `journey.answers.<step>` says of a task that nobody answered in time; no choice may be called so."""


class RunOutcome(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    GOAL = "goal"
    LEFT = "left"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    FAILED = "failed"


class CallOutcome(StrEnum):
    """How the call of a plugin's action ended, as a journey sees it."""

    DONE = "done"
    FAILED = "failed"
    """The action said that it cannot be done."""
    EXPIRED = "expired"
    """It was not done within its time."""
    UNKNOWN = "unknown"
    """Nobody can tell whether it was done, and it must not be repeated."""


@frozen
class Waiting:
    """What a run waits for at a step; `due_at` (journey time) ends the wait by itself."""

    kind: WaitKind
    step: StepId
    due_at: datetime | None = None
    began_at: datetime | None = field(default=None, compare=False)
    """Journey time, None when nobody wrote it down; waits for the same are equal whenever they began."""


@frozen
class RunState:
    """One contact's place in one journey: without a position before its start, with an outcome once ended."""

    run_id: str
    journey: str
    contact_id: str
    entry_key: str
    position: StepId | None = None
    values: Mapping[str, Scalar] = field(default_factory=dict)
    """What `set` steps kept."""
    outcomes: Mapping[StepId, str] = field(default_factory=dict)
    """What became of the sends, by step."""
    answers: Mapping[StepId, str] = field(default_factory=dict)
    """What people answered to tasks, by step: the id of a choice, or `NO_ANSWER`."""
    calls: Mapping[StepId, str] = field(default_factory=dict)
    """What became of the calls, by step."""
    results: Mapping[StepId, Mapping[str, Scalar]] = field(default_factory=dict)
    """What is kept of the actions' answers, by step."""
    visits: Mapping[StepId, int] = field(default_factory=dict)
    """How often each send, task, call and start was reached."""
    rounds: Mapping[StepId, int] = field(default_factory=dict)
    """How many rounds of each repeat have begun, since it was last come to from outside."""
    stride: int = 0
    """Steps taken since the run last slept; messages count as steps, however long they take."""
    chain: int = 0
    """How many starts in a row led to this run, none of whose runs has slept since; 0 once it has."""
    arms: Mapping[StepId, str] = field(default_factory=dict)
    """The contact's arms of the experiments it came by."""
    entry: Mapping[str, FactValue] = field(default_factory=dict)
    """What is kept of the event that let the contact in, by property."""
    events: Mapping[StepId, Mapping[str, FactValue]] = field(default_factory=dict)
    """What is kept of the events that waits ended with, by step; one that ended in vain keeps nothing."""
    waiting: Waiting | None = None
    outcome: RunOutcome | None = None

    @property
    def is_active(self) -> bool:
        return self.outcome is None


def journey_facts(run: RunState) -> dict[str, FactValue | None]:
    """The `journey.` facts of a run."""
    facts: dict[str, FactValue | None] = {}
    # Asked with every step of every run; most runs have next to nothing of all this.
    if run.values:
        facts.update({f"journey.values.{name}": value for name, value in run.values.items()})
    if run.outcomes:
        facts.update({f"journey.outcomes.{name}": value for name, value in run.outcomes.items()})
    if run.answers:
        facts.update({f"journey.answers.{name}": value for name, value in run.answers.items()})
    if run.rounds:
        facts.update({f"journey.rounds.{name}": value for name, value in run.rounds.items()})
    if run.calls:
        facts.update({f"journey.calls.{name}": value for name, value in run.calls.items()})
    if run.arms:
        facts.update({f"journey.arms.{name}": value for name, value in run.arms.items()})
    if run.entry:
        facts.update({f"journey.entry.{name}": value for name, value in run.entry.items()})
    if run.results:
        for step, results in run.results.items():
            facts.update({f"journey.results.{step}.{name}": value for name, value in results.items()})
    if run.events:
        for step, kept in run.events.items():
            facts.update({f"{EVENTS}{step}.{name}": value for name, value in kept.items()})
    return facts


def texts_see(run: RunState) -> dict[str, object]:
    """What the text of a message and the action of a call see of the run that wished it, as `journey`."""
    return {
        "id": run.journey,
        "values": dict(run.values),
        "outcomes": dict(run.outcomes),
        "answers": dict(run.answers),
        "rounds": dict(run.rounds),
        "calls": dict(run.calls),
        "results": {step: dict(results) for step, results in run.results.items()},
        "arms": dict(run.arms),
        "entry": as_plain(run.entry),
        "events": {step: as_plain(kept) for step, kept in run.events.items()},
    }


# --- causes: what may move a run ---


@dataclass(frozen=True)
class Started:
    """The contact has just entered."""


@dataclass(frozen=True)
class TimerDue:
    """The wait's own moment has come."""


@dataclass(frozen=True)
class SentOn:
    """Another version of the journey has put the run before a step: it does now what that says."""


@frozen
class EventSeen:
    """The event that a `wait_for` listens for has come."""

    event_id: str
    said: Facts = field(default_factory=dict, hash=False)
    """Its `event.` facts."""


@frozen
class OutcomeKnown:
    """The message of a send has come to its end."""

    step: StepId
    outcome: str


@dataclass(frozen=True)
class TaskDecided:
    """A person has answered the task of a step."""

    step: StepId
    choice: str


@dataclass(frozen=True)
class CallEnded:
    """The action of a call has come to its end."""

    step: StepId
    outcome: str
    results: Mapping[str, Scalar] = field(default_factory=dict, hash=False)
    """What it answered, as it stands."""


@dataclass(frozen=True)
class LeaveSeen:
    """A leave condition came true."""

    leave: str


@dataclass(frozen=True)
class GoalReached:
    """The goal's event has come in time."""


@dataclass(frozen=True)
class Cancelled:
    """Someone or something outside the journey ends the run; `reason` is a reason code."""

    reason: str


Cause = (
    Started
    | SentOn
    | TimerDue
    | EventSeen
    | OutcomeKnown
    | TaskDecided
    | CallEnded
    | LeaveSeen
    | GoalReached
    | Cancelled
)


# --- effects: what moving a run brings about ---


@frozen
class SendIntent:
    """One message is wished for; the run waits for its outcome."""

    step: StepId
    visit: int
    content: str
    channels: tuple[str, ...]
    purpose: str
    deadline: timedelta | None
    """Delivery time it may take from now."""


@dataclass(frozen=True)
class TaskOpened:
    """A person is given a task; the run waits for the answer."""

    step: StepId
    visit: int
    queue: str
    question: str
    choices: tuple[tuple[str, str], ...]
    """Id and title of each answer, in order."""
    priority: int
    """0-100; the greater comes first."""
    due_at: datetime
    """Journey time from which an answer comes too late."""


@dataclass(frozen=True)
class TaskClosed:
    """A task will not be answered any more: it expired, or is withdrawn with its run."""

    step: StepId
    visit: int
    state: TaskState


@dataclass(frozen=True)
class CallWish:
    """An action is to be called; the run waits for how that ends."""

    step: StepId
    visit: int
    action: str
    values: Mapping[str, Scalar]
    keeps: tuple[str, ...]
    """Names of the answer that the step keeps."""
    purpose: str
    deadline: timedelta | None
    """Delivery time it may take from now."""


@dataclass(frozen=True)
class TagChange:
    add: tuple[str, ...]
    remove: tuple[str, ...]


@frozen
class Branched:
    """A branch was passed: kept so that the way can be explained."""

    step: StepId
    case: int | None
    """The case that was taken, from 1; None when no case held."""
    asked: tuple[str, ...]
    """The rules of the cases that decided it, in order: up to the one taken."""
    seen: Facts
    """What they were asked about."""


@dataclass(frozen=True)
class Repeated:
    """The condition of a repeat was asked, or its rounds were used up: kept so that it can be explained."""

    step: StepId
    round: int | None
    """The round that begins, from 1; None when the repeat is over."""
    rounds: int
    """How many there were before."""
    at_most: int
    asked: tuple[str, ...]
    """The rule that decided; empty when the rounds were used up."""
    seen: Facts
    """What it was asked about."""


@dataclass(frozen=True)
class StartWish:
    """The contact is to be let into another journey, by a request as every other."""

    step: StepId
    visit: int
    journey: str
    values: Mapping[str, Scalar]
    chain: int
    """How many starts in a row this is, itself included, without a sleep between them."""


@dataclass(frozen=True)
class Exposed:
    """An experiment was reached: the contact goes the way of an arm."""

    step: StepId
    design: Design
    assignment: Assignment
    """To be kept in this transaction if it is new."""


@frozen
class Ended:
    """The run is over; `reason` is a reason code, `detail` the leave or step that ended it."""

    outcome: RunOutcome
    reason: str
    detail: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)
    would_pass_if: str = ""


Effect = (
    SendIntent
    | CallWish
    | TaskOpened
    | TaskClosed
    | TagChange
    | Branched
    | Exposed
    | Repeated
    | StartWish
    | Ended
)
