"""Points at a text that says nearly what another content says, and at one that says the same thing twice.

Platforms punish masses of near-identical texts, and two contents that say the same reach one contact twice.
That one content reaches a contact twice is not for a check to see, which knows no history: that is a cap.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.plugin import Check, CheckContext, ContentSpec, Draft, Finding, Severity, hookimpl
from plugins.checks.likeness import Likenesses, pairs_of
from plugins.checks.parts import parts_of, told

SENTENCE = re.compile(r"(?:[^。！？!?\n.;；]|\.(?=\S))+")
INDEXES_KEPT = 4
LEAST_OF_SENTENCE = 8
"""Pairs of letters or words of a sentence that must not stand twice; 谢谢 may."""
MOST_TOLD = 3
"""Contents that one finding each tells of, the likest first."""


class DuplicatesSettings(BaseModel):
    """What a ruleset may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    most: float = Field(
        0.8,
        description="the share of wording that two contents may have in common (0.8: four parts of five)",
        gt=0.3,
        le=1,
    )
    severity: Literal["info", "warn", "block"] = Field(
        "warn", description="what follows from a body that has more"
    )
    least_letters: int = Field(
        12, description="bodies of fewer letters of Chinese, or words, are not compared", ge=3
    )


class DuplicatesCheck:
    """Compares the body with those of the ruleset's other contents, and its sentences with one another."""

    name = "duplicates"
    dimension = "professionalism"
    settings = DuplicatesSettings
    reads_contents = True

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[Sequence[ContentSpec], Likenesses]] = OrderedDict()
        self._lock = threading.Lock()

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        """One finding for each of the likest contents, and for each sentence that stands there again."""
        settings = DuplicatesSettings.model_validate(dict(context.settings))
        parts = parts_of(draft)
        if parts.too_long:
            return parts.too_long
        return told([*self._of_contents(draft.body, context, settings), *_repeated(draft.body)])

    def immediate(self, context: CheckContext) -> bool:
        """Whether the ruleset's texts have been made ready."""
        return not context.contents or id(context.contents) in self._kept

    def _of_contents(
        self, body: str, context: CheckContext, settings: DuplicatesSettings
    ) -> Iterator[Finding]:
        pairs = pairs_of(body)
        if len(pairs) < settings.least_letters - 1 or not context.contents:
            return
        found: dict[str, tuple[float, ContentSpec]] = {}
        for alike in self._index(context.contents).alike(pairs, settings.most):
            other = context.contents[alike.number]
            if other.id != context.content and alike.likeness > found.get(other.id, (0.0, other))[0]:
                found[other.id] = (alike.likeness, other)
        for share, other in sorted(found.values(), key=lambda each: (-each[0], each[1].id))[:MOST_TOLD]:
            yield Finding(
                code="duplicates.of_content",
                severity=Severity(settings.severity),
                start=0,
                end=len(body),
                message=f"{share:.0%} of the wording is that of the content {other.id!r} ({other.locale})",
                rule=f"two contents have less than {settings.most:.0%} of their wording in common",
                suggestion=f"改写其中一条，或两处都用“{other.id}”",
            )

    def _index(self, contents: Sequence[ContentSpec]) -> Likenesses:
        # By identity, and the texts are kept beside it so that the identity stays taken.
        with self._lock:
            kept = self._kept.get(id(contents))
            if kept is None:
                kept = contents, Likenesses([each.body for each in contents])
                self._kept[id(contents)] = kept
                if len(self._kept) > INDEXES_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(id(contents))
            return kept[1]


def _repeated(body: str) -> Iterator[Finding]:
    """Sentences of some length whose very wording stood in the text before."""
    seen = set()
    for sentence in SENTENCE.finditer(body):
        pairs = pairs_of(sentence.group())
        if len(pairs) < LEAST_OF_SENTENCE:
            continue
        if pairs in seen:
            start, end = sentence.span()
            while body[start].isspace():
                start += 1
            yield Finding(
                code="duplicates.repeated",
                severity=Severity.WARN,
                start=start,
                end=end,
                message="this sentence stands in the text before",
                rule="a text says a sentence once",
                suggestion="删去重复的句子",
            )
        seen.add(pairs)


@hookimpl
def register_checks() -> Iterable[Check]:
    return [DuplicatesCheck()]
