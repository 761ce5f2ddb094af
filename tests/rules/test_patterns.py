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
    "[a-z]+@[a-z]+\\.com",
    "[]a]+",
    "\\d{4}-\\d{2}",
    "(foo|bar)?z",
    "a*a*b",
    "a*?b",
    "a{,}",
    ".*a?.*a?b",
    "a*(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)b",
    "(a|a)" * 12 + "b",
]
REFUSED = [
    "(a+)+",
    "(a|a)*b",
    "(a?){20}",
    "(?:a*)*",
    "a*a*a*b",
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
    begun = process_time()
    compiled.search("a" * LONGEST_TEXT)
    assert process_time() - begun < 5


@pytest.mark.parametrize("pattern", REFUSED)
def test_a_pattern_whose_time_cannot_be_bounded_is_refused(pattern: str) -> None:
    with pytest.raises(PatternRefusedError):
        check_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(", "x{2}{3}", "[a", "*a"])
def test_what_is_no_pattern_is_told_apart(pattern: str) -> None:
    with pytest.raises(re.error):
        check_pattern(pattern)
