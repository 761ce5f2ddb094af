"""What would have turned a decision: a smallest set of facts, and what each of them would have had to be.

Works from the answers that the single tests gave, as decisions keep them; the facts themselves are not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import combinations, islice, pairwise, product
from typing import Any as Anything

from engine.rules.condition import All, Any, Condition, FactRef, None_, Op, Test, tests_of
from engine.rules.evaluator import settle
from engine.rules.facts import FactValue
from engine.rules.truth import Truth, all_of, any_of, negate

MOST_TRIED = 50_000
"""Combinations looked at before a condition is left without an answer."""
_MOST_ANSWERS = 1_000_000
"""The same in answers of tests: of a condition with hundreds of them, fewer combinations are looked at."""
_MOST_LABELS = 6
_MOST_PARTS = 3
_MOST_ENDS = 12
_OTHER = "\N{REPLACEMENT CHARACTER}"
"""A text that no test names."""
_INSTANT = timedelta(seconds=1)

Answers = tuple[Truth, ...]


@dataclass(frozen=True)
class Change:
    """One fact that would have had to be otherwise, and those of its tests that would have changed."""

    path: str
    tests: tuple[tuple[Test, Truth], ...]
    """Each with the answer it would have had to give."""


def turning(condition: Condition, answers: Sequence[Truth], now: datetime) -> tuple[Change, ...] | None:
    """A smallest set of facts whose change turns the condition from true to not true, or the other way.

    `answers` are those of `tests_of(condition)`, in that order, given at `now`. Among sets of equal size the
    one that changes the fewest answers is taken, then the one that stands first in the file. None when
    nothing turns it, or when that would take too long to find. A comparison of two facts, and a pattern, is
    taken to be able to come out either way.
    """
    tests = tuple(tests_of(condition))
    wants_true = _truth(condition, iter(answers)) is not Truth.TRUE
    paths = list(dict.fromkeys(path for test in tests for path in _paths(test)))
    options = {path: _options(path, tests, now) for path in paths}
    tried, most = 0, min(MOST_TRIED, _MOST_ANSWERS // max(1, len(tests)))
    for size in range(1, len(paths) + 1):
        best: tuple[int, tuple[str, ...], Answers] | None = None
        for chosen in combinations(paths, size):
            for given in islice(product(*(options[path] for path in chosen)), most - tried):
                tried += 1
                new = _with(tests, answers, dict(zip(chosen, given, strict=True)))
                if (_truth(condition, iter(new)) is Truth.TRUE) is not wants_true:
                    continue
                changed = sum(one is not other for one, other in zip(answers, new, strict=True))
                if best is None or changed < best[0]:
                    best = (changed, chosen, new)
            if tried >= most:
                break
        if best is not None:
            return _changes(tests, answers, best[1], best[2])
        if tried >= most:
            return None
    return None


def _truth(condition: Condition, answers: Iterator[Truth]) -> Truth:
    """What the condition says when its tests answer so."""
    if isinstance(condition, Test):
        return next(answers)
    # All of them are taken from the iterator, also when the first settles it.
    parts = [_truth(part, answers) for part in condition.parts]
    match condition:
        case All():
            return all_of(parts)
        case Any():
            return any_of(parts)
        case None_():
            return all_of(negate(part) for part in parts)


def _paths(test: Test) -> tuple[str, ...]:
    return (test.path, test.wanted.path) if isinstance(test.wanted, FactRef) else (test.path,)


def _options(path: str, tests: Sequence[Test], now: datetime) -> list[dict[int, Truth]]:
    """What the tests about one fact can say together, by their numbers: one entry for each kind of value."""
    own = {number: test for number, test in enumerate(tests) if test.path == path and not _is_free(test)}
    free = [number for number, test in enumerate(tests) if path in _paths(test) and _is_free(test)]
    found: dict[tuple[tuple[int, Truth], ...], None] = {}
    for value in _values(own.values(), now) or [None]:
        settled = {number: settle(test, {path: value}, now) for number, test in own.items()}
        for sides in product((Truth.TRUE, Truth.FALSE), repeat=min(len(free), 4)):
            both = {**settled, **dict(zip(free, sides, strict=False))}
            found.setdefault(tuple(sorted(both.items())))
    return [dict(each) for each in found]


def _is_free(test: Test) -> bool:
    """Whether nothing is known of the values that would satisfy it."""
    return isinstance(test.wanted, FactRef) or test.op is Op.MATCHES


def _with(tests: Sequence[Test], answers: Sequence[Truth], chosen: Mapping[str, dict[int, Truth]]) -> Answers:
    new = list(answers)
    for number, test in enumerate(tests):
        for path in _paths(test):
            if path in chosen and number in chosen[path]:
                new[number] = chosen[path][number]
    return tuple(new)


def _values(tests: Iterable[Test], now: datetime) -> list[FactValue | None]:
    """Values of one fact that stand for all the ways in which its tests can come out together.

    A missing fact is among them only where a test asks for it: "if it were not known" helps nobody else.
    """
    tests = list(tests)
    known: list[FactValue] = []
    for kind, wanted in _named(tests):
        match kind:
            case _Kind.LABELS:
                known += _label_sets(list(dict.fromkeys(wanted)))
            case _Kind.TEXT:
                known += [*wanted, _OTHER]
            case _Kind.PART:
                known += _compositions(list(dict.fromkeys(wanted)))
            case _Kind.FLAG:
                known += [True, False]
            case _Kind.NUMBER:
                known += _around(sorted(set(wanted)), 1.0)
            case _Kind.MOMENT:
                marks = {mark for each in wanted for mark in _moments(each, now)}
                known += _around(sorted(marks), _INSTANT)
    asks = any(test.op is Op.EXISTS for test in tests)
    if asks and not known:
        return [None, True]
    return [*known, *([None] if asks else [])]


class _Kind(Enum):
    LABELS = "labels"
    TEXT = "text"
    PART = "part"
    FLAG = "flag"
    NUMBER = "number"
    MOMENT = "moment"


def _named(tests: Iterable[Test]) -> Iterator[tuple[_Kind, list[Anything]]]:
    """The values that tests of one fact name, by what they are."""
    named: dict[_Kind, list[Anything]] = {}
    for test in tests:
        if test.op is Op.EXISTS:
            continue
        for each in test.wanted if isinstance(test.wanted, tuple) else (test.wanted,):
            kind = _kind_of(test.op, each)
            named.setdefault(kind, []).append(each)
            if kind is _Kind.PART:
                named.setdefault(_Kind.TEXT, []).append(each)
    yield from named.items()


def _kind_of(op: Op, wanted: Anything) -> _Kind:
    match wanted:
        case bool():
            return _Kind.FLAG
        case int() | float():
            return _Kind.NUMBER
        case datetime() | timedelta():
            return _Kind.MOMENT
        case _ if op in (Op.HAS, Op.LACKS, Op.HAS_ANY, Op.HAS_ALL):
            return _Kind.LABELS
        case _:
            return _Kind.PART if op in (Op.CONTAINS, Op.STARTS_WITH, Op.ENDS_WITH) else _Kind.TEXT


def _moments(wanted: datetime | timedelta, now: datetime) -> tuple[datetime, ...]:
    return (now - wanted, now + wanted) if isinstance(wanted, timedelta) else (wanted,)


def _around(marks: Sequence[Anything], step: Anything) -> list[Anything]:
    """Every mark, a value between any two of them, and one beyond each end."""
    between = [low + (high - low) / 2 for low, high in pairwise(marks)]
    return [*marks, *between, marks[0] - step, marks[-1] + step]


def _compositions(parts: Sequence[str]) -> list[str]:
    """Texts that begin and end with one of the parts or with none, and have any of the rest in between; of
    some parts all of them or none, and of many just the text of all."""
    if len(parts) > _MOST_ENDS:
        return ["".join(parts)]
    sizes = range(len(parts) + 1) if len(parts) <= _MOST_PARTS else (0, len(parts))
    middles = ["".join(each) for size in sizes for each in combinations(parts, size)]
    edges = [*parts, _OTHER]
    return [first + middle + last for middle in middles for first in edges for last in edges]


def _label_sets(labels: Sequence[str]) -> list[frozenset[str]]:
    """Every set of the labels named; of many, those with one label more or less than none or all."""
    if len(labels) <= _MOST_LABELS:
        sizes = range(len(labels) + 1)
        return [frozenset(each) for size in sizes for each in combinations(labels, size)]
    whole = frozenset(labels)
    return [frozenset(), whole, *(frozenset({each}) for each in labels), *(whole - {each} for each in labels)]


def _changes(
    tests: Sequence[Test], answers: Sequence[Truth], chosen: Sequence[str], new: Answers
) -> tuple[Change, ...]:
    """The changed answers under the facts that change them; a comparison stands under one of its two."""
    told: set[int] = set()
    changes = []
    for path in chosen:
        mine = [
            number
            for number, test in enumerate(tests)
            if path in _paths(test) and new[number] is not answers[number] and number not in told
        ]
        told.update(mine)
        if mine:
            changes.append(Change(path, tuple((tests[number], new[number]) for number in mine)))
    return tuple(changes)
