"""Sees that a text is in the language it is meant to be in: nobody is sent the template of another country.

Names, codes and a few foreign words make no foreign text. Where it is not certain, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.plugin import Check, CheckContext, Draft, Finding, Severity, hookimpl
from plugins.checks.languages import WRITTEN_IN, foreign_in, is_ready, stand_alone, told_apart
from plugins.checks.parts import parts_of, told

LINE = re.compile(r"[^\n]+")


class LanguageSettings(BaseModel):
    """What a ruleset may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allowed: str = Field(
        "",
        description=(
            "languages that texts may be in, separated by commas: zh,en; empty: that of the content's locale"
        ),
        max_length=1_000,
    )
    severity: Literal["info", "warn", "block"] = Field(
        "warn", description="what follows from a text in another language"
    )

    @field_validator("allowed")
    @classmethod
    def _is_told_apart(cls, allowed: str) -> str:
        for code in _codes(allowed):
            if told_apart(code) is None:
                raise ValueError(f"{code!r} is none of the languages told apart: {', '.join(WRITTEN_IN)}")
        return allowed


class LanguageCheck:
    """Tells 47 languages apart."""

    name = "language"
    dimension = "professionalism"
    settings = LanguageSettings

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        """One finding for a part in another language, or for each line of it that is."""
        settings = LanguageSettings.model_validate(dict(context.settings))
        parts = parts_of(draft)
        allowed = _allowed(settings, context)
        if not allowed:
            # Of a language that is not told apart nothing can be said.
            return parts.too_long
        found = [
            *parts.too_long,
            *(
                _finding(part, text, start, end, language, allowed, settings)
                for part, text in parts.texts
                for start, end, language in _foreign(text, allowed)
            ),
        ]
        return told(found)

    def immediate(self, context: CheckContext) -> bool:
        """Whether what tells languages apart has been read, or is asked by no text that is as it should be.

        Chinese alone is told by its letters. Of a process that sends nothing else, only a text in the letters
        of others has to wait, once.
        """
        settings = LanguageSettings.model_validate(dict(context.settings))
        return is_ready() or stand_alone(_allowed(settings, context))


def _codes(allowed: str) -> list[str]:
    return [each.strip() for each in allowed.split(",") if each.strip()]


def _allowed(settings: LanguageSettings, context: CheckContext) -> frozenset[str]:
    codes = _codes(settings.allowed) or [context.locale]
    return frozenset(language for code in codes if (language := told_apart(code)) is not None)


def _foreign(text: str, allowed: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    """Lines that are foreign, those of one language that follow each other as one; or else the whole."""
    found: list[tuple[int, int, str]] = []
    follows = False
    for line in LINE.finditer(text):
        language = foreign_in(line.group(), allowed)
        if language is not None:
            start = found.pop()[0] if follows and found[-1][2] == language else line.start()
            found.append((start, line.end(), language))
        follows = language is not None
    if not found and (language := foreign_in(text, allowed)) is not None:
        found.append((0, len(text), language))
    yield from found


def _finding(
    part: str,
    text: str,
    start: int,
    end: int,
    language: str,
    allowed: frozenset[str],
    settings: LanguageSettings,
) -> Finding:
    wanted = ", ".join(sorted(allowed))
    return Finding(
        code="language.foreign",
        severity=Severity(settings.severity),
        start=start,
        end=end,
        message=f"this reads as {language!r}; it should be in {wanted}",
        part=part,
        rule=f"texts are in {wanted}",
        suggestion=f"换成 {wanted} 的文本，或核对内容的语言（locale）",
    )


@hookimpl
def register_checks() -> Iterable[Check]:
    return [LanguageCheck()]
