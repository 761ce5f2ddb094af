"""Sees that a text says what the law wants said: 投资有风险, 本品不能代替药物, 拒收请回复R."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.plugin import Check, CheckContext, Draft, Finding, Severity, hookimpl
from plugins.checks.parts import parts_of
from plugins.checks.wordings import check_wordings, read, wordings_in


class RequiredLineSettings(BaseModel):
    """What a ruleset may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: str = Field(
        description="what has to be said; other wordings that will do follow after bars",
        min_length=1,
        max_length=1_000,
    )
    law: str = Field(description="the law or rule that wants it", min_length=1, max_length=500)
    where: str = Field(
        "",
        description="only in texts with one of these words, separated by bars; empty: in every text",
        max_length=1_000,
    )

    _are_wordings = field_validator("line", "where")(check_wordings)


class RequiredLineCheck:
    """Blocks a message in which a line is missing; subject and call to action count as part of it."""

    name = "required_line"
    settings = RequiredLineSettings
    immediate = True

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        """One finding, over the whole body, when the line is missing."""
        settings = RequiredLineSettings.model_validate(dict(context.settings))
        parts = parts_of(draft)
        if parts.too_long:
            return parts.too_long
        said = "\n".join(read(text) for _, text in parts.texts)
        wanted, where = wordings_in(settings.line), [read(word) for word in wordings_in(settings.where)]
        if where and not any(word in said for word in where):
            return []
        if any(read(line) in said for line in wanted):
            return []
        return [
            Finding(
                code="required_line.missing",
                severity=Severity.BLOCK,
                start=0,
                end=len(draft.body),
                message=f"the text does not say {wanted[0]!r}",
                rule=f"{settings.law}: {wanted[0]}",
                suggestion=f"加上“{wanted[0]}”",
            )
        ]


@hookimpl
def register_checks() -> Iterable[Check]:
    return [RequiredLineCheck()]
