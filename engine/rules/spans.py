"""The cases of an ordered fact that tests can tell apart: marks that they name, and what lies between."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any as Anything

from engine.rules.condition import Op, Test
from engine.rules.facts import Fact, FactType

_ABOVE = {Op.GT, Op.AFTER}
_BELOW = {Op.LT, Op.BEFORE}


@dataclass(frozen=True)
class Span:
    """One case of an ordered fact: a mark, or all that lies between two of them (None: without end)."""

    low: Anything
    high: Anything
    is_mark: bool


def marks_of(tests: Iterable[Test]) -> set[Anything]:
    """The values that the tests name."""
    found: set[Anything] = set()
    for test in tests:
        values = test.wanted if isinstance(test.wanted, tuple) else (test.wanted,)
        found.update(values)
        if test.op is Op.WITHIN and isinstance(test.wanted, timedelta):
            found.add(-test.wanted)
    return found


def spans_between(marks: Sequence[Anything]) -> list[Span]:
    """Below the first mark, on it, between it and the next, and so on."""
    edges: list[Anything] = [None, *marks, None]
    spans = [Span(edges[0], edges[1], False)]
    for at in range(1, len(edges) - 1):
        spans += [Span(edges[at], edges[at], True), Span(edges[at], edges[at + 1], False)]
    return spans


def takes(test: Test, span: Span) -> bool:
    """Whether a number, moment or age in the span satisfies the test; its marks are marks of the scale."""
    wanted: Anything = test.wanted
    match test.op:
        case Op.EQ | Op.NE | Op.IN | Op.NOT_IN:
            values = wanted if isinstance(wanted, tuple) else (wanted,)
            return (span.is_mark and span.low in values) is (test.op in (Op.EQ, Op.IN))
        case Op.BETWEEN:
            low, high = wanted
            return _reaches(span, low) and _stays(span, high)
        case Op.WITHIN:
            return (
                _reaches(span, -wanted)
                and _stays(span, wanted)
                and not (span.is_mark and abs(span.low) == wanted)
            )
        case Op.GTE | Op.OLDER_THAN:
            return _reaches(span, wanted)
        case Op.LTE:
            return _stays(span, wanted)
        case op if op in _ABOVE:
            return not _stays(span, wanted)
        case op if op in _BELOW:
            return not _reaches(span, wanted)
        case _:
            return True


def _reaches(span: Span, mark: Anything) -> bool:
    return span.low is not None and bool(span.low >= mark)


def _stays(span: Span, mark: Anything) -> bool:
    return span.high is not None and bool(span.high <= mark)


def can_lie_in(fact: Fact, span: Span) -> bool:
    """Whether a fact of these bounds can lie in the span."""
    if fact.type is not FactType.NUMBER:
        return True
    if fact.least is not None and not (span.high is None or span.high > fact.least or span.low == fact.least):
        return False
    if fact.most is not None and not (span.low is None or span.low < fact.most or span.high == fact.most):
        return False
    if not fact.whole:
        return True
    if span.is_mark:
        return float(span.low).is_integer()
    return span.low is None or span.high is None or math.floor(span.low) + 1 < span.high


def times(span: Span, times: float) -> Span:
    """The span multiplied as the evaluator multiplies; rounding may close an open end, so ends count in."""
    if times == 1.0:
        return span
    low, high = (None if edge is None else edge * times for edge in (span.low, span.high))
    return Span(low, high, span.is_mark) if span.is_mark else _Rounded(low, high, False)


class _Rounded(Span):
    """A span whose ends may belong to it."""


def some_less(one: Span, other: Span) -> bool:
    """Whether something in the one is less than something in the other."""
    if one.low is None or other.high is None:
        return True
    return bool(one.low < other.high)


def some_more(one: Span, other: Span) -> bool:
    """Whether something in the one is more than something in the other."""
    return some_less(other, one)


def some_same(one: Span, other: Span) -> bool:
    """Whether both may hold the same."""
    lows = [edge for edge in (one.low, other.low) if edge is not None]
    highs = [edge for edge in (one.high, other.high) if edge is not None]
    if not lows or not highs:
        return True
    low, high = max(lows), min(highs)
    both_may_touch = all(span.is_mark or isinstance(span, _Rounded) for span in (one, other))
    return bool(low <= high if both_may_touch else low < high or _on_mark_inside(one, other))


def _on_mark_inside(one: Span, other: Span) -> bool:
    """Whether one is a mark that lies within the other."""
    for mark, span in ((one, other), (other, one)):
        if mark.is_mark and not span.is_mark:
            above = span.low is None or mark.low > span.low
            below = span.high is None or mark.low < span.high
            return bool(above and below) or (isinstance(span, _Rounded) and mark.low in (span.low, span.high))
    return False
