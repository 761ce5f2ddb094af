"""How much of a text are terms of a trade that its readers may not know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, Field

from engine.plugin import Check, CheckContext, Draft, Finding, Severity, hookimpl
from plugins.checks.automaton import Hit
from plugins.checks.finders import Finders
from plugins.checks.parts import parts_of


class JargonDensitySettings(BaseModel):
    """What a ruleset may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    most: float = Field(
        0.08,
        description="the share of a text's letters that may belong to terms (0.08: eight in a hundred)",
        gt=0,
        le=1,
    )
    least_letters: int = Field(
        20, description="shorter texts are not judged: one term would be too much", ge=1
    )


class JargonDensityCheck:
    """Warns of a text with too many terms; the terms are those of the word lists that the ruleset names."""

    name = "jargon_density"
    dimension = "professionalism"
    needs_lexicons = True
    settings = JargonDensitySettings

    def __init__(self) -> None:
        self._finders = Finders()

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        """One finding, over the whole part, for each part that is too dense."""
        settings = JargonDensitySettings.model_validate(dict(context.settings))
        finder, parts = self._finders.of(context.lexicons), parts_of(draft)
        findings = list(parts.too_long)
        for part, text in parts.texts:
            letters = sum(map(str.isalnum, text))
            hits = [hit for hit in finder.find(text) if not hit.exempt]
            share = _covered(hits, text) / letters if letters else 0.0
            if letters >= settings.least_letters and share > settings.most:
                findings.append(_finding(part, text, share, settings.most, hits))
        return findings

    def immediate(self, context: CheckContext) -> bool:
        """Whether these word lists have been made ready."""
        return self._finders.has(context.lexicons)


def _covered(hits: Iterable[Hit], text: str) -> int:
    """Letters of the text that belong to a term, each once."""
    covered, reached = 0, 0
    for hit in sorted(hits, key=lambda each: each.start):
        start = max(hit.start, reached)
        if start < hit.end:
            covered += sum(map(str.isalnum, text[start : hit.end]))
            reached = hit.end
    return covered


def _finding(part: str, text: str, share: float, most: float, hits: Iterable[Hit]) -> Finding:
    terms = list(dict.fromkeys(hit.word.entry.term for hit in hits))
    named = "、".join(terms[:5])
    return Finding(
        code="jargon_density.too_dense",
        severity=Severity.WARN,
        start=0,
        end=len(text),
        message=f"{share:.1%} of the letters belong to terms ({named}); the most is {most:.1%}",
        part=part,
        rule=f"terms make up at most {most:.1%} of a text",
        suggestion="用读者熟悉的话解释或替换术语",
    )


@hookimpl
def register_checks() -> Iterable[Check]:
    return [JargonDensityCheck()]
