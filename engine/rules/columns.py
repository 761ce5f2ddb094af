"""Readers: small functions that turn facts into the small integers that everything after them compares.

Each reader gives a code from 0 up, or UNKNOWN. This is the second implementation of the tests' meaning (the
first is the evaluator); it must agree with it on every fact, also on missing and mistyped ones.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from math import isfinite
from typing import Any as Anything

from engine.rules.condition import FactRef, Op
from engine.rules.facts import Facts, FactType, kind_of
from engine.rules.patterns import LONGEST_TEXT

Reader = Callable[[Facts, datetime], int]
UNKNOWN = -1
"""The code of what cannot be settled; no comparison holds for it."""
_SETS = (frozenset, set)


def number_scale(path: str, marks: Sequence[Anything]) -> Reader:
    """2i + 1 on the i-th mark, 2i just below it."""
    count = len(marks)

    def read(facts: Facts, now: datetime) -> int:
        value: Anything = facts.get(path)
        kind = value.__class__
        if kind is int or (kind is float and isfinite(value)):  # nearly always; kind_of takes longer
            place = bisect_left(marks, value)
            return 2 * place + (place < count and marks[place] == value)
        return _on_scale(marks, value) if kind_of(value) is FactType.NUMBER else UNKNOWN

    return read


def moment_scale(path: str, marks: Sequence[datetime]) -> Reader:
    """As `number_scale`, over moments."""

    def read(facts: Facts, now: datetime) -> int:
        value = facts.get(path)
        if not isinstance(value, datetime) or value.utcoffset() is None:
            return UNKNOWN
        return _on_scale(marks, value)

    return read


def age_scale(path: str, marks: Sequence[timedelta]) -> Reader:
    """As `number_scale`, over the time since a moment; a moment ahead has a negative age."""

    def read(facts: Facts, now: datetime) -> int:
        value = facts.get(path)
        if not isinstance(value, datetime) or value.utcoffset() is None:
            return UNKNOWN
        return _on_scale(marks, now - value)

    return read


def _on_scale(marks: Sequence[Anything], value: Anything) -> int:
    place = bisect_left(marks, value)
    return 2 * place + (place < len(marks) and marks[place] == value)


def text_choice(path: str, choices: Sequence[str]) -> Reader:
    """The place of the text among the choices; one more than the last for any other text."""
    codes = {choice: place for place, choice in enumerate(choices)}
    other = len(codes)

    def read(facts: Facts, now: datetime) -> int:
        value = facts.get(path)
        return codes.get(value, other) if isinstance(value, str) else UNKNOWN

    return read


def truth_value(path: str) -> Reader:
    """0 or 1 for false or true."""

    def read(facts: Facts, now: datetime) -> int:
        value = facts.get(path)
        return int(value) if isinstance(value, bool) else UNKNOWN

    return read


def existence(path: str) -> Reader:
    """0 or 1, never unknown."""

    def read(facts: Facts, now: datetime) -> int:
        return int(facts.get(path) is not None)

    return read


def membership(path: str, members: Collection[Anything]) -> Reader:
    """1 when the value is one of the members of its own type; unknown when no member has that type."""
    by_kind = {
        kind: frozenset(member for member in members if kind_of(member) is kind)
        for kind in (FactType.NUMBER, FactType.TEXT, FactType.BOOLEAN, FactType.INSTANT)
    }

    def read(facts: Facts, now: datetime) -> int:
        value: Anything = facts.get(path)
        kind = kind_of(value)
        if kind is None or kind is FactType.LABELS or not by_kind[kind]:
            return UNKNOWN
        return int(value in by_kind[kind])

    return read


def label_turns(path: str, turns: Mapping[str, int], without: int, unsettled: int) -> Reader:
    """`without`, with the bits turned round that `turns` names for each label that is there.

    `unsettled` when the fact is no set of labels.
    """

    def read(facts: Facts, now: datetime) -> int:
        value: Anything = facts.get(path)
        if not isinstance(value, _SETS):
            return unsettled
        mask = without
        for label in value:
            turned = turns.get(label)
            if turned is not None:
                mask ^= turned
        return mask

    return read


def labels(path: str, wanted: frozenset[str], op: Op) -> Reader:
    """1 when the labels hold one (HAS_ANY) or all of those wanted."""

    def read(facts: Facts, now: datetime) -> int:
        value = facts.get(path)
        if not isinstance(value, _SETS):
            return UNKNOWN
        return int(not wanted.isdisjoint(value) if op is Op.HAS_ANY else wanted <= value)

    return read


def text_test(path: str, op: Op, wanted: str) -> Reader:
    """1 when the text contains, begins with, ends with or matches what is wanted."""
    search = re.compile(wanted).search if op is Op.MATCHES else None

    def read(facts: Facts, now: datetime) -> int:
        value = facts.get(path)
        if not isinstance(value, str):
            return UNKNOWN
        return _text_answer(value)

    def _text_answer(value: str) -> int:
        if search is not None:
            return UNKNOWN if len(value) > LONGEST_TEXT else int(search(value) is not None)
        if op is Op.CONTAINS:
            return int(wanted in value)
        return int(value.startswith(wanted) if op is Op.STARTS_WITH else value.endswith(wanted))

    return read


_SAME_TYPE: dict[Op, Callable[[Anything, Anything], bool]] = {
    Op.EQ: lambda one, other: bool(one == other),
    Op.NE: lambda one, other: bool(one != other),
    Op.GT: lambda one, other: bool(one > other),
    Op.GTE: lambda one, other: bool(one >= other),
    Op.LT: lambda one, other: bool(one < other),
    Op.LTE: lambda one, other: bool(one <= other),
    Op.BEFORE: lambda one, other: bool(one < other),
    Op.AFTER: lambda one, other: bool(one > other),
    Op.CONTAINS: lambda one, other: other in one,
    Op.STARTS_WITH: lambda one, other: bool(one.startswith(other)),
    Op.ENDS_WITH: lambda one, other: bool(one.endswith(other)),
}
_FOR_TYPES: dict[Op, tuple[FactType, ...]] = {
    **dict.fromkeys((Op.EQ, Op.NE), (FactType.NUMBER, FactType.TEXT, FactType.BOOLEAN, FactType.INSTANT)),
    **dict.fromkeys((Op.GT, Op.GTE, Op.LT, Op.LTE, Op.BEFORE, Op.AFTER), (FactType.NUMBER, FactType.INSTANT)),
    **dict.fromkeys((Op.CONTAINS, Op.STARTS_WITH, Op.ENDS_WITH), (FactType.TEXT,)),
}


def between_facts(path: str, op: Op, wanted: FactRef) -> Reader:
    """1 when the test holds between two facts; unknown when one is missing or their types differ."""
    if op in (Op.HAS, Op.LACKS):
        return _label_of_fact(path, op, wanted)
    if op not in _SAME_TYPE:
        return unsettled
    answer, types = _SAME_TYPE[op], _FOR_TYPES[op]

    def read(facts: Facts, now: datetime) -> int:
        value, other = facts.get(path), _scaled(facts.get(wanted.path), wanted.times)
        kind = kind_of(value)
        if kind not in types or kind_of(other) is not kind:
            return UNKNOWN
        return int(answer(value, other))

    return read


def _label_of_fact(path: str, op: Op, wanted: FactRef) -> Reader:
    def read(facts: Facts, now: datetime) -> int:
        value, other = facts.get(path), _scaled(facts.get(wanted.path), wanted.times)
        if not isinstance(value, _SETS) or not isinstance(other, str):
            return UNKNOWN
        return int((other in value) == (op is Op.HAS))

    return read


def _scaled(value: Anything, times: float) -> Anything:
    if times == 1.0 or value is None:
        return value
    if kind_of(value) is not FactType.NUMBER:
        return None
    try:
        return value * times
    except OverflowError:
        return None


def unsettled(facts: Facts, now: datetime) -> int:
    """For a test that no fact can settle, because its value has a type it cannot work with."""
    return UNKNOWN
