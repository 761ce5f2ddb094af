"""The shipped lists judge the frozen sentences well: of each rule at least nineteen in twenty are right."""

from __future__ import annotations

from functools import cache

import pytest

from benchmarks.checks import LEAST, RULES, Score, judged


@cache
def scores() -> dict[str, Score]:
    return judged()


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_finds_what_it_should_and_little_else(rule: str) -> None:
    score = scores()[rule]

    assert score.recall >= LEAST, score.missed
    assert score.precision >= LEAST or len(score.wrong) == 1, score.wrong
