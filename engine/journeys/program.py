"""What a journey compiles to: a flat program of steps by id, each with named exits; immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from enum import StrEnum
from functools import cached_property

from engine.experiments.assignment import Design
from engine.journeys.calendar import WorkingCalendar
from engine.journeys.schedule import Schedule
from engine.rules.facts import FactType

StepId = str
Scalar = int | float | str | bool

LONGEST_STRIDE = 1_000
"""How many steps a checked journey can take at most before it has to sleep, messages included."""


@dataclass(frozen=True)
class Send:
    """Wish one message; the run waits for the outcome and leaves by its exit, or by `next`."""

    id: StepId
    content: str
    channels: tuple[str, ...]
    purpose: str
    next: StepId | None
    deadline: timedelta | None = None
    """Delivery time the message may take from the moment the step is reached."""
    outcomes: Mapping[str, StepId | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Wait:
    """Sleep until a moment; parts apply in the order: `for_`, `days`, `at`, `weekdays`, `calendar`."""

    id: StepId
    next: StepId | None
    for_: timedelta | None = None
    days: int | None = None
    at: time | None = None
    weekdays: tuple[int, ...] = ()
    """ISO weekdays, Monday is 1."""
    until: str | None = None
    """The path of an instant fact; a moment already past does not wait."""
    calendar: WorkingCalendar | None = None
    """Then it goes on to the next working time of this calendar."""


@dataclass(frozen=True)
class WaitFor:
    """Sleep until an event (with a condition on it), or until `up_to` has passed."""

    id: StepId
    events: tuple[str, ...]
    """Empty: until the rule holds; asked at once, at any event of the contact, and when the time is up."""
    rule: str | None
    up_to: timedelta | None
    then: StepId | None
    otherwise: StepId | None


@dataclass(frozen=True)
class Choice:
    """One answer to a task, and the way it leads."""

    id: str
    title: str
    next: StepId | None


@dataclass(frozen=True)
class Ask:
    """Give a person a task; the run waits for an answer and goes its way, or without one `otherwise`."""

    id: StepId
    queue: str
    question: str
    choices: tuple[Choice, ...]
    deadline: timedelta
    """How long the task may lie there; with a calendar only its working time counts."""
    otherwise: StepId | None
    calendar: WorkingCalendar | None = None
    priority: int | None = None
    """0-100, where the step has one of its own; None: the journey's."""

    def choice(self, name: str) -> Choice | None:
        """The answer of that name; None when the task has none."""
        return next((each for each in self.choices if each.id == name), None)


@dataclass(frozen=True)
class Branch:
    """Go to the first case whose rule is true, else to `otherwise`."""

    id: StepId
    cases: tuple[tuple[str, StepId | None], ...]
    otherwise: StepId | None


@dataclass(frozen=True)
class Experiment:
    """Go the way of the contact's arm, which is drawn when the step is reached and stays for good."""

    id: StepId
    design: Design
    ways: tuple[StepId | None, ...]
    """Where each arm of the design begins, in its order."""


@dataclass(frozen=True)
class Repeat:
    """Do the steps from `body` on, whose ends lead back here, until that was often enough; then go on."""

    id: StepId
    body: StepId
    next: StepId | None
    at_most: int
    rule: str | None
    """Asked before each round; the first time that it is not true the repeat is over."""
    inside: frozenset[StepId]
    """The steps of a round, those nested in them included: who comes from one of them comes back."""


@dataclass(frozen=True)
class Copied:
    """The value that a fact has when the step is reached."""

    fact: str
    type: FactType
    """What it is; anything else counts as unknown."""


@dataclass(frozen=True)
class SetValues:
    """Keep values with the run, readable afterwards as `journey.values.<name>`."""

    id: StepId
    values: Mapping[str, Scalar]
    next: StepId | None
    facts: Mapping[str, Copied] = field(default_factory=dict)
    """Names whose value is a fact's; one that is unknown leaves its name without a value."""


@dataclass(frozen=True)
class ChangeTags:
    id: StepId
    add: tuple[str, ...]
    remove: tuple[str, ...]
    next: StepId | None


@dataclass(frozen=True)
class Start:
    """Let the contact into another journey too; the run goes on whatever comes of it."""

    id: StepId
    journey: str
    values: Mapping[str, Scalar]
    """What the other journey is told, by name of its parameters."""
    next: StepId | None


@dataclass(frozen=True)
class Call:
    """Have a plugin's action do something; the run waits for how it ended."""

    id: StepId
    action: str
    """Id of the action, as the ruleset configures it."""
    values: Mapping[str, Scalar]
    """What the action is told."""
    purpose: str
    """The journey's; a plan that pauses it holds the call."""
    results: Mapping[str, FactType]
    """What of the action's answer is kept, readable afterwards as `journey.results.<step>.<name>`."""
    next: StepId | None
    """Where it goes on when it is done."""
    failed: StepId | None
    """Where it goes on after any other end."""
    deadline: timedelta | None = None
    """Delivery time it may take in all from the moment the step is reached."""


@dataclass(frozen=True)
class Stop:
    """End the run here."""

    id: StepId


Step = (
    Send | Wait | WaitFor | Ask | Branch | Experiment | Repeat | SetValues | ChangeTags | Start | Call | Stop
)


class ReentryKind(StrEnum):
    NEVER = "never"
    ALWAYS = "always"
    AFTER = "after"
    ONCE_PER = "once_per"


@dataclass(frozen=True)
class Reentry:
    kind: ReentryKind
    after: timedelta | None = None
    """With AFTER: how long since the end of the last run."""
    per: str | None = None
    """With ONCE_PER: the fact whose value names the entry; runs stand side by side."""


@dataclass(frozen=True)
class Entry:
    events: tuple[str, ...]
    rule: str | None
    reentry: Reentry
    schedule: Schedule | None = None
    """When it enters contacts by itself, as events `schedule_fired`."""
    parameters: Mapping[str, FactType] | None = None
    """What a request may bring along; None: it is not entered by request."""
    required: tuple[str, ...] = ()
    """Of these, what it must bring along."""
    audience: str | None = None
    """Whose `audience_entered` or `audience_left` lets contacts in; None: it has another way in."""
    words: str = ""
    """The ways in for people, where the names of the events do not say it."""
    rules: Mapping[str, str | None] | None = None
    """Event type -> the rule that must be true of it, None where there is none; None as a whole: `rule`
    stands for all of them, as `<rule>#<event type>`."""
    calendars: Mapping[str, WorkingCalendar] = field(default_factory=dict)
    """Those that these rules ask about, as `calendar.<id>`."""

    def rule_on(self, event_type: str) -> str | None:
        """The rule that must be true of an event of this type; None when each of them lets in."""
        if self.rules is not None:
            return self.rules.get(event_type)
        return f"{self.rule}#{event_type}" if self.rule is not None else None


@dataclass(frozen=True)
class Leave:
    """Ends the run from anywhere: on one of `events` (any when empty), when the rule is true (if any)."""

    id: str
    events: tuple[str, ...]
    rule: str | None


@dataclass(frozen=True)
class Goal:
    events: tuple[str, ...]
    rule: str | None
    within: timedelta | None


class InFlight(StrEnum):
    """What becomes of people on their way when another version of their journey comes into force."""

    PIN = "pin"
    """They finish on the version they are on."""
    MIGRATE = "migrate"
    """They go over to the new one, each as soon as it is safe."""
    DRAIN = "drain"
    """They finish on theirs, and nobody enters before the last of them has."""
    END = "end"
    """Their runs end."""


@dataclass(frozen=True)
class Keeps:
    """The properties of events that a journey names, and its runs therefore keep."""

    entry: frozenset[str] = frozenset()
    """Of the event that lets the contact in, as `journey.entry.<property>`."""
    events: Mapping[StepId, frozenset[str]] = field(default_factory=dict)
    """Of the event that a `wait_for` ended with, as `journey.events.<step>.<property>`."""


@dataclass(frozen=True)
class Program:
    """One journey of one bundle, ready to interpret. `pin` is what a run keeps of it."""

    journey: str
    version: str
    """Content hash of the journey's definition: equal programs have equal versions."""
    purpose: str
    priority: int
    entry: Entry
    leaves: tuple[Leave, ...]
    goal: Goal | None
    first: StepId | None
    steps: Mapping[StepId, Step]
    was: Mapping[StepId, StepId | None] = field(default_factory=dict)
    """Steps of earlier versions -> where those go who stand there; None: their run ends."""
    in_flight: InFlight = InFlight.PIN
    """What its publish does about people on their way in earlier versions, unless who publishes says it."""
    owner: str = ""
    title: str = ""
    calendars: Mapping[str, WorkingCalendar] = field(default_factory=dict)
    """Those that its runs are asked about, as `calendar.<id>`."""
    revival: bool = False
    """Whether it is for contacts who fell silent, whom a pause after silence leaves alone otherwise."""
    keeps: Keeps = field(default_factory=Keeps)

    @cached_property
    def repeats(self) -> tuple[Repeat, ...]:
        """Its repeats, in the order of its steps."""
        return tuple(step for step in self.steps.values() if isinstance(step, Repeat))

    @cached_property
    def holds_what_others_want(self) -> bool:
        """Whether a step of its runs keeps runs of other contacts waiting: the place in a stratum that it
        takes, or what other journeys do with whom they let in."""
        return any(
            isinstance(step, Start) or (isinstance(step, Experiment) and bool(step.design.stratify_by))
            for step in self.steps.values()
        )

    @cached_property
    def next_sends(self) -> Mapping[StepId, tuple[Send, ...]]:
        """Waiting steps -> the messages of which one may be the next when the wait is over by itself."""
        return {
            name: _first_sends(self.steps, following)
            for name, step in self.steps.items()
            for following in [_follows_by_itself(step)]
            if following is not None
        }


def _follows_by_itself(waiting: Step) -> StepId | None:
    """The step after a wait that nothing but time has ended."""
    match waiting:
        case WaitFor(otherwise=following) | Ask(otherwise=following) | Wait(next=following):
            return following
        case _:
            return None


def _first_sends(steps: Mapping[StepId, Step], here: StepId | None) -> tuple[Send, ...]:
    """The sends that some way from `here` reaches before it waits or ends."""
    found: list[Send] = []
    reached, open_ = set[StepId](), [here]
    while open_:
        at = open_.pop()
        if at is None or at in reached:
            continue
        reached.add(at)
        match steps[at]:
            case Send() as send:
                found.append(send)
            case SetValues(next=following) | ChangeTags(next=following) | Start(next=following):
                open_.append(following)
            case Branch(cases=cases, otherwise=otherwise):
                open_ += [otherwise, *(following for _, following in cases)]
            case Repeat(body=body, next=following):
                open_ += [body, following]
            case Experiment(ways=ways):
                open_ += ways
    return tuple(found)
