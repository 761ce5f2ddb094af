"""Holds the length of a text against what its platform takes, or what reads well there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.plugin import Check, CheckContext, Draft, Finding, Severity, fitting, hookimpl, length_in


class PlatformLengthSettings(BaseModel):
    """What a ruleset may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    least: int = Field(0, description="what a shorter body falls short of, as a warning", ge=0)
    most: int = Field(description="what a longer body exceeds", ge=1)
    unit: Literal["characters", "bytes", "utf16"] = Field(
        "characters", description="what is counted: characters, bytes of UTF-8, or units of UTF-16"
    )
    beyond: Literal["warn", "block"] = Field("block", description="what follows from a body that is too long")
    source: str = Field(
        description="the page or rule that says so, with its date", min_length=1, max_length=500
    )

    @model_validator(mode="after")
    def _leaves_room(self) -> PlatformLengthSettings:
        if self.least > self.most:
            raise ValueError("least must not be more than most")
        return self


class PlatformLengthCheck:
    """Counts the body as its platform does."""

    name = "platform_length"
    dimension = "readability"
    settings = PlatformLengthSettings
    immediate = True

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        """One finding when the body is too long, from where it is, or too short."""
        settings = PlatformLengthSettings.model_validate(dict(context.settings))
        length = length_in(draft.body, settings.unit)
        if length > settings.most:
            severity = Severity(settings.beyond)
            fits = fitting(draft.body, settings.most, settings.unit)
            message = f"{length} {settings.unit}; the most is {settings.most}"
            return [
                _finding("too_long", severity, fits, len(draft.body), message, settings.source, "缩短正文")
            ]
        if length < settings.least:
            message = f"{length} {settings.unit}; the least is {settings.least}"
            return [
                _finding("too_short", Severity.WARN, 0, len(draft.body), message, settings.source, "充实正文")
            ]
        return []


def _finding(
    code: str, severity: Severity, start: int, end: int, message: str, source: str, suggestion: str
) -> Finding:
    return Finding(
        code=f"platform_length.{code}",
        severity=severity,
        start=start,
        end=end,
        message=message,
        rule=source,
        suggestion=suggestion,
    )


@hookimpl
def register_checks() -> Iterable[Check]:
    return [PlatformLengthCheck()]
