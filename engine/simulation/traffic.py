"""How many came by where: the ways that runs took through the journeys of a bundle, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.journeys.event import Event
from engine.journeys.graph import exits
from engine.journeys.interpreter import Advanced
from engine.journeys.program import Branch, Program, StepId
from engine.journeys.run import Branched, Cause, Ended, RunOutcome

_ON_ITS_WAY = {RunOutcome.COMPLETED, RunOutcome.STOPPED}
"""Ends at the end of a way; all others are found anywhere."""


@dataclass
class Traffic:
    """A witness that counts; journeys by id, a step of None is the way in or the end."""

    since: datetime | None = None
    """What was before is not counted."""
    entered: Counter[str] = field(default_factory=Counter)
    went: Counter[tuple[str, StepId | None, StepId | None]] = field(default_factory=Counter)
    """(journey, from, to)"""
    cases: Counter[tuple[str, StepId, int | None]] = field(default_factory=Counter)
    """(journey, branch, number of the case from 1); None is `else`."""
    left: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(journey, `goal`, `leave <id>` or the reason of another end that can come anywhere)"""

    def happened(self, event: Event, traits: Mapping[str, Any]) -> None:
        """Events alone go no way."""

    def moved(self, before: str | None, cause: Cause, done: Advanced, now: datetime) -> None:
        """Count the steps from one to the next, and how it ended."""
        if self.since is not None and now < self.since:
            return
        journey, here = done.run.journey, before
        if before is None:
            self.entered[journey] += 1
        for step in done.path:
            self.went[journey, here, step] += 1
            here = step
        for effect in done.effects:
            match effect:
                case Branched(step, case):
                    self.cases[journey, step, case] += 1
                case Ended(outcome, reason, detail) if outcome not in _ON_ITS_WAY:
                    names = {RunOutcome.GOAL: "goal", RunOutcome.LEFT: f"leave {detail}"}
                    self.left[journey, names.get(outcome, reason)] += 1
                case Ended(RunOutcome.COMPLETED):
                    self.went[journey, here, None] += 1

    def visits(self, journey: str, step: StepId) -> int:
        """How often a step was come to."""
        return sum(count for (name, _, to), count in self.went.items() if (name, to) == (journey, step))


@dataclass(frozen=True)
class Way:
    """One way out of a step, and how many took it."""

    step: StepId
    name: str
    to: StepId | None
    taken: int


def ways_of(program: Program, traffic: Traffic) -> Iterator[Way]:
    """The ways of a journey, step by step.

    Two ways out of one step to the same next step cannot be told apart, those of a branch excepted: each of
    them has the count of both.
    """
    journey = program.journey
    for step in program.steps.values():
        for number, (name, to) in enumerate(exits(step), 1):
            if isinstance(step, Branch):
                case = number if number <= len(step.cases) else None
                taken = traffic.cases[journey, step.id, case]
            else:
                taken = traffic.went[journey, step.id, to]
            yield Way(step.id, name, to, taken)


@dataclass(frozen=True)
class Covered:
    """How much of a journey was gone through."""

    steps: int
    ways: int
    unreached: tuple[StepId, ...]
    """Steps that nobody came to."""
    dead: tuple[Way, ...]
    """Ways that nobody took, out of steps that somebody came to."""

    @property
    def percent(self) -> float:
        """Of all steps and ways, those that somebody took; a journey without any is wholly covered."""
        whole = self.steps + self.ways
        missed = len(self.unreached) + len(self.dead) + self._behind
        return 100.0 if not whole else 100.0 * (whole - missed) / whole

    _behind: int = 0
    """Ways out of steps that nobody came to."""


def coverage_of(program: Program, traffic: Traffic) -> Covered:
    """What of a journey somebody went through, and what nobody did."""
    reached = {step for step in program.steps if traffic.visits(program.journey, step)}
    ways = [way for way in ways_of(program, traffic) if way.to is not None or way.name]
    return Covered(
        steps=len(program.steps),
        ways=len(ways),
        unreached=tuple(step for step in program.steps if step not in reached),
        dead=tuple(way for way in ways if way.step in reached and not way.taken),
        _behind=sum(way.step not in reached for way in ways),
    )
