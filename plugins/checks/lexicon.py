"""Finds the words of word lists in a draft, however they are disguised, and shows where they stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.plugin import Check, CheckContext, Draft, Finding, Severity, hookimpl
from plugins.checks.automaton import Hit
from plugins.checks.finders import Finders
from plugins.checks.languages import WRITTEN_IN, identifier, is_ready
from plugins.checks.parts import parts_of, told
from plugins.checks.restricting import asks


class LexiconSettings(BaseModel):
    """What a ruleset may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    disguised: Literal["info", "warn", "block"] = Field(
        "warn",
        description=(
            "the most that follows from a word that is found only when separators are left out, or"
            " look-alikes and sounds are read as characters"
        ),
    )


class LexiconCheck:
    """Examines subject, body and call to action with the word lists the ruleset names for it."""

    name = "lexicon"
    needs_lexicons = True
    settings = LexiconSettings
    languages = frozenset(WRITTEN_IN)

    def __init__(self) -> None:
        self.finders = Finders()

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        """One finding per word and place. ValueError, which blocks the message, for a check without lists."""
        disguised = Severity(LexiconSettings.model_validate(dict(context.settings)).disguised)
        finder, parts = self.finders.of(context.lexicons), parts_of(draft)
        if asks(finder.restricted, context.locale):
            # Few texts need it; read all the same, so that nobody has to be waited for later on.
            identifier()
        found = [
            *parts.too_long,
            *(
                _finding(hit, part, text, disguised)
                for part, text in parts.texts
                for hit in finder.find(text, disguised, context.locale)
                if not hit.exempt
            ),
        ]
        return told(found)

    def immediate(self, context: CheckContext) -> bool:
        """Whether these word lists have been made ready, and whatever tells in which language they are."""
        if not self.finders.has(context.lexicons):
            return False
        return is_ready() or not asks(self.finders.of(context.lexicons).restricted, context.locale)


def _finding(hit: Hit, part: str, text: str, disguised: Severity) -> Finding:
    entry, lexicon = hit.word.entry, hit.word.lexicon
    code = f"lexicon.{lexicon.id}" + (f".{entry.topic}" if entry.topic else "")
    message = f"{entry.term!r} is in the word list {lexicon.id!r} (as of {lexicon.as_of})"
    if entry.parts:
        message += f", said here as {text[hit.start : hit.end]!r}"
    if hit.doubtful:
        message += f"; it counts in {', '.join(entry.languages)}, and which language this is does not show"
    if hit.disguised:
        message += f", here in disguise: {text[hit.start : hit.end]!r}"
    severity, law, suggestion = hit.severity(disguised), entry.law, entry.suggestion
    if hit.proven is not None:
        severity, law = Severity.INFO, hit.proven.law or law
        code += ".evidence"
        message += "; it is allowed as it stands here, as long as what it states can be proved"
        suggestion = hit.proven.suggestion
    return Finding(
        code=code,
        severity=severity,
        start=hit.start,
        end=hit.end,
        message=message,
        part=part,
        rule=f"{law or lexicon.id}: {entry.term}",
        suggestion=suggestion,
    )


@hookimpl
def register_checks() -> Iterable[Check]:
    return [LexiconCheck()]
