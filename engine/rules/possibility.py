"""Whether conditions can ever be true, false or not settled: by cases, for every fact they ask about.

A fact has few cases that tests can tell apart: a number lies on a mark that some test names or between two of
them, a text is one of those named or another one, a label is there or not. Where cases of two facts hang
together in a way that is not modelled, more is held to be possible than is; so "impossible" is always right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any as Anything

from engine.rules.condition import All, Condition, FactRef, None_, Op, Test, tests_of
from engine.rules.evaluator import settle
from engine.rules.facts import Catalogue, Fact, FactType
from engine.rules.solving import Among, Every, Formula, Some, Variable, is_solvable, opposite
from engine.rules.truth import Truth

_ABOVE = {Op.GT, Op.AFTER}
_BELOW = {Op.LT, Op.BEFORE}
_TEXTUAL = {Op.CONTAINS, Op.STARTS_WITH, Op.ENDS_WITH, Op.MATCHES}
_AGES = {Op.WITHIN, Op.OLDER_THAN}
_MISSING, _KNOWN, _MISTYPED = 1, 2, 4
_NO, _YES, _OPEN = 1, 2, 4
"""Cases of a test that is one case by itself: false, true, not settled although the facts are there."""
_LESS, _SAME, _MORE, _NEITHER = 1, 2, 4, 8
"""Cases of two facts held against each other."""
_MOST_RELATED = 12
"""How many tests of one text are held against each other; beyond it they count as unrelated."""
_ANY_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Span:
    """One case of an ordered fact: a mark, or all that lies between two of them (None: without end)."""

    low: Anything
    high: Anything
    is_mark: bool


class Space:
    """All cases of the facts that some conditions ask about."""

    def __init__(self, conditions: Iterable[Condition], catalogue: Catalogue) -> None:
        """The conditions are all those that will be asked about together; the catalogue knows their facts."""
        tests = list(dict.fromkeys(test for condition in conditions for test in tests_of(condition)))
        self._facts = {
            path: catalogue.get(path) for test in tests for path in (test.path, *_other(test)) if path
        }
        self._sizes: dict[Variable, int] = {}
        self._domains: dict[Variable, int] = {}
        self._spans: dict[Variable, list[_Span]] = {}
        self._texts: dict[str, list[str]] = {}
        self._axioms: list[Formula] = []
        self._made: dict[tuple[Test, bool], Formula] = {}
        for path, fact in self._facts.items():
            is_certain = fact is not None and fact.always
            self._declare(("known", path), 3, _KNOWN if is_certain else _MISSING | _KNOWN | _MISTYPED)
            if fact is not None:
                self._cases(fact, [test for test in tests if test.path == path])
        for test in tests:
            if isinstance(test.wanted, FactRef):
                self._held_together(test, test.wanted)

    def holds(self, condition: Condition) -> Formula:
        """That the condition is definitely true."""
        return self._formula(condition, True)

    def fails(self, condition: Condition) -> Formula:
        """That the condition is definitely false."""
        return self._formula(condition, False)

    def is_passed_over(self, condition: Condition) -> Formula:
        """That the condition is not definitely true: false, or not settled."""
        return opposite(self.holds(condition), self._sizes)

    def can_be(self, *formulas: Formula) -> bool | None:
        """Whether some facts make all of these hold; False is always right, None is not settled."""
        return is_solvable([*self._axioms, *formulas], self._domains)

    def _formula(self, condition: Condition, truth: bool) -> Formula:
        if isinstance(condition, Test):
            key = (condition, truth)
            if key not in self._made:
                self._made[key] = self._test(condition, truth)
            return self._made[key]
        inner = not truth if isinstance(condition, None_) else truth
        parts = tuple(self._formula(part, inner) for part in condition.parts)
        return Every(parts) if isinstance(condition, All | None_) == truth else Some(parts)

    def _test(self, test: Test, truth: bool) -> Formula:
        known = ("known", test.path)
        if test.op is Op.EXISTS:
            return Among(known, _KNOWN | _MISTYPED if bool(test.wanted) is truth else _MISSING)
        if isinstance(test.wanted, FactRef):
            # Two facts of one wrong type can still be held against each other.
            both = (Among(each, _KNOWN | _MISTYPED) for each in (known, ("known", test.wanted.path)))
            return Every((*both, self._answer(test, truth)))
        return Every((Among(known, _KNOWN), self._answer(test, truth)))

    def _answer(self, test: Test, truth: bool) -> Formula:
        """What the test says of facts that are there."""
        wanted, path = test.wanted, test.path
        fact = self._facts[path]
        if isinstance(wanted, FactRef):
            return self._against_fact(test, wanted, truth)
        if fact is None:
            return self._by_itself(test, truth)
        match fact.type:
            case FactType.LABELS:
                labels = wanted if isinstance(wanted, tuple) else (wanted,)
                is_some = (test.op is Op.HAS_ANY) is truth
                is_there = truth is not (test.op is Op.LACKS)
                held = tuple(Among(("label", path, each), _YES if is_there else _NO) for each in labels)
                return Some(held) if is_some else Every(held)
            case FactType.BOOLEAN:
                yes = bool(wanted) is ((test.op is Op.EQ) is truth)
                return Among(("truth", path), _YES if yes else _NO)
            case FactType.TEXT:
                return self._text(test, truth)
            case _:
                scale = ("age" if test.op in _AGES else "place", path)
                inside = sum(1 << at for at, span in enumerate(self._spans[scale]) if _takes(test, span))
                return Among(scale, inside if truth else ((1 << self._sizes[scale]) - 1) & ~inside)

    def _text(self, test: Test, truth: bool) -> Formula:
        key, named = ("text", test.path), self._texts[test.path]
        taken = sum(1 << at for at, text in enumerate(named) if _reads(test, text) is truth)
        if test.op not in _TEXTUAL:
            other = (test.op in (Op.NE, Op.NOT_IN)) is truth
            return Among(key, taken | (1 << len(named) if other else 0))
        return Some((Among(key, taken), Every((Among(key, 1 << len(named)), self._by_itself(test, truth)))))

    def _by_itself(self, test: Test, truth: bool) -> Formula:
        key = self._own(test)
        if key not in self._sizes:
            can_stay_open = test.op is Op.MATCHES or isinstance(test.wanted, FactRef)
            self._declare(key, 3, _NO | _YES | (_OPEN if can_stay_open else 0))
        return Among(key, _YES if truth else _NO)

    def _own(self, test: Test) -> Variable:
        op = Op.HAS if test.op is Op.LACKS else test.op
        return ("itself", op, test.path, test.wanted)

    def _against_fact(self, test: Test, wanted: FactRef, truth: bool) -> Formula:
        if test.op in (Op.HAS, Op.LACKS):
            return self._by_itself(test, truth is (test.op is Op.HAS))
        if not self._is_pair(test, wanted):
            return self._by_itself(test, truth)
        key, is_turned = _pair(test.path, wanted)
        less, more = (_MORE, _LESS) if is_turned else (_LESS, _MORE)
        cases = {
            Op.EQ: _SAME,
            Op.NE: less | more,
            Op.GT: more,
            Op.AFTER: more,
            Op.LT: less,
            Op.BEFORE: less,
            Op.GTE: more | _SAME,
            Op.LTE: less | _SAME,
        }.get(test.op, 0)
        return Among(key, cases if truth else (_LESS | _SAME | _MORE) & ~cases)

    def _is_pair(self, test: Test, wanted: FactRef) -> bool:
        """Whether the test asks which of two facts of one type is more, or whether they are the same."""
        fact, other = self._facts[test.path], self._facts[wanted.path]
        ordered = fact is not None and other is not None and fact.type is other.type
        return ordered and test.op not in _TEXTUAL | {Op.HAS, Op.LACKS}

    def _declare(self, variable: Variable, size: int, domain: int | None = None) -> None:
        self._sizes[variable] = size
        self._domains[variable] = (1 << size) - 1 if domain is None else domain

    def _cases(self, fact: Fact, tests: Sequence[Test]) -> None:
        path = fact.path
        plain = [test for test in tests if not isinstance(test.wanted, FactRef)]
        match fact.type:
            case FactType.LABELS:
                for test in plain:
                    for label in test.wanted if isinstance(test.wanted, tuple) else (test.wanted,):
                        self._declare(("label", path, label), 2)
            case FactType.BOOLEAN:
                self._declare(("truth", path), 2)
            case FactType.TEXT:
                self._text_cases(fact, plain)
            case _:
                marks = _marks(test for test in plain if test.op not in _AGES | {Op.EXISTS})
                bounds = {each for each in (fact.least, fact.most) if each is not None}
                spans = _spans(sorted({*marks, *bounds}))
                self._scale(("place", path), spans, lambda span: _can_be(fact, span))
                if fact.type is FactType.INSTANT:
                    ages = _marks(test for test in plain if test.op in _AGES)
                    self._scale(("age", path), _spans(sorted(ages)), lambda _: True)

    def _scale(self, key: Variable, spans: list[_Span], fits: Callable[[_Span], bool]) -> None:
        self._spans[key] = spans
        self._declare(key, len(spans), sum(1 << at for at, span in enumerate(spans) if fits(span)))

    def _text_cases(self, fact: Fact, tests: Sequence[Test]) -> None:
        named = {
            text
            for test in tests
            if test.op not in _TEXTUAL | {Op.EXISTS}
            for text in (test.wanted if isinstance(test.wanted, tuple) else (test.wanted,))
            if isinstance(text, str)
        }
        texts = self._texts[fact.path] = sorted(named | set(fact.choices))
        closed = sum(1 << texts.index(choice) for choice in fact.choices)
        self._declare(("text", fact.path), len(texts) + 1, closed or None)
        textual = list(dict.fromkeys(test for test in tests if test.op in _TEXTUAL))
        for test in textual:
            self._by_itself(test, True)
        for one, other in combinations(textual[:_MOST_RELATED], 2):
            for first, second in ((one, other), (other, one)):
                if _follows(first, second):
                    self._axioms.append(Some((self._not(first), Among(self._own(second), _YES))))
            if _exclude(one, other):
                self._axioms.append(Some((self._not(one), self._not(other))))

    def _not(self, test: Test) -> Formula:
        return Among(self._own(test), _NO | _OPEN)

    def _held_together(self, test: Test, wanted: FactRef) -> None:
        """The cases of two facts held against each other, and what their own cases say about that."""
        fact, other = self._facts[test.path], self._facts[wanted.path]
        if fact is None or other is None or not self._is_pair(test, wanted):
            self._by_itself(test, True)
            return
        key, is_turned = _pair(test.path, wanted)
        if key in self._sizes:
            return
        # A product can be beyond what a number can hold, and two facts may differ in type.
        can_fail = wanted.times != 1.0 or not (fact.always and other.always)
        self._declare(key, 4, _LESS | _SAME | _MORE | (_NEITHER if can_fail else 0))
        first, second = (other, fact) if is_turned else (fact, other)
        for scale in ("place", "age"):
            one, two = (scale, first.path), (scale, second.path)
            if one in self._spans and two in self._spans and wanted.times > 0 and first is not second:
                # Of two moments the later one has the smaller age.
                less, more = (_MORE, _LESS) if scale == "age" else (_LESS, _MORE)
                scaled = [_times(span, wanted.times) for span in self._spans[two]]
                for case, fits in ((less, _some_less), (_SAME, _some_same), (more, _some_more)):
                    self._relate(key, case, one, two, scaled, fits)

    def _relate(
        self,
        key: Variable,
        case: int,
        one: tuple[str, str],
        two: tuple[str, str],
        scaled: Sequence[_Span],
        fits: Callable[[_Span, _Span], bool],
    ) -> None:
        whole = (1 << self._sizes[one]) - 1
        for at, right in enumerate(scaled):
            possible = sum(1 << place for place, left in enumerate(self._spans[one]) if fits(left, right))
            if possible != whole:
                elsewhere = ((1 << self._sizes[two]) - 1) & ~(1 << at)
                not_typed = (Among(("known", path), _MISSING | _MISTYPED) for path in (one[1], two[1]))
                self._axioms.append(
                    Some((*not_typed, Among(key, 15 & ~case), Among(two, elsewhere), Among(one, possible)))
                )


def _other(test: Test) -> tuple[str, ...]:
    return (test.wanted.path,) if isinstance(test.wanted, FactRef) else ()


def _pair(path: str, wanted: FactRef) -> tuple[Variable, bool]:
    """One variable for two facts, whichever is named first; whether they stand in it the other way round."""
    if wanted.times == 1.0 and wanted.path < path:
        return ("pair", wanted.path, path, 1.0), True
    return ("pair", path, wanted.path, wanted.times), False


def _marks(tests: Iterable[Test]) -> set[Anything]:
    found: set[Anything] = set()
    for test in tests:
        values = test.wanted if isinstance(test.wanted, tuple) else (test.wanted,)
        found.update(values)
        if test.op is Op.WITHIN and isinstance(test.wanted, timedelta):
            found.add(-test.wanted)
    return found


def _spans(marks: Sequence[Anything]) -> list[_Span]:
    """Below the first mark, on it, between it and the next, and so on."""
    edges: list[Anything] = [None, *marks, None]
    spans = [_Span(edges[0], edges[1], False)]
    for at in range(1, len(edges) - 1):
        spans += [_Span(edges[at], edges[at], True), _Span(edges[at], edges[at + 1], False)]
    return spans


def _takes(test: Test, span: _Span) -> bool:
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


def _reaches(span: _Span, mark: Anything) -> bool:
    return span.low is not None and bool(span.low >= mark)


def _stays(span: _Span, mark: Anything) -> bool:
    return span.high is not None and bool(span.high <= mark)


def _can_be(fact: Fact, span: _Span) -> bool:
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


def _times(span: _Span, times: float) -> _Span:
    """The span multiplied as the evaluator multiplies; rounding may close an open end, so ends count in."""
    if times == 1.0:
        return span
    low, high = (None if edge is None else edge * times for edge in (span.low, span.high))
    return _Span(low, high, span.is_mark) if span.is_mark else _Rounded(low, high, False)


class _Rounded(_Span):
    """A span whose ends may belong to it."""


def _some_less(one: _Span, other: _Span) -> bool:
    if one.low is None or other.high is None:
        return True
    return bool(one.low < other.high)


def _some_more(one: _Span, other: _Span) -> bool:
    return _some_less(other, one)


def _some_same(one: _Span, other: _Span) -> bool:
    lows = [edge for edge in (one.low, other.low) if edge is not None]
    highs = [edge for edge in (one.high, other.high) if edge is not None]
    if not lows or not highs:
        return True
    low, high = max(lows), min(highs)
    both_may_touch = all(span.is_mark or isinstance(span, _Rounded) for span in (one, other))
    return bool(low <= high if both_may_touch else low < high or _on_mark_inside(one, other))


def _on_mark_inside(one: _Span, other: _Span) -> bool:
    """Whether one is a mark that lies within the other."""
    for mark, span in ((one, other), (other, one)):
        if mark.is_mark and not span.is_mark:
            above = span.low is None or mark.low > span.low
            below = span.high is None or mark.low < span.high
            return bool(above and below) or (isinstance(span, _Rounded) and mark.low in (span.low, span.high))
    return False


def _reads(test: Test, text: str) -> bool | None:
    """What a test says of a text; None where it is not looked into."""
    wanted: Anything = test.wanted
    match test.op:
        case Op.EQ | Op.NE:
            return (text == wanted) is (test.op is Op.EQ)
        case Op.IN | Op.NOT_IN:
            return (text in wanted) is (test.op is Op.IN)
        case _:
            answer = settle(test, {test.path: text}, _ANY_MOMENT)
            return None if answer is Truth.UNKNOWN else answer is Truth.TRUE


def _follows(first: Test, second: Test) -> bool:
    """Whether every text that satisfies the first satisfies the second."""
    one, other = str(first.wanted), str(second.wanted)
    match first.op, second.op:
        case (Op.STARTS_WITH, Op.STARTS_WITH):
            return one.startswith(other)
        case (Op.ENDS_WITH, Op.ENDS_WITH):
            return one.endswith(other)
        case (Op.STARTS_WITH | Op.ENDS_WITH | Op.CONTAINS, Op.CONTAINS):
            return other in one
        case _:
            return False


def _exclude(one: Test, other: Test) -> bool:
    """Whether no text satisfies both."""
    first, second = str(one.wanted), str(other.wanted)
    match one.op, other.op:
        case (Op.STARTS_WITH, Op.STARTS_WITH):
            return not (first.startswith(second) or second.startswith(first))
        case (Op.ENDS_WITH, Op.ENDS_WITH):
            return not (first.endswith(second) or second.endswith(first))
        case _:
            return False
