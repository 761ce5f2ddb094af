"""Why a condition came out as it did: a tree of tests with what was found and what was wanted.

Safe to store and show: long or number-like texts and facts marked personal are described, not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from engine.rules.condition import All, Any, Condition, FactRef, None_, Op, Test, YamlPath, tests_of
from engine.rules.duration import format_duration, format_roughly
from engine.rules.evaluator import resolve, settle
from engine.rules.facts import Facts, FactType, kind_of
from engine.rules.truth import Truth, all_of, any_of, negate

_LONGEST_SHOWN = 40
_MOST_LABELS = 8
_MARKS = {Truth.TRUE: "+", Truth.FALSE: "-", Truth.UNKNOWN: "?"}
# An address, or digits enough for a telephone, card or identity number.
_TELLING = re.compile(r"@|(?:\d[ \-]?){6,}")


class Part(StrEnum):
    """What a node of an explanation is."""

    TEST = "test"
    ALL = "all"
    ANY = "any"
    NONE = "none"


@dataclass(frozen=True)
class Explanation:
    """One test, or several joined by all, any or none, with its answer.

    `text` names the fact (or the joining word), `found` and `wanted` are ready to be read and empty on joined
    parts; `at` is the place in the file.
    """

    kind: Part
    truth: Truth
    text: str
    found: str
    wanted: str
    at: YamlPath
    parts: tuple[Explanation, ...] = ()

    def __str__(self) -> str:
        mark = _MARKS[self.truth]
        if self.kind is Part.TEST:
            return f"{mark} {self.text}  ({self.found}, wanted {self.wanted})"
        return f"{mark} {self.text}"


def explain(
    condition: Condition, facts: Facts, now: datetime, *, personal: Collection[str] = frozenset()
) -> Explanation:
    """The explanation of what `evaluate` answers; values of the facts in `personal` are never repeated."""
    if isinstance(condition, Test):
        return Explanation(
            Part.TEST,
            settle(condition, facts, now),
            condition.path,
            _found(condition, facts, now, personal),
            _wanted(condition, facts, now, personal),
            condition.at,
        )
    parts = tuple(explain(part, facts, now, personal=personal) for part in condition.parts)
    truths = [part.truth for part in parts]
    match condition:
        case All():
            return Explanation(Part.ALL, all_of(truths), "all of", "", "", condition.at, parts)
        case Any():
            return Explanation(Part.ANY, any_of(truths), "any of", "", "", condition.at, parts)
        case None_():
            truth = all_of(negate(each) for each in truths)
            return Explanation(Part.NONE, truth, "none of", "", "", condition.at, parts)


def answers(
    condition: Condition, facts: Facts, now: datetime, *, personal: Collection[str] = frozenset()
) -> list[str]:
    """What every single test said, in the order written, as decisions keep it; `answer_in` reads it back."""
    return [str(explain(test, facts, now, personal=personal)) for test in tests_of(condition)]


def answer_in(text: str) -> Truth:
    """The answer that a line of `answers` begins with; ValueError for any other text."""
    for truth, mark in _MARKS.items():
        if text.startswith(f"{mark} "):
            return truth
    raise ValueError("not the answer of a test")


def nearest_miss(explanation: Explanation) -> tuple[Explanation, ...]:
    """A smallest set of tests that would have had to come out otherwise for the whole to be true.

    Empty when it is true. Tests are taken one by one: whether any facts would change them together is not
    asked.
    """
    return _to_become(explanation, Truth.TRUE)


def _to_become(explanation: Explanation, wanted: Truth) -> tuple[Explanation, ...]:
    if explanation.truth is wanted:
        return ()
    if explanation.kind is Part.TEST:
        return (explanation,)
    inner = negate(wanted) if explanation.kind is Part.NONE else wanted
    changes = [_to_become(part, inner) for part in explanation.parts]
    # `none` is true like `all` is: every part must be brought to its side.
    if (explanation.kind is Part.ANY) == (wanted is Truth.FALSE):
        return tuple(dict.fromkeys(test for change in changes for test in change))
    return min(changes, key=len, default=())


def _found(test: Test, facts: Facts, now: datetime, personal: Collection[str]) -> str:
    value = facts.get(test.path)
    if value is None:
        return "nothing known"
    if test.op is Op.EXISTS or test.path in personal:
        return "is known"
    return f"was {describe(value, now)}"


def _wanted(test: Test, facts: Facts, now: datetime, personal: Collection[str]) -> str:
    if not isinstance(test.wanted, FactRef):
        return wanted_by(test)
    resolved = resolve(test.wanted, facts)
    if resolved is None:
        value = "nothing known"
    else:
        value = "known" if test.wanted.path in personal else describe(resolved, now)
    return f"{wanted_by(test)}, here {value}"


def wanted_by(test: Test) -> str:
    """What a test asks for, nearly as it is written: `gte 3`, `has vip`, `gt 1.5 times contact.x`."""
    op = test.op.value
    match test.wanted:
        case FactRef():
            times = "" if test.wanted.times == 1.0 else f"{test.wanted.times:g} times "
            return f"{op} {times}{test.wanted.path}"
        case timedelta():
            return f"{op} {format_duration(test.wanted)}"
        case datetime():
            return f"{op} {_moment(test.wanted)}"
        case tuple():
            return f"{op} [{', '.join(_written(each) for each in test.wanted)}]"
        case _:
            return f"{op} {_written(test.wanted)}"


def _written(value: object) -> str:
    """A value out of the ruleset: the author's own text is shown."""
    if isinstance(value, datetime):
        return _moment(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def describe(value: object, now: datetime) -> str:
    """A fact's value as it may be stored and shown: ages for moments, no addresses or long numbers."""
    match kind_of(value):
        case FactType.BOOLEAN:
            return "true" if value else "false"
        case FactType.NUMBER:
            return f"{value:.12g}" if isinstance(value, float) else str(value)
        case FactType.INSTANT if isinstance(value, datetime):
            age = now - value
            return f"{format_roughly(age)} ago" if age >= timedelta(0) else f"{format_roughly(age)} ahead"
        case FactType.LABELS if isinstance(value, set | frozenset):
            return _labels(value)
        case FactType.TEXT:
            return _text(str(value))
        case _:
            return "of a type no fact has"


def _labels(labels: Collection[str]) -> str:
    if not labels:
        return "without labels"
    names = sorted(str(label) for label in labels)
    more = f" and {len(names) - _MOST_LABELS} more" if len(names) > _MOST_LABELS else ""
    return ", ".join(_text(name) for name in names[:_MOST_LABELS]) + more


def _text(text: str) -> str:
    if not text:
        return "empty text"
    if len(text) > _LONGEST_SHOWN or _TELLING.search(text) or not text.isprintable():
        return f"text of {len(text)} characters"
    return text


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
