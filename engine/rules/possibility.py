"""Whether conditions can ever be true, false or not settled: by cases, for every fact they ask about.

A fact has few cases that tests can tell apart: a number lies on a mark that some test names or between two of
them, a text is one of those named or another one, a label is there or not. Where cases of two facts hang
together in a way that is not modelled, more is held to be possible than is; so "impossible" is always right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from engine.rules.condition import All, Condition, FactRef, None_, Op, Test, tests_of
from engine.rules.facts import Catalogue, Fact, FactType
from engine.rules.solving import Among, Every, Formula, Some, Variable, is_solvable, opposite
from engine.rules.spans import (
    Span,
    can_lie_in,
    marks_of,
    some_less,
    some_more,
    some_same,
    spans_between,
    takes,
    times,
)
from engine.rules.text_cases import exclude, follows, reads

_TEXTUAL = {Op.CONTAINS, Op.STARTS_WITH, Op.ENDS_WITH, Op.MATCHES}
_AGES = {Op.WITHIN, Op.OLDER_THAN}
_MISSING, _KNOWN, _MISTYPED = 1, 2, 4
_NO, _YES, _OPEN = 1, 2, 4
"""Cases of a test that is one case by itself: false, true, not settled although the facts are there."""
_LESS, _SAME, _MORE, _NEITHER = 1, 2, 4, 8
"""Cases of two facts held against each other."""
_MOST_RELATED = 12
"""How many tests of one text are held against each other; beyond it they count as unrelated."""


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
        self._spans: dict[Variable, list[Span]] = {}
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
                inside = sum(1 << at for at, span in enumerate(self._spans[scale]) if takes(test, span))
                return Among(scale, inside if truth else ((1 << self._sizes[scale]) - 1) & ~inside)

    def _text(self, test: Test, truth: bool) -> Formula:
        key, named = ("text", test.path), self._texts[test.path]
        taken = sum(1 << at for at, text in enumerate(named) if reads(test, text) is truth)
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
                marks = marks_of(test for test in plain if test.op not in _AGES | {Op.EXISTS})
                bounds = {each for each in (fact.least, fact.most) if each is not None}
                spans = spans_between(sorted({*marks, *bounds}))
                self._scale(("place", path), spans, lambda span: can_lie_in(fact, span))
                if fact.type is FactType.INSTANT:
                    ages = marks_of(test for test in plain if test.op in _AGES)
                    self._scale(("age", path), spans_between(sorted(ages)), lambda _: True)

    def _scale(self, key: Variable, spans: list[Span], fits: Callable[[Span], bool]) -> None:
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
                if follows(first, second):
                    self._axioms.append(Some((self._not(first), Among(self._own(second), _YES))))
            if exclude(one, other):
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
                scaled = [times(span, wanted.times) for span in self._spans[two]]
                for case, fits in ((less, some_less), (_SAME, some_same), (more, some_more)):
                    self._relate(key, case, one, two, scaled, fits)

    def _relate(
        self,
        key: Variable,
        case: int,
        one: tuple[str, str],
        two: tuple[str, str],
        scaled: Sequence[Span],
        fits: Callable[[Span, Span], bool],
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
