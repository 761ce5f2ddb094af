"""From what stands in a file (plain data) to a typed `Condition`, or to every mistake in it.

The shape is read here, single values in `wanted`, and what can never hold is found in `contradictions`.
"""

from __future__ import annotations

import difflib

from engine.rules import faults
from engine.rules.condition import All, Any, Condition, None_, Op, Test, YamlPath, tests_of
from engine.rules.contradictions import find_contradictions
from engine.rules.facts import Catalogue, Fact, FactType
from engine.rules.faults import FAULTS, Fault
from engine.rules.spelling import compared, only_meant
from engine.rules.wanted import MisfitError, read_wanted, shown

__all__ = ["DEEPEST", "FAULTS", "MOST_TESTS", "Fault", "parse_condition"]

DEEPEST = 16
"""How many all/any/none may stand inside each other."""
MOST_TESTS = 400
"""How many single tests one condition may have."""

_COMBINATORS: dict[str, type[All] | type[Any] | type[None_]] = {"all": All, "any": Any, "none": None_}
_TESTS = frozenset(Op)
_EXISTS = {Op.EXISTS}
_EQUALITY = {Op.EQ, Op.NE} | _EXISTS
TESTS_FOR: dict[FactType, frozenset[Op]] = {
    FactType.NUMBER: frozenset(
        _EQUALITY | {Op.GT, Op.GTE, Op.LT, Op.LTE, Op.BETWEEN, Op.IN, Op.NOT_IN},
    ),
    FactType.TEXT: frozenset(
        _EQUALITY | {Op.IN, Op.NOT_IN, Op.CONTAINS, Op.STARTS_WITH, Op.ENDS_WITH, Op.MATCHES},
    ),
    FactType.BOOLEAN: frozenset(_EQUALITY),
    FactType.INSTANT: frozenset(_EXISTS | {Op.WITHIN, Op.OLDER_THAN, Op.BEFORE, Op.AFTER, Op.BETWEEN}),
    FactType.LABELS: frozenset(_EXISTS | {Op.HAS, Op.LACKS, Op.HAS_ANY, Op.HAS_ALL}),
}
"""The tests that make sense for each type of fact."""

_SIGNS = {"=": "eq", "==": "eq", "!=": "ne", "not": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}

# What the author most likely meant by a test that does not fit the type.
_MEANT: dict[FactType, dict[Op, str]] = {
    FactType.LABELS: {
        Op.EQ: "has",
        Op.NE: "lacks",
        Op.IN: "has_any",
        Op.NOT_IN: "has_any under none",
        Op.CONTAINS: "has",
        Op.MATCHES: "has",
    },
    FactType.INSTANT: {
        Op.GT: "after",
        Op.GTE: "after",
        Op.LT: "before",
        Op.LTE: "before",
        Op.EQ: "between",
        Op.NE: "between under none",
    },
    FactType.TEXT: {
        Op.HAS: "contains or eq",
        Op.LACKS: "contains under none or ne",
        Op.HAS_ANY: "in",
        Op.HAS_ALL: "contains, once for each",
    },
    FactType.NUMBER: {
        Op.HAS: "eq",
        Op.LACKS: "ne",
        Op.HAS_ANY: "in",
        Op.BEFORE: "lt",
        Op.AFTER: "gt",
    },
    FactType.BOOLEAN: {Op.HAS: "eq", Op.LACKS: "ne", Op.IN: "eq", Op.NOT_IN: "ne"},
}


def parse_condition(
    raw: object, catalogue: Catalogue, *, at: YamlPath = ()
) -> tuple[Condition | None, list[Fault]]:
    """The condition written as `raw`, or None and all the reasons why it is none.

    `raw` is plain data as YAML gives it. The paths in the faults and in `Test.at` begin with `at`.
    """
    reader = _Reader(catalogue)
    condition = reader.condition(raw, at, depth=0)
    if condition is not None and not reader.faults:
        if sum(1 for _ in tests_of(condition)) > MOST_TESTS:
            reader.fault(faults.TOO_LARGE, at, f"the condition has more than {MOST_TESTS} tests")
        reader.faults.extend(find_contradictions(condition))
    return (None, reader.faults) if reader.faults or condition is None else (condition, [])


class _Reader:
    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.faults: list[Fault] = []

    def fault(
        self, code: str, at: YamlPath, message: str, hint: str = "", swap: tuple[str, ...] = ()
    ) -> None:
        self.faults.append(Fault(code, at, message, hint, swap))

    def condition(self, raw: object, at: YamlPath, depth: int) -> Condition | None:
        """A map or a list; both mean that everything in them holds."""
        if depth > DEEPEST:
            self.fault(faults.TOO_LARGE, at, f"conditions nest deeper than {DEEPEST} levels")
            return None
        match raw:
            case dict() | list() if not raw:
                self.fault(
                    faults.EMPTY, at, "the condition is empty", "leave it out when everything is to match"
                )
                return None
            case dict():
                parts = [self._entry(key, value, at, depth) for key, value in raw.items()]
            case list():
                parts = [self.condition(part, (*at, place), depth + 1) for place, part in enumerate(raw)]
            case _:
                self.fault(
                    faults.BAD_SHAPE,
                    at,
                    f"{shown(raw)} is not a condition",
                    _as_map(raw),
                )
                return None
        return _together(parts, at)

    def _entry(self, key: object, value: object, at: YamlPath, depth: int) -> Condition | None:
        if not isinstance(key, str):
            self.fault(
                faults.BAD_SHAPE, at, f"{shown(key)} is not the name of a fact", "facts are named by text"
            )
            return None
        if key in _COMBINATORS:
            return self._combined(key, value, (*at, key), depth)
        fact = self.catalogue.get(key)
        if fact is None:
            self._unknown_fact(key, (*at, key))
            return None
        return self._tests(fact, value, (*at, key))

    def _unknown_fact(self, path: str, at: YamlPath) -> None:
        near = self.catalogue.nearest(path)
        if near is None:
            near = next(iter(difflib.get_close_matches(path, _COMBINATORS, n=1)), None)
        hint = f"did you mean {near!r}?" if near else self.catalogue.known_in(path)
        known = {*_COMBINATORS, *(fact.path for fact in self.catalogue)}
        swap = (path, meant) if (meant := only_meant(path, known)) is not None else ()
        self.fault(faults.UNKNOWN_FACT, at, f"{path!r} is not a known fact", hint, swap)

    def _combined(self, name: str, raw: object, at: YamlPath, depth: int) -> Condition | None:
        if not isinstance(raw, list):
            self.fault(
                faults.BAD_SHAPE,
                at,
                f"{name!r} needs a list of conditions, not {shown(raw)}",
                "begin each condition with '- '",
            )
            return None
        if not raw:
            self.fault(faults.EMPTY, at, f"{name!r} has no conditions in it", "leave it out or fill it")
            return None
        parts = [self.condition(part, (*at, place), depth + 1) for place, part in enumerate(raw)]
        whole = [part for part in parts if part is not None]
        if len(whole) < len(parts):
            return None
        return _COMBINATORS[name](tuple(whole), at)

    def _tests(self, fact: Fact, raw: object, at: YamlPath) -> Condition | None:
        if not isinstance(raw, dict) or "fact" in raw:
            if isinstance(raw, list):
                use = "has_any" if fact.type is FactType.LABELS else "in"
                self.fault(
                    faults.BAD_SHAPE,
                    at,
                    f"{fact.path!r} is held against the list {shown(raw)} without a test",
                    f"use {use}: {{{fact.path}: {{{use}: {shown(raw)}}}}}",
                )
                return None
            if raw is None:
                self.fault(
                    faults.BAD_SHAPE,
                    at,
                    f"nothing is written after {fact.path!r}",
                    "use exists: false to ask whether it is missing",
                )
                return None
            return self._test(fact, Op.EQ, raw, at)
        if not raw:
            self.fault(faults.EMPTY, at, f"no test is written for {fact.path!r}", "leave it out or fill it")
            return None
        parts: list[Condition | None] = []
        for name, value in raw.items():
            if name not in _TESTS:
                self._unknown_test(fact, str(name), name, (*at, str(name)))
                parts.append(None)
                continue
            parts.append(self._test(fact, Op(name), value, (*at, name)))
        return _together(parts, at)

    def _unknown_test(self, fact: Fact, name: str, raw: object, at: YamlPath) -> None:
        fitting = _fitting(fact.type)
        all_fitting = f"tests for {fact.path}: {', '.join(fitting)}"
        sign, swap = _SIGNS.get(name), only_meant(name, fitting)
        if sign in fitting:
            hint, swap = f"did you mean {sign!r}?", sign
        elif sign is not None and (meant := _MEANT[fact.type].get(Op(sign))):
            hint, swap = f"use {meant}; {all_fitting}", None
        else:
            near = difflib.get_close_matches(name, fitting, n=1)
            hint = f"did you mean {near[0]!r}?" if near else all_fitting
        words = (name, swap) if swap is not None else ()
        self.fault(faults.UNKNOWN_TEST, at, f"{shown(raw)} is not a known test", hint, words)

    def _test(self, fact: Fact, op: Op, raw: object, at: YamlPath) -> Test | None:
        if op not in TESTS_FOR[fact.type]:
            meant = _MEANT[fact.type].get(op)
            fitting = f"tests for {_a(fact.type)}: {', '.join(_fitting(fact.type))}"
            hint = f"use {meant}; {fitting}" if meant else fitting
            self.fault(
                faults.TEST_UNFIT,
                at,
                f"{op.value!r} does not fit {fact.path!r}, which is {_a(fact.type)}",
                hint,
            )
            return None
        try:
            wanted = read_wanted(fact, op, raw, self.catalogue)
        except MisfitError as misfit:
            self.fault(misfit.code, (*at, *misfit.below), misfit.message, misfit.hint)
            return None
        return Test(fact.path, op, wanted, at)


def _fitting(kind: FactType) -> list[str]:
    return [op.value for op in Op if op in TESTS_FOR[kind]]


def _a(kind: FactType) -> str:
    names = {
        FactType.NUMBER: "a number",
        FactType.TEXT: "text",
        FactType.BOOLEAN: "true or false",
        FactType.INSTANT: "a moment",
        FactType.LABELS: "a set of labels",
    }
    return names[kind]


def _as_map(raw: object) -> str:
    """How to write a condition that stands there as a text, as far as it can be told."""
    said = compared(raw) if isinstance(raw, str) else None
    if said is not None and "." in said[0]:
        return f"write {{{said[0]}: {{{said[1]}: {said[2]}}}}}"
    return "write a map such as {contact.order_count: {gte: 3}}, or a list of them"


def _together(parts: list[Condition | None], at: YamlPath) -> Condition | None:
    """All parts as one condition; None as soon as one could not be read (its fault is noted)."""
    whole = [part for part in parts if part is not None]
    if len(whole) < len(parts):
        return None
    return whole[0] if len(whole) == 1 else All(tuple(whole), at)
