"""The reference: decides a condition in plain Python, one test after the other.

It shares no code with the compiled matcher on purpose; tests hold the two together, and the matcher asks it
whenever something surprises it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any as Anything
from typing import cast

from engine.rules.condition import All, Any, Condition, FactRef, None_, Op, Test, Wanted
from engine.rules.facts import Facts, FactType, kind_of
from engine.rules.patterns import LONGEST_TEXT
from engine.rules.truth import Truth, all_of, any_of, negate

_ORDER: dict[Op, Callable[[Anything, Anything], bool]] = {
    Op.GT: operator.gt,
    Op.GTE: operator.ge,
    Op.LT: operator.lt,
    Op.LTE: operator.le,
    Op.BEFORE: operator.lt,
    Op.AFTER: operator.gt,
}
_ORDERED = {FactType.NUMBER, FactType.INSTANT}


def evaluate(condition: Condition, facts: Facts, now: datetime) -> Truth:
    """What the condition says of these facts; `now` (timezone-aware) is what ages are counted from.

    A fact that is missing, None or of another type than the test expects leaves that test unknown; only
    `exists` always has an answer.
    """
    match condition:
        case Test():
            return settle(condition, facts, now)
        case All():
            return all_of(evaluate(part, facts, now) for part in condition.parts)
        case Any():
            return any_of(evaluate(part, facts, now) for part in condition.parts)
        case None_():
            return all_of(negate(evaluate(part, facts, now)) for part in condition.parts)


def settle(test: Test, facts: Facts, now: datetime) -> Truth:
    """What a single test says."""
    value = facts.get(test.path)
    if test.op is Op.EXISTS:
        return Truth.of((value is not None) == bool(test.wanted))
    wanted = resolve(test.wanted, facts)
    if value is None or wanted is None or not _fits(test):
        return Truth.UNKNOWN
    answer = _answer(test.op, value, wanted, now)
    return Truth.UNKNOWN if answer is None else Truth.of(answer)


def resolve(wanted: Wanted, facts: Facts) -> object | None:
    """What a test is held against: what was written, or what the named fact says (None: missing)."""
    if not isinstance(wanted, FactRef):
        return wanted
    value = facts.get(wanted.path)
    if value is None or wanted.times == 1.0:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value * wanted.times
    except OverflowError:  # a whole number beyond what a float can hold
        return None


def _fits(test: Test) -> bool:
    """Whether the value has the form the test works with; the parser lets no other through."""
    match test.op:
        case Op.BETWEEN | Op.IN | Op.NOT_IN | Op.HAS_ANY | Op.HAS_ALL:
            return isinstance(test.wanted, tuple)
        case Op.WITHIN | Op.OLDER_THAN:
            return isinstance(test.wanted, timedelta)
        case Op.MATCHES:
            return isinstance(test.wanted, str)
        case _:
            return not isinstance(test.wanted, tuple)


def _answer(op: Op, value: object, wanted: object, now: datetime) -> bool | None:
    """Yes, no, or None where the types do not fit."""
    kind = kind_of(value)
    match op:
        case Op.EQ | Op.NE:
            if kind is None or kind is FactType.LABELS or kind is not kind_of(wanted):
                return None
            return (value == wanted) is (op is Op.EQ)
        case Op.GT | Op.GTE | Op.LT | Op.LTE | Op.BEFORE | Op.AFTER:
            if kind not in _ORDERED or kind is not kind_of(wanted):
                return None
            return _ORDER[op](value, wanted)
        case Op.BETWEEN:
            low, high = cast(tuple[float, float], wanted)
            if kind not in _ORDERED or kind is not kind_of(low) or kind is not kind_of(high):
                return None
            return low <= cast(float, value) <= high
        case Op.IN | Op.NOT_IN:
            choices = [choice for choice in cast(tuple[object, ...], wanted) if kind_of(choice) is kind]
            if kind is None or kind is FactType.LABELS or not choices:
                return None
            return (value in choices) is (op is Op.IN)
        case Op.WITHIN | Op.OLDER_THAN:
            if kind is not FactType.INSTANT:
                return None
            age, limit = now - cast(datetime, value), cast(timedelta, wanted)
            return age >= limit if op is Op.OLDER_THAN else abs(age) < limit
        case Op.HAS | Op.LACKS | Op.HAS_ANY | Op.HAS_ALL:
            return _labels(op, cast(frozenset[str], value), wanted) if kind is FactType.LABELS else None
        case _:
            if kind is not FactType.TEXT or not isinstance(wanted, str):
                return None
            return _text(op, cast(str, value), wanted)


def _labels(op: Op, labels: frozenset[str], wanted: object) -> bool | None:
    if op in (Op.HAS, Op.LACKS):
        return (wanted in labels) is (op is Op.HAS) if isinstance(wanted, str) else None
    held = [label in labels for label in cast(tuple[str, ...], wanted)]
    return any(held) if op is Op.HAS_ANY else all(held)


def _text(op: Op, text: str, wanted: str) -> bool | None:
    if op is Op.CONTAINS:
        return wanted in text
    if op is Op.STARTS_WITH:
        return text.startswith(wanted)
    if op is Op.ENDS_WITH:
        return text.endswith(wanted)
    if len(text) > LONGEST_TEXT:
        return None
    return _compiled(wanted).search(text) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
