"""Patterns that are allowed stay fast on the worst text; the others are refused with a reason."""

from __future__ import annotations

import re
from time import process_time

import pytest

from engine.rules.patterns import LONGEST_TEXT, PatternRefusedError, check_pattern

ALLOWED = [
    "a+",
    "^1[3-9][0-9]{9}$",
    "^(?:https?://)?shop\\.",
    "北京|上海",
    "^[a-z]+@[a-z]+\\.com",
    "[]a]+",
    "\\d{4}-\\d{2}",
    "(foo|bar)?z",
    "^a*a*b",
    "a*?b",
    "a{,}",
    "^.*a?.*a?a?b",
    "^a|b",
    "a*(a|a)(a|a)(a|a)b",
    "(a|a)" * 11 + "b",
    ".*" + "a" * 150 + "b",
]
REFUSED = [
    "(a+)+",
    "(a|a)*b",
    "(a?){20}",
    "(?:a*)*",
    "^a*a*a*b",
    "a*a*b",
    "^a|.*a.*a.*b",
    "(^a|a).*a.*b",
    ".*a.*a.?.?b",
    "a*(a|a)(a|a)(a|a)(a|a)b",
    "a*(a){150}b",
    "(?:a|a)" * 11 + "(?:a){300}b",
    "a?" * 20 + "b",
    "(a{1,32}){1,32}",
    "(?=a)",
    "(?i)a",
    "(?P<x>a)",
    "(a)\\1",
    "[[a]",
    "a" * 201,
    "a*+b",
]


@pytest.mark.parametrize("pattern", ALLOWED)
def test_an_allowed_pattern_is_quick_on_the_worst_text(pattern: str) -> None:
    check_pattern(pattern)
    compiled = re.compile(pattern)
    for text in ("a" * LONGEST_TEXT, "ab" * (LONGEST_TEXT // 2), "a" * 400 + "b" * 100):
        # The best of three: a machine that is busy makes anything slow once.
        assert min(_seconds(compiled, text) for _ in range(3)) < 0.25


def _seconds(compiled: re.Pattern[str], text: str) -> float:
    begun = process_time()
    compiled.search(text)
    return process_time() - begun


@pytest.mark.parametrize("pattern", REFUSED)
def test_a_pattern_whose_time_cannot_be_bounded_is_refused(pattern: str) -> None:
    with pytest.raises(PatternRefusedError):
        check_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(", "x{2}{3}", "[a", "*a"])
def test_what_is_no_pattern_is_told_apart(pattern: str) -> None:
    with pytest.raises(re.error):
        check_pattern(pattern)


def test_a_refusal_says_that_a_fixed_beginning_would_do() -> None:
    with pytest.raises(PatternRefusedError, match=r"more than 1 unless it begins with \^"):
        check_pattern("[a-z]+@[a-z]+")
