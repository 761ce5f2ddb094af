"""Points at sentences that are too long to be read at once, and at long stretches without a pause."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field

from engine.plugin import Check, CheckContext, Draft, Finding, Severity, hookimpl
from plugins.checks.parts import parts_of, told

SENTENCE = re.compile(r"(?:[^。！？!?\n.]|\.(?=\S))+")
CLAUSE = re.compile(r"(?:[^，,、；;：:—\s]|(?<=[a-zA-Z\d]) (?=[a-zA-Z\d]))+")
UNITS = re.compile(r"[\u3400-\u9fff\u3040-\u30ff]|[^\W_\u3400-\u9fff\u3040-\u30ff]+")
"""What is counted: each Chinese character or kana, and each word of other scripts."""


class ReadabilitySettings(BaseModel):
    """What a ruleset may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    longest_sentence: int = Field(
        80, description="characters of Chinese, or words, that a sentence may have", ge=5, le=1_000
    )
    longest_clause: int = Field(
        35,
        description="characters of Chinese, or words, that may follow each other without a pause",
        ge=5,
        le=1_000,
    )


class ReadabilityCheck:
    """Warns of what is hard to read; it never blocks."""

    name = "readability"
    dimension = "readability"
    settings = ReadabilitySettings
    immediate = True

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        """One finding for each sentence that is too long, or else for each clause in it."""
        settings = ReadabilitySettings.model_validate(dict(context.settings))
        parts = parts_of(draft)
        found = [
            *parts.too_long,
            *(finding for part, text in parts.texts for finding in _found(part, text, settings)),
        ]
        return told(found)


def _found(part: str, text: str, settings: ReadabilitySettings) -> Iterator[Finding]:
    for sentence in SENTENCE.finditer(text):
        start, end = sentence.span()
        if (length := _length(text[start:end])) > settings.longest_sentence:
            yield _finding("long_sentence", part, text, start, end, length, settings.longest_sentence)
            continue
        for clause in CLAUSE.finditer(text, start, end):
            if (length := _length(clause.group())) > settings.longest_clause:
                yield _finding("long_clause", part, text, *clause.span(), length, settings.longest_clause)


def _length(text: str) -> int:
    return sum(1 for _ in UNITS.finditer(text))


def _finding(code: str, part: str, text: str, start: int, end: int, length: int, most: int) -> Finding:
    while start < end and text[start].isspace():
        start += 1
    what = "a sentence" if code == "long_sentence" else "a stretch without a pause"
    return Finding(
        code=f"readability.{code}",
        severity=Severity.WARN,
        start=start,
        end=end,
        message=f"{what} of {length} characters or words; up to {most} are read with ease",
        part=part,
        rule=f"{what} has at most {most} characters or words",
        suggestion="拆成短句，或加标点停顿",
    )


@hookimpl
def register_checks() -> Iterable[Check]:
    return [ReadabilityCheck()]
