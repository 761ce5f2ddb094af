"""The texts of a draft that checks look at, within a stated length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.plugin import Draft, Finding, Severity

PARTS = ("body", "subject", "call_to_action")
LONGEST = 100_000
"""Characters of one text that are looked at; a longer one is no message, and would take its time."""

MOST = 500
"""Findings that one check tells of one draft; a text with more is not put right one by one."""
GRAVEST_FIRST = (Severity.BLOCK, Severity.WARN, Severity.INFO)


@dataclass(frozen=True)
class Parts:
    """What there is to read, or why nothing is read."""

    texts: tuple[tuple[str, str], ...]
    """Name and text of each part that says anything."""
    too_long: tuple[Finding, ...]


def parts_of(draft: Draft) -> Parts:
    """The texts of a draft; where one is too long there are none, and a finding for each such one."""
    texts = tuple((part, text) for part in PARTS if (text := getattr(draft, part)))
    too_long = tuple(
        Finding(
            code="text.too_long",
            severity=Severity.BLOCK,
            start=0,
            end=len(text),
            message=f"{len(text)} characters; no more than {LONGEST} are examined",
            part=part,
            rule=f"texts have at most {LONGEST} characters",
            suggestion="shorten the text, or send a link to it",
        )
        for part, text in texts
        if len(text) > LONGEST
    )
    return Parts(() if too_long else texts, too_long)


def told(findings: Iterable[Finding]) -> list[Finding]:
    """The findings in their order; of more than can be told, the gravest."""
    found = list(findings)
    if len(found) <= MOST:
        return found
    kept = sorted(range(len(found)), key=lambda at: (GRAVEST_FIRST.index(found[at].severity), at))[:MOST]
    return [found[at] for at in sorted(kept)]
