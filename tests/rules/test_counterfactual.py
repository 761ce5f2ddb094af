"""What would have turned a decision: held against trying every value of every fact."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from typing import Any as Anything

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules import condition as conditions
from engine.rules.condition import All, Any, Condition, FactRef, None_, Op, Test
from engine.rules.counterfactual import Change, turning
from engine.rules.evaluator import evaluate, settle
from engine.rules.facts import Facts
from engine.rules.truth import Truth

NOW = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)

# Fact -> every value that matters to the tests below; None only where a test may ask for it.
WORLD: Mapping[str, tuple[Anything, ...]] = {
    "n": (0, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6),
    # Every beginning and end with every set of parts that there can be in between.
    "t": tuple(
        dict.fromkeys(
            first + inner + last
            for first, inner, last in product(
                ("", "a", "b", "x"), ("", "a", "b", "c", "ab", "bc", "ac", "abc"), ("", "a", "b", "x")
            )
        )
    ),
    "l": tuple(frozenset(each) for size in range(3) for each in combinations("xy", size)),
    "b": (True, False),
    "m": tuple(
        NOW - timedelta(days=days, seconds=seconds)
        for days in (-3, -2, -1, 0, 1, 2, 3, 5)
        for seconds in (-1, 0, 1)
    ),
    "e": (None, 1),
}
TESTS = st.one_of(
    st.builds(Test, st.just("n"), st.sampled_from([Op.GT, Op.GTE, Op.LT, Op.EQ, Op.NE]), st.integers(1, 5)),
    st.builds(Test, st.just("n"), st.just(Op.BETWEEN), st.sampled_from([(1, 3), (2, 2), (3, 5)])),
    st.builds(Test, st.just("t"), st.sampled_from([Op.EQ, Op.NE]), st.sampled_from("ab")),
    st.builds(
        Test,
        st.just("t"),
        st.sampled_from([Op.STARTS_WITH, Op.ENDS_WITH]),
        st.sampled_from("ab"),
    ),
    st.builds(Test, st.just("t"), st.just(Op.CONTAINS), st.sampled_from("abc")),
    st.builds(Test, st.just("t"), st.just(Op.IN), st.sampled_from([("a", "b"), ("b",)])),
    st.builds(Test, st.just("l"), st.sampled_from([Op.HAS, Op.LACKS]), st.sampled_from("xy")),
    st.builds(Test, st.just("l"), st.sampled_from([Op.HAS_ANY, Op.HAS_ALL]), st.just(("x", "y"))),
    st.builds(Test, st.just("b"), st.just(Op.EQ), st.booleans()),
    st.builds(
        Test,
        st.just("m"),
        st.sampled_from([Op.OLDER_THAN, Op.WITHIN]),
        st.integers(1, 3).map(lambda days: timedelta(days=days)),
    ),
    st.builds(Test, st.just("m"), st.just(Op.BEFORE), st.just(NOW - timedelta(days=5))),
    st.builds(Test, st.just("e"), st.just(Op.EXISTS), st.booleans()),
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    TESTS,
    lambda inner: st.builds(
        lambda kind, parts: kind(tuple(parts)),
        st.sampled_from([All, Any, None_]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)
FACTS = st.fixed_dictionaries({path: st.sampled_from([None, *values]) for path, values in WORLD.items()})


def answers_of(condition: Condition, facts: Facts) -> list[Truth]:
    return [settle(test, facts, NOW) for test in conditions.tests_of(condition)]


def smallest_by_trying(condition: Condition, facts: Facts) -> int | None:
    """How many facts must change at least, by trying every value of every set of facts."""
    wanted = evaluate(condition, facts, NOW) is not Truth.TRUE
    paths = sorted({test.path for test in conditions.tests_of(condition)})
    for size in range(1, len(paths) + 1):
        for chosen in combinations(paths, size):
            for values in product(*(WORLD[path] for path in chosen)):
                changed = {**facts, **dict(zip(chosen, values, strict=True))}
                if (evaluate(condition, changed, NOW) is Truth.TRUE) is wanted:
                    return size
    return None


@settings(max_examples=120, deadline=None)
@given(condition=CONDITIONS, facts=FACTS)
def test_no_smaller_set_of_facts_turns_a_condition(condition: Condition, facts: Facts) -> None:
    found = turning(condition, answers_of(condition, facts), NOW)
    assert (None if found is None else len(found)) == smallest_by_trying(condition, facts)


@settings(max_examples=120, deadline=None)
@given(condition=CONDITIONS, facts=FACTS)
def test_facts_with_the_answers_named_do_turn_it(condition: Condition, facts: Facts) -> None:
    found = turning(condition, answers_of(condition, facts), NOW)
    before = evaluate(condition, facts, NOW) is Truth.TRUE
    for change in found or ():
        # Each single fact can take a value that gives all the answers named of it at once.
        assert any(
            all(settle(test, {change.path: value}, NOW) is truth for test, truth in change.tests)
            for value in WORLD[change.path]
        )
    if found is not None:
        values = [WORLD[change.path] for change in found]
        paths = [change.path for change in found]
        assert any(
            (evaluate(condition, {**facts, **dict(zip(paths, each, strict=True))}, NOW) is Truth.TRUE)
            is not before
            and all(
                settle(test, {change.path: value}, NOW) is truth
                for change, value in zip(found, each, strict=True)
                for test, truth in change.tests
            )
            for each in product(*values)
        )


def test_one_fact_that_two_tests_ask_about_counts_once() -> None:
    few, enough = Test("orders", Op.GTE, 3), Test("orders", Op.LT, 10)
    loyal = Test("tags", Op.HAS, "vip")
    condition = All((few, enough, loyal))
    facts: Facts = {"orders": 1, "tags": frozenset({"vip"})}
    assert turning(condition, answers_of(condition, facts), NOW) == (Change("orders", ((few, Truth.TRUE),)),)


def test_an_alternative_that_needs_fewer_facts_is_preferred() -> None:
    rich, near, vip = Test("spent", Op.GTE, 500), Test("city", Op.EQ, "上海"), Test("tags", Op.HAS, "vip")
    condition = Any((All((rich, near)), vip))
    facts: Facts = {"spent": 10, "city": "北京", "tags": frozenset()}
    assert turning(condition, answers_of(condition, facts), NOW) == (Change("tags", ((vip, Truth.TRUE),)),)


def test_what_turns_a_yes_into_a_no_is_told_as_well() -> None:
    spent, employee = Test("spent", Op.GTE, 500), Test("tags", Op.HAS, "employee")
    condition = All((spent, None_((employee,))))
    facts: Facts = {"spent": 900, "tags": frozenset()}
    assert turning(condition, answers_of(condition, facts), NOW) == (
        Change("spent", ((spent, Truth.FALSE),)),
    )


def test_a_comparison_of_two_facts_stands_under_one_of_them() -> None:
    more = Test("spent", Op.GT, FactRef("average", 1.5))
    assert turning(more, [Truth.FALSE], NOW) == (Change("spent", ((more, Truth.TRUE),)),)


def test_nothing_turns_what_can_never_hold() -> None:
    condition = All((Test("n", Op.GT, 5), Test("n", Op.LT, 3)))
    assert turning(condition, [Truth.UNKNOWN, Truth.UNKNOWN], NOW) is None


@pytest.mark.parametrize("size", [40, 400])
def test_a_huge_condition_is_answered_in_bounded_work(size: int) -> None:
    tests = tuple(Test(f"fact_{number}", Op.GTE, number) for number in range(size))
    assert turning(All(tests), [Truth.FALSE] * size, NOW) is None


@pytest.mark.parametrize("size", [40, 400])
def test_of_a_huge_condition_a_single_fact_is_still_found(size: int) -> None:
    tests = tuple(Test(f"fact_{number}", Op.GTE, number) for number in range(size))
    found = turning(Any(tests), [Truth.FALSE] * size, NOW)
    assert found == (Change("fact_0", ((tests[0], Truth.TRUE),)),)


def test_of_many_texts_one_that_holds_all_of_them_is_thought_of() -> None:
    tests = tuple(Test("t", Op.CONTAINS, f"<{number}>") for number in range(200))
    found = turning(All(tests), [Truth.FALSE] * 200, NOW)
    assert found is not None and len(found) == 1


def test_an_end_without_the_same_beginning_is_thought_of() -> None:
    ends, begins = Test("t", Op.ENDS_WITH, "a"), Test("t", Op.STARTS_WITH, "a")
    found = turning(All((ends, None_((begins,)))), [Truth.FALSE, Truth.FALSE], NOW)
    assert found == (Change("t", ((ends, Truth.TRUE),)),)
