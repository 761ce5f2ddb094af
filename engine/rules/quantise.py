"""Turns every test of a shard into comparisons of small integers, computed from the facts by columns.

Numbers, moments and ages become places on a scale of all the marks the shard asks about; texts become their
place among the choices named; everything else becomes a column of its own that is 0 or 1. That is exact, and
it keeps text, decimals, time, types and missing facts away from whatever compares the codes afterwards.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any as Anything
from typing import cast

from engine.rules import columns
from engine.rules.columns import Reader
from engine.rules.condition import FactRef, Op, Test
from engine.rules.facts import Facts, FactType, kind_of
from engine.rules.normal_form import RELATIONS, Both, Comparison, Either, Formula, Relation

_RELATION = {
    Op.EQ: (Relation.EQ, Relation.NE),
    Op.NE: (Relation.NE, Relation.EQ),
    Op.GT: (Relation.GT, Relation.LTE),
    Op.GTE: (Relation.GTE, Relation.LT),
    Op.LT: (Relation.LT, Relation.GTE),
    Op.LTE: (Relation.LTE, Relation.GT),
    Op.AFTER: (Relation.GT, Relation.LTE),
    Op.BEFORE: (Relation.LT, Relation.GTE),
}
"""The relation for a test being true, and for it being false."""
_ORDERED = {FactType.NUMBER, FactType.INSTANT}
_AGES = {Op.WITHIN, Op.OLDER_THAN}
_TEXTUAL = {Op.CONTAINS, Op.STARTS_WITH, Op.ENDS_WITH, Op.MATCHES}


@dataclass(frozen=True)
class Column:
    """A source of codes from 0 to `size` - 1, or UNKNOWN."""

    read: Reader
    size: int
    path: str = ""
    """The only fact it is read from, where that is said."""
    texts: frozenset[str] | None = None
    """It depends only on which of these the text at `path` is, or that it is another."""
    label: str | None = None
    """It says whether the labels at `path` have this one."""


class Quantiser:
    """The columns of one shard, and the comparisons that its tests amount to."""

    def __init__(self, tests: Iterable[Test]) -> None:
        """`tests` are all the tests that will be asked for: scales need every mark beforehand."""
        self.columns: list[Column] = []
        self._places: dict[Anything, int] = {}
        self._marks: dict[tuple[str, str], list[Anything]] = {}
        self._choices: dict[str, list[str]] = {}
        self._folded: dict[Formula, Comparison] = {}
        marks: dict[tuple[str, str], set[Anything]] = {}
        choices: dict[str, set[str]] = {}
        for test in tests:
            scale = _scale_of(test)
            if scale is not None:
                marks.setdefault((scale, test.path), set()).update(_marks_of(test))
            elif _is_choice(test):
                choices.setdefault(test.path, set()).add(cast(str, test.wanted))
        self._marks = {key: sorted(found) for key, found in marks.items()}
        self._choices = {path: sorted(found) for path, found in choices.items()}

    def settle(self, test: Test, truth: bool) -> Formula:
        """The formula that holds exactly when the test is definitely `truth`."""
        scale = _scale_of(test)
        if scale is not None:
            return self._on_scale(test, scale, truth)
        if _is_choice(test):
            place = self._column(("text", test.path), self._text_column)
            code = bisect_left(self._choices[test.path], cast(str, test.wanted))
            return Comparison(place, _RELATION[test.op][not truth], code)
        if test.op in (Op.EQ, Op.NE) and isinstance(test.wanted, bool):
            place = self._column(("truth", test.path), lambda key: Column(columns.truth_value(key[1]), 2))
            return Comparison(place, _RELATION[test.op][not truth], int(test.wanted))
        return self._flag(test, truth)

    def fold(self, formula: Formula) -> Comparison:
        """One comparison that holds exactly when the formula does, whatever its size."""
        if formula not in self._folded:
            read = self._reader_of(formula)
            self.columns.append(Column(lambda facts, now: int(read(facts, now)), 2))
            self._folded[formula] = Comparison(len(self.columns) - 1, Relation.EQ, 1)
        return self._folded[formula]

    def _column(self, key: Anything, make: Anything) -> int:
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.columns)
            self.columns.append(make(key))
        return place

    def _text_column(self, key: tuple[str, str]) -> Column:
        found = self._choices[key[1]]
        return Column(columns.text_choice(key[1], found), len(found) + 1, key[1], frozenset(found))

    def _scale_column(self, key: tuple[str, str]) -> Column:
        scale, path = key
        marks = self._marks[key]
        make: Anything = {
            "number": columns.number_scale,
            "moment": columns.moment_scale,
            "age": columns.age_scale,
        }[scale]
        return Column(make(path, marks), 2 * len(marks) + 1)

    def _on_scale(self, test: Test, scale: str, truth: bool) -> Formula:
        key = (scale, test.path)
        place = self._column(key, self._scale_column)
        codes = [2 * bisect_left(self._marks[key], mark) + 1 for mark in _marks_of(test)]
        if test.op is Op.OLDER_THAN:
            return Comparison(place, Relation.GTE if truth else Relation.LT, codes[1])
        if test.op in (Op.BETWEEN, Op.WITHIN):
            open_ends = test.op is Op.WITHIN
            inside = (Relation.GT, Relation.LT) if open_ends else (Relation.GTE, Relation.LTE)
            outside = (Relation.LTE, Relation.GTE) if open_ends else (Relation.LT, Relation.GT)
            low, high = inside if truth else outside
            parts = (Comparison(place, low, codes[0]), Comparison(place, high, codes[1]))
            return Both(parts) if truth else Either(parts)
        return Comparison(place, _RELATION[test.op][not truth], codes[0])

    def _flag(self, test: Test, truth: bool) -> Comparison:
        """A column that is 1 when the test is true: for what has no scale or choice."""
        op, path, wanted = test.op, test.path, test.wanted
        if op is Op.EXISTS:
            place = self._column((op, path), lambda _: Column(columns.existence(path), 2))
            return Comparison(place, Relation.EQ, int(bool(wanted) is truth))
        if op in (Op.HAS, Op.LACKS) and isinstance(wanted, str):
            # `lacks` is read from the column of `has`.
            reader = columns.labels(path, frozenset({wanted}), Op.HAS_ALL)
            place = self._column((Op.HAS, path, wanted), lambda _: Column(reader, 2, path, label=wanted))
            return Comparison(place, Relation.EQ, int((op is Op.HAS) is truth))
        key = (op, path, _typed(wanted))
        texts = _texts_of(wanted) if op in (Op.IN, Op.NOT_IN) else None
        place = self._column(key, lambda _: Column(_flag_reader(test), 2, path, texts))
        return Comparison(place, Relation.EQ, int(truth))

    def _reader_of(self, formula: Formula) -> Anything:
        """A function of facts and now that says whether the formula holds."""
        if isinstance(formula, Comparison):
            read, holds, code = self.columns[formula.column].read, RELATIONS[formula.relation], formula.code

            def compare(facts: Facts, now: datetime) -> bool:
                found = read(facts, now)
                return found != columns.UNKNOWN and holds(found, code)

            return compare
        parts = [self._reader_of(part) for part in formula.parts]
        if isinstance(formula, Both):
            return lambda facts, now: all(part(facts, now) for part in parts)
        return lambda facts, now: any(part(facts, now) for part in parts)


def _flag_reader(test: Test) -> Reader:
    op, path, wanted = test.op, test.path, test.wanted
    if isinstance(wanted, FactRef):
        return columns.between_facts(path, op, wanted)
    if op in (Op.IN, Op.NOT_IN) and isinstance(wanted, tuple):
        member = columns.membership(path, wanted)
        return member if op is Op.IN else _opposite(member)
    if op in (Op.HAS_ANY, Op.HAS_ALL) and isinstance(wanted, tuple):
        return columns.labels(path, frozenset(cast(tuple[str, ...], wanted)), op)
    if op in _TEXTUAL and isinstance(wanted, str):
        return columns.text_test(path, op, wanted)
    return columns.unsettled


def _opposite(read: Reader) -> Reader:
    def opposite(facts: Facts, now: datetime) -> int:
        code = read(facts, now)
        return code if code == columns.UNKNOWN else 1 - code

    return opposite


def _scale_of(test: Test) -> str | None:
    """Which scale of its path the test is a mark on; None when it is not about order."""
    if test.op in _AGES:
        return "age" if isinstance(test.wanted, timedelta) else None
    if test.op is Op.BETWEEN and isinstance(test.wanted, tuple) and len(test.wanted) == 2:
        kinds = {kind_of(each) for each in test.wanted}
    elif test.op in _RELATION:
        kinds = {kind_of(test.wanted)}
    else:
        return None
    if len(kinds) == 1 and kinds <= _ORDERED:
        return "number" if FactType.NUMBER in kinds else "moment"
    return None


def _marks_of(test: Test) -> tuple[Anything, ...]:
    if isinstance(test.wanted, timedelta):
        return -test.wanted, test.wanted
    return test.wanted if isinstance(test.wanted, tuple) else (test.wanted,)


def _texts_of(wanted: object) -> frozenset[str] | None:
    """The texts to choose from, when there are only texts."""
    if isinstance(wanted, tuple) and all(kind_of(each) is FactType.TEXT for each in wanted):
        return frozenset(wanted)
    return None


def _is_choice(test: Test) -> bool:
    return test.op in (Op.EQ, Op.NE) and isinstance(test.wanted, str)


def _typed(value: object) -> object:
    """A key that tells true from 1, which Python takes for equal."""
    if isinstance(value, tuple):
        return tuple((kind_of(each), each) for each in value)
    return (kind_of(value), value)
