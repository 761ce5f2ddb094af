"""What one event does to journeys: which runs it ends, which it wakes, which it starts, and why not others.

Pure, and the same for every driver: ends come first, then waits, then entries; so the event that ends a run
may start the next.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from engine.changing import frozen
from engine.journeys.event import ABOUT_AUDIENCES, ADDRESSED, Event
from engine.journeys.interpreter import Decider
from engine.journeys.program import Program, ReentryKind, WaitFor
from engine.journeys.run import Cancelled, GoalReached, LeaveSeen, RunState
from engine.rules.facts import Facts, FactValue

ANY_EVENT = "*"
_LONGEST_KEY = 64


class ListenerKind(StrEnum):
    STEP = "step"
    LEAVE = "leave"
    GOAL = "goal"


@frozen
class Listener:
    """One thing an active run listens for; the wait table has a row for each."""

    kind: ListenerKind
    name: str
    """The step's id, or the leave's; `goal` for the goal."""
    event_type: str
    """An event type, or `*`."""
    rule: str | None = None
    since_seq: int = 0
    """Only later events of the contact count."""
    until: datetime | None = None
    """Journey time after which nothing counts any more."""

    def hears(self, event: Event, facts: Facts, now: datetime, matcher: Decider) -> bool:
        """Whether the event is what it listens for."""
        return (
            self.event_type in (event.type, ANY_EVENT)
            and event.seq > self.since_seq
            and (self.until is None or event.received_at <= self.until)
            and (self.rule is None or matcher.holds(self.rule, facts, now))
        )


def lasting_listeners(program: Program, started_at: datetime, since_seq: int) -> tuple[Listener, ...]:
    """What a run listens for from its start to its end: its leaves, then its goal."""
    found = [
        Listener(ListenerKind.LEAVE, leave.id, event_type, leave.rule, since_seq)
        for leave in program.leaves
        for event_type in leave.events or (ANY_EVENT,)
    ]
    if program.goal is not None:
        goal = program.goal
        until = started_at + goal.within if goal.within is not None else None
        found += [
            Listener(ListenerKind.GOAL, "goal", event_type, goal.rule, since_seq, until)
            for event_type in goal.events
        ]
    return tuple(found)


def step_listeners(program: Program, run: RunState, since_seq: int) -> tuple[Listener, ...]:
    """What a run listens for at its present wait; an event after the wait's due moment is too late."""
    if run.waiting is None:
        return ()
    step = program.steps[run.waiting.step]
    if not isinstance(step, WaitFor):
        return ()
    return tuple(
        Listener(ListenerKind.STEP, step.id, event_type, step.rule, since_seq, run.waiting.due_at)
        for event_type in step.events or (ANY_EVENT,)
    )


@frozen
class ActiveRun:
    """An active run of the event's contact, as far as an event can touch it."""

    run_id: str
    journey: str
    purpose: str
    listeners: Sequence[Listener]
    """Those of a step only while none of them has heard its event."""
    facts: Facts
    """Its `journey.` facts."""
    matcher: Decider
    """Of the bundle the run is pinned to."""


@frozen
class History:
    """A contact's earlier runs of one journey."""

    runs: int = 0
    active: int = 0
    last_ended_at: datetime | None = None
    last_number: int = 0
    """Of their numbered entries; more than there are runs when some went back to another contact."""


NO_RUNS = History()
"""Of a journey in which the contact never was."""


@frozen
class Doors:
    """What decides whether an event starts journeys."""

    programs: Sequence[Program]
    """Those that the event's type may start."""
    matched: Collection[str]
    """The entry rules that are true now."""
    history: Mapping[str, History]
    has_entered: Callable[[str, str], bool]
    """Whether the contact ever entered a journey under an entry key; asked for `once_per` only."""
    late_after: timedelta
    paused: Collection[str] = ()
    draining: Collection[str] = ()
    """Journeys whose people on earlier versions finish before anybody enters."""


@frozen
class Ending:
    run_id: str
    cause: LeaveSeen | GoalReached | Cancelled
    rule: str | None = None
    """The condition that was true, of the bundle the run is pinned to."""


@frozen
class Waking:
    run_id: str
    listener: Listener


@frozen
class Entering:
    program: Program
    entry_key: str


@dataclass(frozen=True)
class Refusal:
    """A journey that listened and did not take the contact in."""

    journey: str
    reason: str
    """`entry.no_match`, `entry.late`, `entry.paused`, `entry.draining`, `entry.reentry` or `entry.running`"""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    would_pass_if: str = ""


@frozen
class Reaction:
    """Everything one event does to journeys, in the order in which it happens."""

    endings: tuple[Ending, ...] = ()
    wakings: tuple[Waking, ...] = ()
    entries: tuple[Entering, ...] = ()
    refusals: tuple[Refusal, ...] = ()


NO_REACTION = Reaction()


def react(
    event: Event,
    facts: Facts,
    now: datetime,
    runs: Sequence[ActiveRun],
    doors: Doors,
    *,
    withdrawn: Collection[str] = (),
    is_deletion: bool = False,
) -> Reaction:
    """What the event does; `now` is journey time.

    `facts` are the contact's after the event, with the event's own. `withdrawn` are the purposes whose
    consent the event takes back: runs of those purposes end. `is_deletion` says that with this event the
    contact has left us: every run ends that does not wait for just that. A run that an event both ends and
    wakes ends, and one that it both ends by a leave and brings to its goal has left.
    """
    endings: list[Ending] = []
    wakings: list[Waking] = []
    for run in runs:
        if run.purpose in withdrawn:
            endings.append(Ending(run.run_id, Cancelled("consent.withdrawn")))
            continue
        heard = _heard(event, facts, now, run)
        if heard is None:
            if is_deletion:
                endings.append(Ending(run.run_id, Cancelled("run.contact_deleted")))
            continue
        match heard.kind:
            case ListenerKind.LEAVE:
                endings.append(Ending(run.run_id, LeaveSeen(heard.name), heard.rule))
            case ListenerKind.GOAL:
                endings.append(Ending(run.run_id, GoalReached(), heard.rule))
            case ListenerKind.STEP:
                wakings.append(Waking(run.run_id, heard))
    journeys = {run.run_id: run.journey for run in runs} if endings else {}
    history = _after(doors.history, [journeys[ending.run_id] for ending in endings], now)
    entries: list[Entering] = []
    refusals: list[Refusal] = []
    for program in doors.programs:
        answer = decide_entry(program, event, facts, now, doors, history.get(program.journey, NO_RUNS))
        if isinstance(answer, Entering):
            entries.append(answer)
        else:
            refusals.append(answer)
    return Reaction(tuple(endings), tuple(wakings), tuple(entries), tuple(refusals))


_ORDER = (ListenerKind.LEAVE, ListenerKind.GOAL, ListenerKind.STEP)


def _heard(event: Event, facts: Facts, now: datetime, run: ActiveRun) -> Listener | None:
    """The first of the run's listeners that hears the event; ends before waits."""
    known: Facts | None = None
    for kind in _ORDER:
        for listener in run.listeners:
            if listener.kind is not kind or listener.event_type not in (event.type, ANY_EVENT):
                continue
            known = {**facts, **run.facts} if known is None else known
            if listener.hears(event, known, now, run.matcher):
                return listener
    return None


def _after(history: Mapping[str, History], ended: Iterable[str], now: datetime) -> Mapping[str, History]:
    """The history once these runs (named by their journeys) have ended."""
    after = dict(history)
    for journey in ended:
        before = after.get(journey, History(runs=1, active=1))
        after[journey] = replace(before, active=before.active - 1, last_ended_at=now)
    return after


def addressed(programs: Sequence[Program], event: Event) -> Sequence[Program]:
    """Those of the programs that listen to the event's type that it can be meant for; often all of them."""
    if event.type in ADDRESSED:
        return [program for program in programs if program.journey == event.properties.get("journey")]
    if event.type not in ABOUT_AUDIENCES:
        return programs
    # A journey of another audience is nobody's refusal: such would be most of all decisions.
    audience = event.properties.get("audience")
    return [program for program in programs if program.entry.audience in (None, audience)]


def decide_entry(
    program: Program, event: Event, facts: Facts, now: datetime, doors: Doors, history: History
) -> Entering | Refusal:
    """Whether the event starts a run of the program; `history` are its contact's runs of it so far."""
    journey, entry = program.journey, program.entry
    rule = entry.rule_on(event.type)
    if rule is not None and rule not in doors.matched:
        return Refusal(journey, "entry.no_match", {"rule": rule})
    if journey in doors.paused:
        return Refusal(journey, "entry.paused", would_pass_if="the journey is resumed")
    if journey in doors.draining:
        return Refusal(
            journey, "entry.draining", would_pass_if="the last run of its earlier versions has ended"
        )
    if now - event.occurred_at > doors.late_after:
        evidence = {"occurred_at": event.occurred_at.isoformat(), "late_after": str(doors.late_after)}
        return Refusal(journey, "entry.late", evidence)
    reentry = entry.reentry
    if reentry.kind is ReentryKind.ONCE_PER:
        value = facts.get(reentry.per or "")
        if value is None:
            return Refusal(journey, "entry.no_match", {"missing": reentry.per})
        key = once_per_key(value)
        if doors.has_entered(journey, key):
            return Refusal(journey, "entry.reentry", {"once_per": reentry.per})
        return Entering(program, key)
    if reentry.kind is ReentryKind.NEVER:
        if history.runs:
            return Refusal(journey, "entry.reentry", {"reentry": "never"})
        return Entering(program, "once")
    if history.active:
        return Refusal(journey, "entry.running", {"active": history.active}, "the present run has ended")
    if reentry.kind is ReentryKind.AFTER and reentry.after is not None and history.last_ended_at is not None:
        free_at = history.last_ended_at + reentry.after
        if now < free_at:
            evidence = {"last_ended_at": history.last_ended_at.isoformat(), "after": str(reentry.after)}
            return Refusal(journey, "entry.reentry", evidence, f"it is {free_at.isoformat()} or later")
    return Entering(program, f"n{max(history.runs, history.last_number) + 1}")


def once_per_key(value: FactValue) -> str:
    """The entry key of a `once_per` with this value: a long one is cut to a hash, a number spelt one way."""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return f"per:{text if len(text) <= _LONGEST_KEY else sha256(text.encode()).hexdigest()[:32]}"
