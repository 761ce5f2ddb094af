"""Finds tests that must hold together and cannot, where that is simply decidable.

Only tests of the same fact that are joined by AND are looked at; what needs more thought than comparing
bounds and sets is left alone, so a fault here is always right.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any as Anything
from typing import cast

from engine.rules import faults
from engine.rules.condition import All, Condition, FactRef, Op, Test
from engine.rules.duration import format_duration
from engine.rules.faults import Fault
from engine.rules.wanted import shown

_LOW = {Op.GT, Op.GTE, Op.AFTER, Op.BETWEEN, Op.OLDER_THAN}
_HIGH = {Op.LT, Op.LTE, Op.BEFORE, Op.BETWEEN, Op.WITHIN}
_OPEN = {Op.GT, Op.LT, Op.AFTER, Op.BEFORE, Op.WITHIN}


def find_contradictions(condition: Condition) -> Iterator[Fault]:
    """A fault for each group of joined tests that no value of the fact can satisfy."""
    joined: list[Test] = []
    for part in _joined(condition):
        if isinstance(part, Test):
            joined.append(part)
        else:
            for inner in part.parts:
                yield from find_contradictions(inner)
    groups: dict[str, list[Test]] = {}
    for test in joined:
        groups.setdefault(test.path, []).append(test)
    for tests in groups.values():
        clash = _clash(tests)
        if clash is not None:
            first, second = clash
            yield Fault(
                faults.NEVER_TRUE,
                second.at,
                f"{written(second)} can never hold together with {written(first)} on {second.path!r}",
                "put them under any when one of them is enough",
            )


def _joined(condition: Condition) -> Iterator[Condition]:
    """The parts that an AND joins, through nested ones; anything else is one part."""
    if isinstance(condition, All):
        for part in condition.parts:
            yield from _joined(part)
    else:
        yield condition


def _clash(tests: list[Test]) -> tuple[Test, Test] | None:
    """Two tests of one fact that exclude each other."""
    for place, second in enumerate(tests):
        for first in tests[:place]:
            if _exclude(first, second) or _exclude(second, first):
                return first, second
    return None


def _exclude(one: Test, other: Test) -> bool:
    if Op.EXISTS in (one.op, other.op):
        # Every other test is true only of a fact that is there.
        return (
            one.op is Op.EXISTS
            and one.wanted is False
            and (other.op is not Op.EXISTS or other.wanted is True)
        )
    if isinstance(one.wanted, FactRef) or isinstance(other.wanted, FactRef):
        return (
            one.wanted == other.wanted
            and one.op in (Op.EQ, Op.HAS)
            and other.op in (Op.NE, Op.LACKS, Op.GT, Op.LT)
        )
    values = _values(one)
    if values is not None:
        allowed = [value for value in values if _allows(other, value)]
        return not allowed
    if one.op in (Op.HAS, Op.HAS_ALL) and other.op is Op.LACKS:
        return other.wanted in _listed(one)
    if one.op in _LOW and other.op in _HIGH and (one.op is Op.OLDER_THAN) == (other.op is Op.WITHIN):
        low, high = _bound(one, 0), _bound(other, 1)
        touching_is_out = one.op in _OPEN or other.op in _OPEN
        return bool(low > high) or (touching_is_out and bool(low == high))
    return False


def _values(test: Test) -> tuple[object, ...] | None:
    """The only values a test accepts, where it lists them."""
    return _listed(test) if test.op in (Op.EQ, Op.IN) else None


def _listed(test: Test) -> tuple[object, ...]:
    return test.wanted if isinstance(test.wanted, tuple) else (test.wanted,)


def _bound(test: Test, side: int) -> Anything:
    return test.wanted[side] if isinstance(test.wanted, tuple) else test.wanted


def _allows(test: Test, value: Anything) -> bool:
    """Whether a fact with this value can satisfy the test; True also where that is not looked into."""
    match test.op:
        case Op.EQ | Op.IN:
            return value in _listed(test)
        case Op.NE | Op.NOT_IN:
            return value not in _listed(test)
        case Op.CONTAINS:
            return cast(str, test.wanted) in value
        case Op.STARTS_WITH:
            return bool(value.startswith(test.wanted))
        case Op.ENDS_WITH:
            return bool(value.endswith(test.wanted))
        case _ if test.op in _LOW | _HIGH:
            above = test.op not in _LOW or (
                value > _bound(test, 0) if test.op in _OPEN else value >= _bound(test, 0)
            )
            below = test.op not in _HIGH or (
                value < _bound(test, 1) if test.op in _OPEN else value <= _bound(test, 1)
            )
            return bool(above and below)
        case _:
            return True


def written(test: Test) -> str:
    """The test without its path, as `gte 3`."""
    match test.wanted:
        case timedelta():
            return f"{test.op.value} {format_duration(test.wanted)}"
        case datetime():
            return f"{test.op.value} {test.wanted.isoformat()}"
        case FactRef():
            return f"{test.op.value} {test.wanted.path}"
        case _:
            return f"{test.op.value} {shown(test.wanted)}"
