"""What is called impossible never happens; what is called possible, for simple conditions, does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules.condition import All, Any, Condition, FactRef, None_, Op, Test, Wanted
from engine.rules.evaluator import evaluate
from engine.rules.facts import Catalogue, Fact, Facts, FactType, FactValue
from engine.rules.parsing import parse_condition
from engine.rules.possibility import Space
from engine.rules.truth import Truth

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CATALOGUE = Catalogue(
    [
        Fact("n", FactType.NUMBER, "n"),
        Fact("m", FactType.NUMBER, "m"),
        Fact("orders", FactType.NUMBER, "orders", always=True, least=0, whole=True),
        Fact("t", FactType.TEXT, "t"),
        Fact("u", FactType.TEXT, "u"),
        Fact("stage", FactType.TEXT, "stage", ("new", "old", "gone")),
        Fact("b", FactType.BOOLEAN, "b"),
        Fact("at", FactType.INSTANT, "at"),
        Fact("seen", FactType.INSTANT, "seen"),
        Fact("tags", FactType.LABELS, "tags", always=True),
    ]
)
NUMBERS: list[int | float] = [0, 1, 1.5, 2, 3]
BETWEEN: list[int | float] = [-1, 0.5, 1.25, 1.75, 2.5, 4, 0.1 + 0.2]
TEXTS = ["a", "ab", "b", "ba"]
MORE_TEXTS = ["", "c", "aXb", "bab", "aa", "bXa", "Xab", "baX", "a" * 501]
MOMENTS = [NOW - timedelta(days=days) for days in (30, 7, 0)]
MORE_MOMENTS = [NOW - timedelta(days=days) for days in (40, 29, 8, 1, -1, -7, -9, -31)]
AGES = [timedelta(days=7), timedelta(days=30)]
LABELS = ["vip", "staff"]
ORDER = [Op.EQ, Op.NE, Op.GT, Op.GTE, Op.LT, Op.LTE]


def asked(
    paths: Sequence[str], ops: Sequence[Op], wanted: st.SearchStrategy[Wanted]
) -> st.SearchStrategy[Test]:
    return st.builds(Test, st.sampled_from(paths), st.sampled_from(ops), wanted)


def some(values: Sequence[str] | Sequence[int | float]) -> st.SearchStrategy[Wanted]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2).map(tuple)


NUMBER = st.sampled_from(NUMBERS)
PAIRED: st.SearchStrategy[Condition] = (
    asked(["n"], ORDER, st.builds(FactRef, st.just("m"), st.sampled_from([1.0, 1.5])))
    | asked(["m"], ORDER, st.just(FactRef("n")))
    | asked(["at"], [Op.BEFORE, Op.AFTER], st.just(FactRef("seen")))
    | asked(["t"], [Op.EQ, Op.NE], st.just(FactRef("u")))
)
TEXTUAL: st.SearchStrategy[Condition] = asked(
    ["t", "u"], [Op.CONTAINS, Op.STARTS_WITH, Op.ENDS_WITH], st.sampled_from(TEXTS)
) | asked(["t"], [Op.MATCHES], st.sampled_from(["^a", "b$", "X"]))
EXACT: st.SearchStrategy[Condition] = st.one_of(
    asked(["n", "m"], ORDER, NUMBER),
    asked(["orders"], ORDER, NUMBER),
    asked(["n"], [Op.BETWEEN], st.tuples(NUMBER, NUMBER).map(lambda pair: (min(pair), max(pair)))),
    asked(["n"], [Op.IN, Op.NOT_IN], some(NUMBERS)),
    asked(["t", "u"], [Op.EQ, Op.NE], st.sampled_from(TEXTS)),
    asked(["t"], [Op.IN, Op.NOT_IN], some(TEXTS)),
    asked(["stage"], [Op.EQ, Op.NE], st.sampled_from(["new", "old", "gone"])),
    asked(["b"], [Op.EQ, Op.NE], st.booleans()),
    asked(["at"], [Op.WITHIN, Op.OLDER_THAN], st.sampled_from(AGES)),
    asked(["seen"], [Op.BEFORE, Op.AFTER], st.sampled_from(MOMENTS)),
    asked(["tags"], [Op.HAS, Op.LACKS], st.sampled_from(LABELS)),
    asked(["tags"], [Op.HAS_ANY, Op.HAS_ALL], some(LABELS)),
    asked(["n", "t", "b", "at", "tags"], [Op.EXISTS], st.booleans()),
)


def joined(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.builds(All, several) | st.builds(Any, several) | st.builds(None_, several)


VALUES: dict[str, list[FactValue | None]] = {
    "n": [*NUMBERS, *BETWEEN, None, "a", NOW],
    "m": [*NUMBERS, *BETWEEN, None, "a", NOW],
    "orders": [0, 1, 2, 3, 4],
    "t": [*TEXTS, *MORE_TEXTS, None, 1],
    "u": [*TEXTS, *MORE_TEXTS, None, 1],
    "stage": ["new", "old", "gone", None],
    "b": [True, False, None, 1],
    "at": [*MOMENTS, *MORE_MOMENTS, None, "a"],
    "seen": [*MOMENTS, *MORE_MOMENTS, None, "a"],
    "tags": [frozenset(), frozenset(["vip"]), frozenset(["staff"]), frozenset(["vip", "staff", "x"])],
}
FACTS: st.SearchStrategy[Facts] = st.fixed_dictionaries(
    {path: st.sampled_from(values) for path, values in VALUES.items()}
)


@settings(max_examples=400, deadline=None)
@given(st.recursive(EXACT | PAIRED | TEXTUAL, joined, max_leaves=7), st.lists(FACTS, min_size=5, max_size=5))
def test_what_is_called_impossible_does_not_happen(condition: Condition, situations: list[Facts]) -> None:
    space = Space([condition], CATALOGUE)
    formulas = {
        Truth.TRUE: space.holds(condition),
        Truth.FALSE: space.fails(condition),
        None: space.is_passed_over(condition),
    }
    for facts in situations:
        truth = evaluate(condition, facts, NOW)
        if truth in formulas:
            assert space.can_be(formulas[truth]) is not False
        if truth is not Truth.TRUE:
            assert space.can_be(formulas[None]) is not False


@settings(max_examples=200, deadline=None)
@given(st.recursive(EXACT, joined, max_leaves=4))
def test_what_is_called_possible_happens(condition: Condition) -> None:
    space = Space([condition], CATALOGUE)
    found = {evaluate(condition, facts, NOW) for facts in every_case(condition)}

    assert space.can_be(space.holds(condition)) is (Truth.TRUE in found)
    assert space.can_be(space.fails(condition)) is (Truth.FALSE in found)
    assert space.can_be(space.is_passed_over(condition)) is bool(found - {Truth.TRUE})


def paths_of(condition: Condition) -> set[str]:
    if isinstance(condition, Test):
        return {condition.path}
    return {path for part in condition.parts for path in paths_of(part)}


def every_case(condition: Condition) -> Iterator[Facts]:
    paths = sorted(paths_of(condition))
    for values in product(*(VALUES[path] for path in paths)):
        yield dict(zip(paths, values, strict=True))


def read(written: object) -> Condition:
    condition, faults = parse_condition(written, CATALOGUE)
    assert condition is not None, faults
    return condition


@pytest.mark.parametrize(
    "written",
    [
        {"all": [{"any": [{"n": {"gt": 5}}, {"n": {"lt": 1}}]}, {"n": {"between": [2, 3]}}]},
        {"all": [{"tags": {"has_any": ["vip", "staff"]}}, {"tags": {"lacks": "vip"}},
                 {"none": [{"tags": {"has": "staff"}}]}]},
        {"all": [{"n": {"gt": {"fact": "m"}}}, {"n": {"lt": 3}}, {"m": {"gte": 3}}]},
        {"all": [{"n": {"gt": {"fact": "m"}}}, {"m": {"gt": {"fact": "n"}}}]},
        {"all": [{"n": {"gte": {"fact": "m", "times": 2}}}, {"n": {"lt": 3}}, {"m": {"gt": 2}}]},
        {"all": [{"at": {"after": {"fact": "seen"}}}, {"at": {"older_than": "30d"}},
                 {"seen": {"within": "7d"}}]},
        {"all": [{"t": {"starts_with": "ab"}}, {"none": [{"t": {"contains": "b"}}]}]},
        {"all": [{"t": {"starts_with": "a"}}, {"t": {"starts_with": "b"}}]},
        {"all": [{"t": {"matches": "^a"}}, {"t": {"in": ["b", "ba"]}}]},
        {"stage": {"not_in": ["new", "old", "gone"]}},
        {"orders": {"gt": 2, "lt": 3}},
        {"orders": {"lt": 0}},
        {"all": [{"t": {"exists": False}}, {"any": [{"t": "a"}, {"t": {"ne": "a"}}]}]},
    ],
)  # fmt: skip
def test_what_can_never_be_is_found(written: object) -> None:
    condition = read(written)
    space = Space([condition], CATALOGUE)

    assert space.can_be(space.holds(condition)) is False


@pytest.mark.parametrize(
    "written",
    [
        {"orders": {"gte": 0}},
        {"any": [{"n": {"gte": 1}}, {"n": {"lt": 2}}]},
        {"any": [{"tags": {"has": "vip"}}, {"tags": {"lacks": "vip"}}]},
        {"stage": {"in": ["new", "old", "gone"]}},
        {"none": [{"all": [{"n": {"gt": 3}}, {"n": {"lt": {"fact": "m"}}}, {"m": {"lt": 3}}]}]},
    ],
)
def test_what_is_never_false_is_found(written: object) -> None:
    condition = read(written)
    space = Space([condition], CATALOGUE)

    assert space.can_be(space.fails(condition)) is False


def test_a_condition_with_hundreds_of_choices_is_answered_or_given_up_quickly() -> None:
    many = [{"any": [{"n": {"gt": at}}, {"m": {"lt": -at}}, {"t": f"x{at}"}]} for at in range(130)]
    condition = read({"all": many})
    space = Space([condition], CATALOGUE)

    assert space.can_be(space.holds(condition)) in {True, None}
