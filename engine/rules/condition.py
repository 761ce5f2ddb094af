"""Conditions as data: the tree that the parser makes, the evaluator explains and the matcher compiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

YamlPath = tuple[str | int, ...]


class Op(StrEnum):
    """The tests of the ruleset language."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    BETWEEN = "between"
    IN = "in"
    NOT_IN = "not_in"
    HAS = "has"
    LACKS = "lacks"
    HAS_ANY = "has_any"
    HAS_ALL = "has_all"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    MATCHES = "matches"
    EXISTS = "exists"
    WITHIN = "within"
    OLDER_THAN = "older_than"
    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class FactRef:
    """A value taken from another fact, times a factor: `{fact: contact.average_order_value, times: 1.5}`."""

    path: str
    times: float = 1.0


Wanted = (
    int
    | float
    | str
    | bool
    | datetime
    | timedelta
    | FactRef
    | tuple[int | float | str | bool | datetime, ...]
)


@dataclass(frozen=True)
class Test:
    """One fact held against one wanted value; `at` is its place in the file."""

    __test__ = False  # the name is the language's own; pytest must not collect it

    path: str
    op: Op
    wanted: Wanted
    at: YamlPath = ()


@dataclass(frozen=True)
class All:
    parts: tuple[Condition, ...]
    at: YamlPath = ()


@dataclass(frozen=True)
class Any:
    parts: tuple[Condition, ...]
    at: YamlPath = ()


@dataclass(frozen=True)
class None_:  # noqa: N801 - the language's own word; `None` is taken
    """True when every part is false: `none:` in the language."""

    parts: tuple[Condition, ...]
    at: YamlPath = ()


Condition = Test | All | Any | None_


@dataclass(frozen=True)
class Rule:
    """A condition with an id and the shard it is decided in.

    A shard is the set of rules that are asked together: the entries on one event type, the cases of one
    branch.
    """

    id: str
    shard: str
    when: Condition


def tests_of(condition: Condition) -> Iterator[Test]:
    """Every single test in a condition, in the order written."""
    if isinstance(condition, Test):
        yield condition
    else:
        for part in condition.parts:
            yield from tests_of(part)


def paths_of(condition: Condition | None) -> list[str]:
    """The facts that a condition names, those compared with included; none for no condition."""
    found: list[str] = []
    for test in tests_of(condition) if condition is not None else ():
        found.append(test.path)
        if isinstance(test.wanted, FactRef):
            found.append(test.wanted.path)
    return found


def without_places(condition: Condition) -> Condition:
    """The condition as such, wherever it is written: two that say the same are equal."""
    if isinstance(condition, Test):
        return replace(condition, at=())
    return replace(condition, parts=tuple(map(without_places, condition.parts)), at=())
