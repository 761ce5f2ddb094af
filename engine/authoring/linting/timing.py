"""Journeys whose times do not go together: with their goal, with how long a message may wait, with caps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from heapq import heappop, heappush

from engine.authoring.bundle import Bundle
from engine.authoring.compiling.nesting import step_id, walk
from engine.authoring.compiling.reaching import exits
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.journey import JourneyFile
from engine.errors import Problem
from engine.gate.model import CalendarWindow, Cap, RollingWindow, WhenFull
from engine.gate.tolerance import most
from engine.journeys.program import Ask, Program, Repeat, Send, Step, Wait, WaitFor
from engine.rules.condition import YamlPath
from engine.rules.duration import format_duration, format_roughly
from engine.rules.facts import BUILT_IN, FactType

_NONE = timedelta(0)
_EVER = timedelta(days=100_000)
_PAST = frozenset(fact.path for fact in BUILT_IN if fact.type is FactType.INSTANT)
_MOST_PATHS = 3_000
"""How many moves through one journey are looked at; a larger one is left alone."""


def check_timing(found: Definitions, bundle: Bundle) -> Iterator[Problem]:
    """RW032, RW033, RW035 and RW039 for every journey."""
    for name, journey in found.journeys.items():
        program = bundle.programs.get(name)
        if program is None:
            continue
        paths = {step_id(step): path for path, step in walk(journey.item.steps, ("steps",))}
        yield from _after_the_goal(journey, program, paths)
        yield from _deadlines(journey, program, paths, bundle)
        yield from _moments(journey, program, paths)
        yield from _caps(journey, program, paths, bundle)


def _after_the_goal(
    journey: Defined[JourneyFile], program: Program, paths: Mapping[str, YamlPath]
) -> Iterator[Problem]:
    within = program.goal.within if program.goal is not None else None
    if within is None:
        return
    earliest = _earliest(program)
    late = [
        name
        for name, step in program.steps.items()
        if isinstance(step, Send) and earliest.get(name, _NONE) >= within
    ]
    if late:
        first = min(late, key=lambda name: (earliest[name], list(program.steps).index(name)))
        message = (
            f"'{first}' leaves {format_roughly(earliest[first])} after entering at the earliest, and "
            f"the goal counts only within {format_duration(within)}"
        )
        yield journey.problem("RW032", message, "lengthen goal.within, or wait less", at=paths[first])


def _earliest(program: Program) -> dict[str, timedelta]:
    """The least time after entering at which each step can begin."""
    found: dict[str, timedelta] = {}
    ahead: list[tuple[timedelta, str]] = [(_NONE, program.first)] if program.first is not None else []
    while ahead:
        since, name = heappop(ahead)
        if name in found or name not in program.steps:
            continue
        found[name] = since
        step = program.steps[name]
        for exit_ in exits(step):
            if exit_ is not None:
                heappush(ahead, (since + _least(step, exit_), exit_))
    return found


def _least(step: Step, exit_: str) -> timedelta:
    """The least time a step takes on the way to this exit."""
    match step:
        case Wait() if step.until is None:
            # One calendar day may be a minute long, seen from just before midnight.
            days = timedelta(days=max((step.days or 0) - 1, 0))
            hours = timedelta(hours=1) if days else _NONE
            return (step.for_ or _NONE) + days - hours
        case WaitFor() if step.up_to is not None and exit_ == step.otherwise != step.then:
            return step.up_to
        case Ask() if exit_ == step.otherwise and all(exit_ != choice.next for choice in step.choices):
            return step.deadline
        case _:
            return _NONE


def _most(step: Step) -> timedelta:
    """The most time a step takes by itself; sends count as instant."""
    match step:
        case Wait() if step.until is not None or step.weekdays or step.calendar is not None:
            return _EVER
        case Wait():
            at = timedelta(hours=25) if step.at is not None else _NONE
            return (step.for_ or _NONE) + timedelta(hours=25 * (step.days or 0)) + at
        case WaitFor():
            return step.up_to if step.up_to is not None else _EVER
        case Ask():
            return step.deadline if step.calendar is None else _EVER
        case _:
            return _NONE


def _deadlines(
    journey: Defined[JourneyFile], program: Program, paths: Mapping[str, YamlPath], bundle: Bundle
) -> Iterator[Problem]:
    for name, step in program.steps.items():
        if not isinstance(step, Send) or step.deadline is None:
            continue
        purpose = bundle.purposes.get(step.purpose)
        if purpose is not None and step.deadline > purpose.max_hold:
            message = (
                f"the deadline of {format_duration(step.deadline)} never comes: a message for "
                f"'{purpose.id}' expires after {format_duration(purpose.max_hold)}"
            )
            hint = f"shorten it, or raise max_hold of '{purpose.id}'"
            yield journey.problem("RW033", message, hint, at=(*paths[name], "deadline"))


@dataclass(frozen=True)
class _Sent:
    """A message that left earlier on the way, and the most time that has passed since."""

    step: Send
    since: timedelta


def _moments(
    journey: Defined[JourneyFile], program: Program, paths: Mapping[str, YamlPath]
) -> Iterator[Problem]:
    for name, step in program.steps.items():
        if isinstance(step, Wait) and step.until in _PAST:
            message = f"this waits for nothing: {step.until} says when something was, which is always past"
            hint = "wait with for, or until an attribute that lies ahead"
            yield journey.problem("RW039", message, hint, at=(*paths[name], "until"))


def _caps(
    journey: Defined[JourneyFile], program: Program, paths: Mapping[str, YamlPath], bundle: Bundle
) -> Iterator[Problem]:
    """The first message of the journey that each cap stops on every way there."""
    caps = [cap for cap in bundle.caps if not cap.counts.tags]
    if not caps or program.first is None:
        return
    stopped = _Walk(program, bundle, caps).stopped()
    told: set[str] = set()
    for name in program.steps:
        for cap in caps:
            why = stopped.get((name, cap.id))
            if why and cap.id not in told:
                told.add(cap.id)
                message = f"when the messages before it were sent, '{name}' never is: {why}"
                hint = f"wait longer before it, or change '{cap.id}' ({cap.file}:{cap.line})"
                yield journey.problem("RW035", message, hint, at=paths[name])


class _Walk:
    """Goes every way through a journey, and notes which caps stop which messages."""

    def __init__(self, program: Program, bundle: Bundle, caps: list[Cap]) -> None:
        self._program = program
        self._bundle = bundle
        self._caps = caps
        self._open: set[tuple[str, str]] = set()
        self._stopped: dict[tuple[str, str], str] = {}

    def stopped(self) -> dict[tuple[str, str], str]:
        """(step, cap) -> why, for those that are stopped on every way; nothing when there are too many."""
        moves = 0
        ahead: list[tuple[str | None, tuple[_Sent, ...], frozenset[str]]] = [
            (self._program.first, (), frozenset())
        ]
        while ahead:
            moves += 1
            if moves > _MOST_PATHS:
                return {}
            name, sent, been = ahead.pop()
            if name is not None:
                ahead += self._on(self._program.steps[name], sent, been)
        return {key: why for key, why in self._stopped.items() if key not in self._open}

    def _on(
        self, step: Step, sent: tuple[_Sent, ...], been: frozenset[str]
    ) -> Iterator[tuple[str | None, tuple[_Sent, ...], frozenset[str]]]:
        """The ways on from a step, with what was sent by then."""
        if isinstance(step, Repeat) and step.id in been:
            yield step.next, sent, been
            return
        been |= {step.id}
        if isinstance(step, Send):
            self._judge(step, sent)
            for outcome, exit_ in step.outcomes.items():
                if outcome != "sent":
                    yield exit_, sent, been
            yield step.outcomes.get("sent", step.next), (*sent, _Sent(step, _NONE)), been
            return
        if isinstance(step, Repeat):
            # One round stands for all of them; a condition may not let even that one begin.
            yield step.body, sent, been
            if step.rule is not None:
                yield step.next, sent, been
            return
        passed = tuple(_Sent(each.step, each.since + _most(step)) for each in sent)
        for exit_ in dict.fromkeys(exits(step)):
            yield exit_, passed, been

    def _judge(self, step: Send, sent: tuple[_Sent, ...]) -> None:
        for cap in self._caps:
            if not self._counts(cap, step):
                continue
            before = sorted(each.since for each in sent if self._counts(cap, each.step))
            why = self._why_stopped(cap, step, before)
            if why:
                self._stopped[step.id, cap.id] = why
            else:
                self._open.add((step.id, cap.id))

    def _counts(self, cap: Cap, step: Send) -> bool:
        """Whether the cap counts the message for certain, whichever channel it takes."""
        purpose, counts = self._bundle.purposes.get(step.purpose), cap.counts
        return (
            purpose is not None
            and (cap.quota is not None or not purpose.is_exempt_from_caps)
            and counts.purpose in {None, step.purpose}
            and (not counts.channels or set(step.channels) <= set(counts.channels))
            and (not counts.journeys or self._program.journey in counts.journeys)
            and (not counts.contents or step.content in counts.contents)
        )

    def _why_stopped(self, cap: Cap, step: Send, before: list[timedelta]) -> str:
        """Why there is no room, given how long ago at most earlier messages were sent; "" when there is."""
        if cap.min_gap is not None:
            frees = cap.min_gap - before[0] if before else _NONE
            what = f"'{cap.id}' asks for a gap of {format_duration(cap.min_gap)}"
        elif cap.limit is None or len(before) < (limit := most(cap)):
            return ""
        elif isinstance(cap.window, RollingWindow):
            frees = cap.window.length - before[limit - 1]
            what = f"'{cap.id}' allows {limit} in {format_duration(cap.window.length)}"
        elif isinstance(cap.window, CalendarWindow) and cap.when_full is not WhenFull.DEFER:
            # Any wait may run past midnight.
            frees = timedelta(hours=1) if before[limit - 1] == _NONE else _NONE
            what = f"'{cap.id}' allows {limit} a {cap.window.unit}"
        else:
            return ""
        if frees <= _NONE:
            return ""
        if cap.when_full is not WhenFull.DEFER:
            return what
        purpose = self._bundle.purposes[step.purpose]
        patience = min(each for each in (cap.max_defer, purpose.max_hold, step.deadline) if each is not None)
        if frees <= patience:
            return ""
        return f"{what}, and it can wait {format_duration(patience)} at most"
