"""When conditions change by time alone: the moments at which ages pass what tests ask for; pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from engine.rules.condition import Op, Test
from engine.rules.facts import Facts

Turns = Mapping[str, Sequence[timedelta]]
"""Path of an instant -> how long after it (below zero: before it) a test on it turns, the soonest first."""

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


def _turns(op: Op, age: timedelta) -> tuple[timedelta, ...]:
    match op:
        case Op.OLDER_THAN:
            return (age,)
        case Op.WITHIN:
            # Of a moment ahead it is true once less than `age` is left, so just after the point itself.
            return (-age + _TICK, age)
        case _:
            return ()
