"""Conditions without negation: formulas over integer comparisons, and their bounded split into conjunctions.

Negation is pushed down to single tests with three-valued meaning: only what a test *definitely* says counts,
so an unknown test satisfies neither its positive nor its negative comparison and no third value is needed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from engine.rules.condition import All, Condition, None_, Test


class Relation(Enum):
    """How a code is held against a number."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"


RELATIONS: dict[Relation, Callable[[int, int], bool]] = {
    Relation.EQ: operator.eq,
    Relation.NE: operator.ne,
    Relation.LT: operator.lt,
    Relation.LTE: operator.le,
    Relation.GT: operator.gt,
    Relation.GTE: operator.ge,
}


@dataclass(frozen=True)
class Comparison:
    """Holds when the code of a column is known and stands in this relation to `code`."""

    column: int
    relation: Relation
    code: int


@dataclass(frozen=True)
class Both:
    """Holds when every part does (without parts: always)."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True)
class Either:
    """Holds when one part does (without parts: never)."""

    parts: tuple[Formula, ...]


Formula = Comparison | Both | Either
Conjunction = frozenset[Comparison]


def normal_form(condition: Condition, settle: Callable[[Test, bool], Formula], truth: bool = True) -> Formula:
    """The formula that holds exactly when `condition` is definitely `truth`.

    `settle(test, truth)` gives the formula for a single test being definitely true or definitely false.
    """
    if isinstance(condition, Test):
        return settle(condition, truth)
    inner = not truth if isinstance(condition, None_) else truth
    parts = tuple(normal_form(part, settle, inner) for part in condition.parts)
    # `none` is true when all its parts are false, and false when one of them is true: joined as `all` is.
    joined = isinstance(condition, All | None_) == truth
    return Both(parts) if joined else Either(parts)


def conjunctions(
    formula: Formula, fold: Callable[[Formula], Comparison], *, most: int, longest: int
) -> list[Conjunction]:
    """Conjunctions of which one holds exactly when the formula does.

    There are at most `most`, each of at most `longest` comparisons; where the split would grow beyond that,
    `fold` turns a part into one comparison that says the same.
    """
    return [_shortened(each, fold, longest) for each in _split(formula, fold, most)]


def _split(formula: Formula, fold: Callable[[Formula], Comparison], most: int) -> list[Conjunction]:
    match formula:
        case Comparison():
            return [frozenset({formula})]
        case Either():
            alternatives = _distinct(each for part in formula.parts for each in _split(part, fold, most))
            return alternatives if len(alternatives) <= most else [frozenset({fold(formula)})]
        case Both():
            product: list[Conjunction] = [frozenset()]
            for part in formula.parts:
                choices = _split(part, fold, most)
                if len(product) * len(choices) > most:
                    choices = [frozenset({fold(part)})]
                product = _distinct(one | other for one in product for other in choices)
            return product


def _distinct(found: Iterable[Conjunction]) -> list[Conjunction]:
    return list(dict.fromkeys(found))


def _shortened(whole: Conjunction, fold: Callable[[Formula], Comparison], longest: int) -> Conjunction:
    if len(whole) <= longest:
        return whole
    ordered = sorted(whole, key=lambda each: (each.column, each.relation.value, each.code))
    kept, rest = ordered[: longest - 1], ordered[longest - 1 :]
    return frozenset({*kept, fold(Both(tuple(rest)))})
