"""What can be wrong with a condition as it is written."""

from __future__ import annotations

from dataclasses import dataclass

from engine.rules.condition import YamlPath

UNKNOWN_FACT = "RS101"
UNKNOWN_TEST = "RS102"
TEST_UNFIT = "RS103"
VALUE_UNFIT = "RS104"
BAD_DURATION = "RS105"
BAD_INSTANT = "RS106"
BAD_RANGE = "RS107"
EMPTY = "RS108"
NEVER_TRUE = "RS109"
NOT_A_CHOICE = "RS110"
BAD_PATTERN = "RS111"
SLOW_PATTERN = "RS112"
TOO_LARGE = "RS113"
BAD_SHAPE = "RS114"
BAD_REFERENCE = "RS115"

FAULTS: dict[str, str] = {
    UNKNOWN_FACT: "a condition asks about a fact that is not in the catalogue",
    UNKNOWN_TEST: "a test has a name that the language does not know",
    TEST_UNFIT: "the test does not fit the type of the fact, as eq on labels",
    VALUE_UNFIT: "the value has another type than the test needs",
    BAD_DURATION: "within and older_than need a duration above zero, as 30d",
    BAD_INSTANT: "before, after and between need a quoted moment with its offset from UTC",
    BAD_RANGE: "between needs two values, the lower one first",
    EMPTY: "a list or map of conditions, tests or values has nothing in it",
    NEVER_TRUE: "tests that must all be true contradict each other, or a fact is compared with itself",
    NOT_A_CHOICE: "the fact has a closed set of values and the one written is not among them",
    BAD_PATTERN: "the regular expression does not compile",
    SLOW_PATTERN: "the regular expression could take very long on some text",
    TOO_LARGE: "a condition nests too deep, has too many tests, or a value is too long",
    BAD_SHAPE: "a condition is neither a map nor a list, or something stands where it cannot",
    BAD_REFERENCE: "{fact: ..., times: ...} is not written as it must be, or names a fact of another type",
}
"""Code -> what it means, in one line."""


@dataclass(frozen=True)
class Fault:
    """One mistake in a condition; `at` begins with the path that `parse_condition` was given."""

    code: str
    at: YamlPath
    message: str
    hint: str = ""
    swap: tuple[str, ...] = ()
    """What is written at the place, and what alone can be meant instead."""
