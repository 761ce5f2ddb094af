"""When conditions change by time alone: the ages and the numbers at which their tests turn; pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from engine.rules.condition import FactRef, Op, Test
from engine.rules.facts import Facts

Turns = Mapping[str, Sequence[timedelta]]
"""Path of an instant -> how long after it (below zero: before it) a test on it turns, the soonest first."""

Marks = tuple[float, ...]
"""The numbers, from the lowest, between which every test on a fact says the same."""

_TICK = timedelta(microseconds=1)


def turns_of(tests: Iterable[Test]) -> Turns:
    """The ages at which one of the tests may turn; tests that do not ask for ages never do by themselves."""
    found: dict[str, set[timedelta]] = {}
    for test in tests:
        if isinstance(test.wanted, timedelta):
            found.setdefault(test.path, set()).update(_turns(test.op, test.wanted))
    return {path: tuple(sorted(ages)) for path, ages in sorted(found.items()) if ages}


def next_turn(turns: Turns, facts: Facts, now: datetime) -> datetime | None:
    """The first moment after `now` at which a test may turn while the facts stay as they are; None: never."""
    soonest: datetime | None = None
    for path, ages in turns.items():
        value = facts.get(path)
        if not isinstance(value, datetime):
            continue
        place = bisect_right(ages, now - value)
        if place == len(ages):
            continue
        turn = value + ages[place]
        if soonest is None or turn < soonest:
            soonest = turn
    return soonest


def turns_ahead(turns: Turns, facts: Facts, now: datetime) -> Iterator[tuple[datetime, str, int]]:
    """Every moment after `now` at which a test may turn while the facts stay as they are.

    Each with the path of the fact, and which of its ages is reached. Those of one fact come in order.
    """
    for path, ages in turns.items():
        value = facts.get(path)
        if isinstance(value, datetime):
            for place in range(bisect_right(ages, now - value), len(ages)):
                yield value + ages[place], path, place


def marks_of(tests: Iterable[Test], path: str) -> Marks | None:
    """The marks of all the tests on a number; None where one of them holds it against another fact."""
    found: set[float] = set()
    for test in tests:
        if isinstance(test.wanted, FactRef):
            if path in (test.path, test.wanted.path):
                return None
        elif test.path == path and test.op is not Op.EXISTS:
            wanted = test.wanted if isinstance(test.wanted, tuple) else (test.wanted,)
            found.update(each for each in wanted if isinstance(each, int | float))
    return tuple(sorted(found))


def place_among(marks: Marks, value: float) -> int:
    """Which side of the marks a value is on, or which of them it is; equal values have equal places."""
    place = bisect_left(marks, value)
    return 2 * place + (place < len(marks) and marks[place] == value)


def _turns(op: Op, age: timedelta) -> tuple[timedelta, ...]:
    match op:
        case Op.OLDER_THAN:
            return (age,)
        case Op.WITHIN:
            # Of a moment ahead it is true once less than `age` is left, so just after the point itself.
            return (-age + _TICK, age)
        case _:
            return ()
