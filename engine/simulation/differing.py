"""What two bundles do differently to the same contacts, counted, with examples and the reason of each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from engine.gate.reasons import describe
from engine.simulation.records import Decided, Sent

EXAMPLES = 3
"""Kept of each journey and kind of difference."""
_NEAR = timedelta(days=7)
"""A refusal farther from a message than this is about another one."""

ONLY_HERE, ONLY_THERE, ANOTHER_TIME, ANOTHER_CHANNEL, ANOTHER_TEXT = (
    "only here",
    "only there",
    "another time",
    "another channel",
    "another text",
)


@dataclass(frozen=True)
class Example:
    """One message that only one of the bundles sends, or each in its own way."""

    contact: str
    journey: str
    step: str
    at: datetime
    """When it leaves here, or there when it only leaves there."""
    why: str
    """What the bundle that does not send it says, or what differs."""


@dataclass
class Differences:
    """Between one bundle, here, and another, there."""

    contacts: int = 0
    """Whose messages differ."""
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(journey, kind of difference)"""
    examples: dict[tuple[str, str], list[Example]] = field(default_factory=lambda: defaultdict(list))

    def compare(
        self,
        here: Sequence[Sent],
        there: Sequence[Sent],
        decided_here: Iterable[Decided],
        decided_there: Iterable[Decided],
    ) -> None:
        """Add one contact's messages under both bundles; what is alike aside, visits are paired in order."""
        if _same(here, there):
            return
        self.contacts += 1
        ours, theirs = _by_step(here), _by_step(there)
        said_here, said_there = list(decided_here), list(decided_there)
        for key in sorted({*ours, *theirs}):
            mine, other = _unlike(ours.get(key, []), theirs.get(key, []))
            for one, two in zip(mine, other, strict=False):
                kind, why = _differ(one, two)
                if kind:
                    self._add(kind, one, why)
            for sent in mine[len(other) :]:
                self._add(ONLY_HERE, sent, why_not(said_there, sent))
            for sent in other[len(mine) :]:
                self._add(ONLY_THERE, sent, why_not(said_here, sent))

    def _add(self, kind: str, sent: Sent, why: str) -> None:
        self.counts[sent.journey, kind] += 1
        kept = self.examples[sent.journey, kind]
        if len(kept) < EXAMPLES:
            kept.append(Example(sent.contact_id, sent.journey, sent.step, sent.at, why))


def _facets(sent: Sent) -> tuple[Any, ...]:
    return sent.at, sent.journey, sent.step, sent.channel, sent.content


def _same(here: Sequence[Sent], there: Sequence[Sent]) -> bool:
    return sorted(map(_facets, here)) == sorted(map(_facets, there))


def _unlike(here: Sequence[Sent], there: Sequence[Sent]) -> tuple[list[Sent], list[Sent]]:
    """Those that have no like among the others."""
    ours, theirs = Counter(map(_facets, here)), Counter(map(_facets, there))
    return _left_over(here, ours - theirs), _left_over(there, theirs - ours)


def _left_over(sends: Sequence[Sent], left: Counter[tuple[Any, ...]]) -> list[Sent]:
    found = []
    for sent in sends:
        if left[_facets(sent)]:
            left[_facets(sent)] -= 1
            found.append(sent)
    return found


def _by_step(sends: Iterable[Sent]) -> dict[tuple[str, str], list[Sent]]:
    found: dict[tuple[str, str], list[Sent]] = {}
    for sent in sends:
        found.setdefault((sent.journey, sent.step), []).append(sent)
    return found


def _differ(here: Sent, there: Sent) -> tuple[str, str]:
    if here.content != there.content:
        return ANOTHER_TEXT, f"{here.content} here, {there.content} there"
    if here.channel != there.channel:
        return ANOTHER_CHANNEL, f"{here.channel} here, {there.channel} there"
    if here.at != there.at:
        return ANOTHER_TIME, f"there at {there.at:%Y-%m-%d %H:%M}Z"
    return "", ""


def why_not(decisions: Sequence[Decided], sent: Sent) -> str:
    """Why a contact's decisions do not lead to a message that another bundle sends them."""
    about = [each for each in decisions if each.journey == sent.journey]
    refused = [
        each
        for each in about
        if each.kind == "message"
        and each.step == sent.step
        and each.verdict != "allow"
        and abs(each.at - sent.at) <= _NEAR
    ]
    if refused:
        return _told(_nearest(refused, sent))
    entries = [each for each in about if each.kind == "entry" and each.verdict == "allow"]
    ends = [each for each in about if each.kind == "run" and "outcome" in each.evidence]
    if sum(each.at <= sent.at for each in entries) > sum(each.at <= sent.at for each in ends):
        later = [each for each in ends if each.at > sent.at]
        then = f"; then {_told(_nearest(later, sent))}" if later else ""
        return f"its run had not come to {sent.step} by then, or by another way{then}"
    others = [*ends, *(each for each in about if each.kind == "entry" and each.verdict != "allow")]
    if not others:
        return f"nothing that happened could enter {sent.journey}"
    nearest = _nearest(others, sent)
    return f"{'not entered' if nearest.kind == 'entry' else 'no run came to it'}: {_told(nearest)}"


def _nearest(decisions: Sequence[Decided], sent: Sent) -> Decided:
    return min(decisions, key=lambda each: abs(each.at - sent.at))


def _told(decided: Decided) -> str:
    cap = decided.evidence.get("cap")
    by = decided.evidence.get("by")
    detail = f" ({cap})" if cap else f" ({by})" if by else ""
    return f"{decided.reason}{detail}: {describe(decided.reason).sentence}, {decided.at:%Y-%m-%d %H:%M}Z"
