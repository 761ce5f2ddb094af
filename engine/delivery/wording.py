"""What a fact would have had to be, in words that are read without knowing how conditions are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.rules.condition import Op, Test
from engine.rules.counterfactual import Change
from engine.rules.explaining import wanted_by
from engine.rules.truth import Truth

PATTERNS = "event.patterns"
_KNOWN = {True: "been known", False: "not been known"}
# The phrase after "had" when the test holds, and when it does not.
_PHRASES: Mapping[Op, tuple[str, str]] = {
    Op.EQ: ("been {}", "been anything but {}"),
    Op.NE: ("been anything but {}", "been {}"),
    Op.GT: ("been more than {}", "been {} or less"),
    Op.GTE: ("been {} or more", "been less than {}"),
    Op.LT: ("been less than {}", "been {} or more"),
    Op.LTE: ("been {} or less", "been more than {}"),
    Op.BETWEEN: ("been in the range {}", "been outside the range {}"),
    Op.IN: ("been one of {}", "been none of {}"),
    Op.NOT_IN: ("been none of {}", "been one of {}"),
    Op.HAS: ("included {}", "not included {}"),
    Op.LACKS: ("not included {}", "included {}"),
    Op.HAS_ANY: ("included any of {}", "included none of {}"),
    Op.HAS_ALL: ("included all of {}", "not included all of {}"),
    Op.CONTAINS: ("contained {}", "not contained {}"),
    Op.STARTS_WITH: ("begun with {}", "not begun with {}"),
    Op.ENDS_WITH: ("ended with {}", "not ended with {}"),
    Op.MATCHES: ("matched {}", "not matched {}"),
    Op.WITHIN: ("been within {} of that moment", "not been within {} of that moment"),
    Op.OLDER_THAN: ("been more than {} ago", "not been more than {} ago"),
    Op.BEFORE: ("been before {}", "not been before {}"),
    Op.AFTER: ("been after {}", "not been after {}"),
}


def in_words(change: Change) -> str:
    """`contact.order_count had been 3 or more`: one fact and what it would have had to be."""
    path = change.tests[0][0].path
    return f"{path} had {' and '.join(_phrases(change.tests))}"


def pattern_in_words(change: Change, words: str) -> str:
    """The same of a journey's pattern: `the pattern had been complete (3 times paid within 1d)`."""
    complete = all((truth is Truth.TRUE) is (test.op is not Op.LACKS) for test, truth in change.tests)
    return f"the pattern had {'' if complete else 'not '}been complete ({words})"


def _phrases(tests: Sequence[tuple[Test, Truth]]) -> list[str]:
    return list(dict.fromkeys(_phrase(test, truth is Truth.TRUE) for test, truth in tests))


def _phrase(test: Test, holds: bool) -> str:
    if test.op is Op.EXISTS:
        return _KNOWN[bool(test.wanted) is holds]
    value = wanted_by(test).removeprefix(f"{test.op.value} ")
    return _PHRASES[test.op][0 if holds else 1].format(value)
