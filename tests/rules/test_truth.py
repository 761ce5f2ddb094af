"""Kleene's tables, and that conditions join by them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engine.rules.condition import All, Any, Condition, None_, Op, Test
from engine.rules.evaluator import evaluate
from engine.rules.facts import Facts
from engine.rules.truth import Truth, all_of, any_of, negate

T, F, U = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN
NOW = datetime(2026, 3, 1, tzinfo=UTC)
FACTS: Facts = {"event.n": 1}
SAYS: dict[Truth, Condition] = {
    T: Test("event.n", Op.EQ, 1),
    F: Test("event.n", Op.EQ, 2),
    U: Test("event.missing", Op.EQ, 1),
}


@pytest.mark.parametrize(
    ("one", "other", "both", "either"),
    [
        (T, T, T, T),
        (T, F, F, T),
        (T, U, U, T),
        (F, T, F, T),
        (F, F, F, F),
        (F, U, F, U),
        (U, T, U, T),
        (U, F, F, U),
        (U, U, U, U),
    ],
)
def test_all_any_and_none_follow_the_three_valued_tables(
    one: Truth, other: Truth, both: Truth, either: Truth
) -> None:
    assert all_of([one, other]) is both
    assert any_of([one, other]) is either
    parts = (SAYS[one], SAYS[other])
    assert evaluate(All(parts), FACTS, NOW) is both
    assert evaluate(Any(parts), FACTS, NOW) is either
    assert evaluate(None_(parts), FACTS, NOW) is negate(either)


def test_the_opposite_of_unknown_is_unknown() -> None:
    assert [negate(each) for each in (T, F, U)] == [F, T, U]


def test_joining_nothing_is_true_for_all_and_none_and_false_for_any() -> None:
    assert evaluate(All(()), FACTS, NOW) is T
    assert evaluate(None_(()), FACTS, NOW) is T
    assert evaluate(Any(()), FACTS, NOW) is F
