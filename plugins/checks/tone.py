"""How kindly a text reads, sentence by sentence: points at what sounds like a reproach or a complaint.

A model of single words and letters knows no irony and no threat in polite words; so it warns, unless the
ruleset says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.plugin import Check, CheckContext, Draft, Finding, Severity, hookimpl
from plugins.checks.parts import parts_of, told
from plugins.checks.sentiment import LANGUAGES, Model, is_read, model_of

SENTENCE = re.compile(r"(?:[^。！？!?\n.]|\.(?=\S))+[。！？!?.]*\n*")
LETTER = re.compile(r"\w")
LEAST_KNOWN = 5
"""Features that the model must know of a text to have a say."""
MOST_NAMED = 3


class ToneSettings(BaseModel):
    """What a ruleset may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    least: int = Field(
        10,
        description=(
            "how kindly a sentence must read, from 0, as a complaint, to 100, as praise; dry facts lie"
            " between 15 and 60"
        ),
        ge=0,
        le=100,
    )
    severity: Literal["info", "warn", "block"] = Field(
        "warn", description="what follows from a sentence that reads less kindly"
    )
    least_letters: int = Field(
        8, description="what a shorter sentence lacks to be judged alone: it counts to the next one", ge=1
    )


class ToneCheck:
    """Judges texts in Chinese and English; of others it says nothing."""

    name = "tone"
    dimension = "sentiment"
    settings = ToneSettings

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        """One finding for each sentence that reads less kindly than the ruleset wants."""
        settings = ToneSettings.model_validate(dict(context.settings))
        parts = parts_of(draft)
        found = list(parts.too_long)
        if (language := _language(context)) is None:
            return found
        model = model_of(language)
        for part, text in parts.texts:
            for start, end in _sentences(text, settings.least_letters):
                kindness, known = model.kindness(text[start:end])
                if known >= LEAST_KNOWN and kindness * 100 < settings.least:
                    found.append(_finding(model, part, text, start, end, kindness, settings))
        return told(found)

    def score(self, draft: Draft, context: CheckContext) -> int | None:
        """How kindly the whole draft reads, 0 to 100; None for other languages and for a word or two."""
        language = _language(context)
        text = "\n".join(text for _, text in parts_of(draft).texts)
        if language is None or not text:
            return None
        kindness, known = model_of(language).kindness(text)
        return round(kindness * 100) if known >= LEAST_KNOWN else None

    def immediate(self, context: CheckContext) -> bool:
        """Whether the model of this language has been read, or there is none."""
        language = _language(context)
        return language is None or is_read(language)


def _language(context: CheckContext) -> str | None:
    language = context.locale.replace("_", "-").split("-")[0].lower()
    return language if language in LANGUAGES else None


def _sentences(text: str, least: int) -> Iterator[tuple[int, int]]:
    """Sentences of so many letters at the least; a shorter one stands with the one behind it."""
    start, letters = None, 0
    for match in SENTENCE.finditer(text):
        begun = match.start() if start is None else start
        letters += len(LETTER.findall(match.group()))
        if letters >= least:
            yield begun, match.end()
            start, letters = None, 0
        else:
            start = begun
    if start is not None and letters:
        yield start, len(text)


def _finding(
    model: Model, part: str, text: str, start: int, end: int, kindness: float, settings: ToneSettings
) -> Finding:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    weighing = "、".join(model.tells(text[start:end], MOST_NAMED))
    return Finding(
        code="tone.unkind",
        severity=Severity(settings.severity),
        start=start,
        end=end,
        message=(
            f"this reads at {kindness * 100:.0f} of 100, as a complaint or a reproach does; what weighs"
            f" most: {weighing}"
        ),
        part=part,
        rule=f"texts read at {settings.least} of 100 at the least, where 0 is a complaint and 100 is praise",
        suggestion="换一种友善的说法：先说能帮对方做什么，不责备，不贬低",
    )


@hookimpl
def register_checks() -> Iterable[Check]:
    return [ToneCheck()]
