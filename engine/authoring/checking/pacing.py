"""How far a journey can go without sleeping: nobody must be written to a thousand times at one moment.

Sleeping is what takes time for certain: an exact time, days, an event, a person's answer. A message does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.authoring.compiling.nesting import nested_lists
from engine.authoring.definitions import Defined
from engine.authoring.models.branching_steps import ExperimentStep, RepeatStep
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.single_steps import StopStep, WaitStep
from engine.authoring.models.waiting_steps import AskStep, WaitForStep
from engine.errors import Problem
from engine.journeys.program import LONGEST_STRIDE
from engine.rules.condition import YamlPath


def check_pace(journey: Defined[JourneyFile]) -> Iterator[Problem]:
    """RS100 for too many steps without a sleep between them, RW060 for rounds that need not sleep."""
    pacer = _Pacer()
    whole = pacer.list_of(journey.item.steps, ("steps",), is_repeated=False)
    if whole.most > LONGEST_STRIDE and not pacer.too_long:
        hint = "put a wait among the steps, or write several journeys"
        pacer.noted.append(("RS100", ("steps",), _too_long("the journey", whole.most), hint))
    for code, path, message, hint in pacer.noted:
        yield journey.problem(code, message, hint, at=path)


def longest_stride(steps: Sequence[Any]) -> int:
    """The most steps that a run can take between two sleeps."""
    return _Pacer().list_of(steps, ("steps",), is_repeated=False).most


@dataclass(frozen=True)
class _Stretch:
    """Some steps, by the most of them that can be taken in one go."""

    through: int | None = 0
    """From the first to behind the last without a sleep; None: no way leads through without one."""
    head: int = 0
    """From the first until a sleep, or the end of the run."""
    tail: int | None = None
    """From a sleep to behind the last; None: nobody sleeps here and comes out again."""
    most: int = 0
    """Anywhere in it."""

    def then(self, following: _Stretch) -> _Stretch:
        before = [each for each in (self.through, self.tail) if each is not None]
        return _Stretch(
            _sum(self.through, following.through),
            max(self.head, _sum(self.through, following.head) or 0),
            _most(following.tail if before else None, _sum(self.tail, following.through)),
            max([self.most, following.most if before else 0, *(each + following.head for each in before)]),
        )

    def or_else(self, other: _Stretch) -> _Stretch:
        return _Stretch(
            _most(self.through, other.through),
            max(self.head, other.head),
            _most(self.tail, other.tail),
            max(self.most, other.most),
        )


_NOTHING = _Stretch()
_STEP = _Stretch(1, 1, None, 1)
_SLEEP = _Stretch(None, 1, 0, 1)
_END = _Stretch(None, 1, None, 1)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _most(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)


class _Pacer:
    """Adds up the steps of one journey, and notes what is wrong on the way: code, path, message, hint."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, YamlPath, str, str]] = []
        self.too_long = False

    def list_of(self, steps: Sequence[Any], path: YamlPath, *, is_repeated: bool) -> _Stretch:
        found = _NOTHING
        for number, step in enumerate(steps):
            found = found.then(self._step(step, (*path, number), is_repeated))
        return found

    def _step(self, step: Any, path: YamlPath, is_repeated: bool) -> _Stretch:
        if isinstance(step, StopStep):
            return _END
        if isinstance(step, RepeatStep):
            return self._repeat(step, path)
        own = _SLEEP if _sleeps(step, is_repeated) else _STEP
        ways = [
            self.list_of(steps, (*path, *key), is_repeated=is_repeated) for key, steps in nested_lists(step)
        ]
        return own.then(_any_of([_NOTHING, *ways])) if _may_go_on(step) else own.then(_any_of(ways))

    def _repeat(self, step: RepeatStep, path: YamlPath) -> _Stretch:
        told = len(self.noted)
        body = self.list_of(step.steps, (*path, "steps"), is_repeated=True)
        if body.through is not None and len(self.noted) == told:
            message = f"a round of '{step.repeat}' can pass without waiting: they may all come at one moment"
            hint = "put a wait with 'for' or 'days' among its steps"
            self.noted.append(("RW060", path, message, hint))
        all_rounds, some_rounds = _rounds(_STEP.then(body), step.times or step.at_most or 1)
        # A condition may end it before any round, a number of times only after the last.
        found = (some_rounds if step.while_ is not None else all_rounds).then(_STEP)
        if found.most > LONGEST_STRIDE >= body.most:
            self.too_long = True
            hint = "put a wait with 'for' or 'days' among its steps, or repeat them less often"
            self.noted.append(("RS100", path, _too_long(f"'{step.repeat}'", found.most), hint))
        return found


def _rounds(once: _Stretch, count: int) -> tuple[_Stretch, _Stretch]:
    """So many rounds, and any number of them up to that; by doubling, for a thousand times are not few."""
    every, up_to = _NOTHING, _NOTHING
    doubled, up_to_doubled = once, _NOTHING.or_else(once)
    while count:
        if count % 2:
            every, up_to = every.then(doubled), up_to.or_else(every.then(up_to_doubled))
        count //= 2
        up_to_doubled = up_to_doubled.or_else(doubled.then(up_to_doubled))
        doubled = doubled.then(doubled)
    return every, up_to


def _any_of(ways: Iterable[_Stretch]) -> _Stretch:
    first, *more = ways
    for each in more:
        first = first.or_else(each)
    return first


def _sleeps(step: Any, is_repeated: bool) -> bool:
    """Whether the step takes time for certain."""
    match step:
        case WaitStep():
            # It may be ten o'clock already, but not once more in the next round.
            return step.for_ is not None or step.days is not None or (is_repeated and step.at is not None)
        case WaitForStep():
            return step.event is not None
        case AskStep():
            return True
        case _:
            return False


def _may_go_on(step: Any) -> bool:
    """Whether a run may go on behind the step without any of the lists of steps in it."""
    return not isinstance(step, WaitForStep | ExperimentStep) and not any(
        key == ("else",) for key, _ in nested_lists(step)
    )


def _too_long(what: str, most: int) -> str:
    return (
        f"{what} can take {most:,} steps without ever waiting, messages included; "
        f"{LONGEST_STRIDE:,} are possible"
    )
