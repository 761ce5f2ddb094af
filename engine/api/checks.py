"""Checks over HTTP: what the bundle in force would find in a text; nothing is sent or kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from engine.api.access import Asked, require_operator
from engine.api.problems import ProblemError
from engine.api.services import Services
from engine.delivery.examining import examine
from engine.delivery.limits import Limits
from engine.plugin.contracts import Draft
from engine.store.control import clocks_of, read_control

router = APIRouter(prefix="/v1/checks", tags=["operating"], dependencies=[Depends(require_operator)])

LONGEST = 1_000_000
"""Characters of a part that are taken in; checks have narrower bounds of their own."""

Text = Annotated[str, Field(max_length=LONGEST)]
Name = Annotated[str, Field(max_length=100)]


class CheckRequest(BaseModel):
    """A text as it would be sent, and where it is going."""

    body: Text = Field(examples=["这是最好的一款面霜"])
    subject: Text = ""
    call_to_action: Text = ""
    channel: Name = Field(default="", description="Empty: the checks of every channel.")
    purpose: Name = Field(default="", description="Empty: the checks of every purpose.")
    locale: Name = Field(default="", description="Empty: the first locale of the workspace.")


class FindingRecord(BaseModel):
    """One thing that a check found; the span counts characters of the part, end exclusive."""

    check: str
    code: str
    severity: str = Field(examples=["block", "warn", "info"])
    part: str = Field(examples=["body", "subject", "call_to_action"])
    start: int
    end: int
    rule: str = Field(description="The law or rule behind it.")
    message: str
    suggestion: str


class TextRecord(BaseModel):
    """A text, part by part."""

    subject: str
    body: str
    call_to_action: str


class CheckAnswer(BaseModel):
    """What the checks say."""

    bundle: str
    passes: bool = Field(description="Whether nothing blocks.")
    checks: list[str] = Field(description="The checks that looked at it.")
    scores: dict[str, int] = Field(description="0 to 100 for each dimension that was looked at.")
    findings: list[FindingRecord]
    text: TextRecord = Field(
        description="The text as the channel's platform shows it; the spans of findings are in it."
    )
    adapted: list[str] = Field(description="What was changed for that, by the platform's rules.")


@router.post("")
async def check(wanted: CheckRequest, services: Asked) -> CheckAnswer:
    """Have every check of the bundle in force look at a text. Nothing is sent or kept."""
    return await services.store.run(_checked, services, wanted)


def _checked(services: Services, wanted: CheckRequest) -> CheckAnswer:
    with services.store.read() as session:
        control = read_control(session)
        bundle = services.shelf.in_force(session, control)
    now = clocks_of(control, services.clock).journey_now()
    for name, known, what in (
        (wanted.channel, bundle.channels, "channel"),
        (wanted.purpose, bundle.purposes, "purpose"),
    ):
        if name and name not in known:
            raise ProblemError(422, "check_refused", f"there is no {what} {name!r} in force")
    locale = wanted.locale or bundle.workspace.locales[0]
    draft = Draft(wanted.body, wanted.subject, wanted.call_to_action, locale)
    found = examine(
        draft,
        bundle,
        services.registry.checks,
        channel=wanted.channel,
        purpose=wanted.purpose,
        timeout=Limits().check,
        now=now,
    )
    return CheckAnswer.model_validate({"bundle": bundle.hash, **found.as_data()})
