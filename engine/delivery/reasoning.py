"""The conditions behind a decision as a tree with places, and what would have turned it.

Built from the answers that the decision keeps and the conditions of the bundle it was made under: what was
found then is told, whatever is known of the contact by now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.authoring.bundle import Bundle
from engine.delivery.wording import PATTERNS, in_words, pattern_in_words
from engine.rules.condition import All, Any, Condition, Test, YamlPath, tests_of
from engine.rules.counterfactual import Change, turning
from engine.rules.explaining import answer_in
from engine.rules.truth import Truth, all_of, any_of, negate


@dataclass(frozen=True)
class Reasoned:
    """One test of a condition, or several joined, with its answer."""

    truth: str
    """true | false | unknown"""
    text: str
    """The fact with what was found and wanted, or `all of`, `any of`, `none of`."""
    place: str
    """`file:line`; empty on joined parts."""
    parts: tuple[Reasoned, ...] = ()

    def lines(self, indent: str) -> Iterator[str]:
        """The tree as text, one line a part."""
        mark = {"true": "+", "false": "-", "unknown": "?"}[self.truth]
        yield f"{indent}{mark} {self.text}" + (f"  {self.place}" if self.place else "")
        for part in self.parts:
            yield from part.lines(indent + "  ")


@dataclass(frozen=True)
class Reasons:
    """Why a rule came out as it did."""

    rule: str
    tree: Reasoned
    turned_by: tuple[str, ...]
    """A smallest set of facts, each with what it would have had to be; empty when nothing simple is known."""


def reasons(bundle: Bundle, rule: str, told: Sequence[str], at: datetime) -> Reasons | None:
    """The reasons of a decision made at `at`; None when it keeps less than its whole condition.

    `told` are its `tests`, as `engine.rules.explaining.answers` wrote them.
    """
    try:
        condition = bundle.condition(rule)
        truths = [answer_in(text) for text in told]
    except (KeyError, ValueError):
        return None
    if len(truths) != sum(1 for _ in tests_of(condition)):
        return None
    builder = _Builder(bundle, rule, iter(zip(told, truths, strict=True)))
    changes = turning(condition, truths, at) or ()
    return Reasons(rule, builder.build(condition)[0], tuple(_said(change, bundle) for change in changes))


class _Builder:
    """Takes the answers one after another, in the order in which the tests are written."""

    def __init__(self, bundle: Bundle, rule: str, told: Iterator[tuple[str, Truth]]) -> None:
        self._bundle = bundle
        self._rule = rule
        self._told = told

    def build(self, condition: Condition) -> tuple[Reasoned, Truth]:
        if isinstance(condition, Test):
            text, truth = next(self._told)
            return Reasoned(truth.value, text[2:], self._place(condition.at)), truth
        built = [self.build(part) for part in condition.parts]
        truths = [truth for _, truth in built]
        parts = tuple(part for part, _ in built)
        if isinstance(condition, All):
            # Several tests of one fact are an `all` within the `all` they stand in: read as one list.
            flat = tuple(
                leaf for part in parts for leaf in (part.parts if part.text == "all of" else (part,))
            )
            return Reasoned((truth := all_of(truths)).value, "all of", "", flat), truth
        if isinstance(condition, Any):
            return Reasoned((truth := any_of(truths)).value, "any of", "", parts), truth
        truth = all_of(negate(each) for each in truths)
        return Reasoned(truth.value, "none of", "", parts), truth

    def _place(self, at: YamlPath) -> str:
        place = self._bundle.test_places.get((self._rule, at)) or self._bundle.rule_places.get(self._rule)
        return f"{place.file}:{place.line}" if place is not None else ""


def _said(change: Change, bundle: Bundle) -> str:
    """One fact and what it would have had to be, in words."""
    test = change.tests[0][0]
    if test.path == PATTERNS and test.wanted in bundle.programs:
        return pattern_in_words(change, bundle.programs[str(test.wanted)].entry.words)
    return in_words(change)
