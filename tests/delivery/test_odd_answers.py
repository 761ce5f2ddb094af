"""Plugins whose answers no database could keep: each message has an end all the same, and others go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.gate.model import Outcome
from engine.plugin import (
    Accepted,
    CheckContext,
    Draft,
    Finding,
    GenerateRequest,
    Preflight,
    Rejected,
    Retry,
    SendResult,
    Severity,
    hookimpl,
)
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import load_registry
from plugins.checks import lexicon
from plugins.generators import template
from tests.delivery.conftest import Desk

HALF, NUL = "\ud83d", "\x00"
"""Half of an emoji, as a text that was cut by its UTF-16 units ends with; what PostgreSQL has in no text."""
FILES = {
    "odd": """
        kind: content
        id: odd
        title: odd
        owner: us
        contents:
          - {id: odd, generator: odd, locales: {en: {body: its own text}}}
        """,
    "odd_checks": """
        kind: checks
        id: odd_checks
        title: odd
        owner: us
        checks:
          - {id: odd, plugin: odd}
        """,
}


class Odd:
    """A generator and a check that answer what they are given."""

    name = "odd"

    def __init__(self, draft: Draft | None = None, findings: tuple[Finding, ...] = ()) -> None:
        self.draft = draft or Draft("a text")
        self.findings = findings

    def generate(self, request: GenerateRequest) -> Draft:
        return self.draft

    def examine(self, draft: Draft, context: CheckContext) -> tuple[Finding, ...]:
        return self.findings

    @hookimpl
    def register_generators(self) -> list[Any]:
        return [self]

    @hookimpl
    def register_checks(self) -> list[Any]:
        return [self]


def with_odd(desk: Desk, odd: Odd) -> None:
    desk.publish(**FILES)
    registry = load_registry(entry_points=False, extra=[desk.mail, desk.push, template, lexicon, odd])
    assert registry.faults == ()
    desk.over(registry)
    desk.contact()


@pytest.mark.parametrize(
    "draft",
    [
        Draft(f"cut in half {HALF}"),
        Draft("fine", locale=7),  # type: ignore[arg-type]
    ],
)
async def test_a_text_that_is_none_is_replaced_by_the_contents_own(desk: Desk, draft: Draft) -> None:
    with_odd(desk, Odd(draft))
    desk.plan(content="odd")
    assert await desk.deliver() is Outcome.SENT
    assert isinstance(desk.mail, RecordingChannel)
    assert [message.body for message in desk.mail.sent] == ["its own text"]


async def test_a_finding_that_cannot_be_kept_blocks_as_a_check_that_fails(desk: Desk) -> None:
    finding = Finding("odd", Severity.WARN, 0, 1, HALF, suggestion=f"say {HALF}")
    with_odd(desk, Odd(findings=(finding,)))
    desk.plan()
    assert await desk.deliver() is Outcome.BLOCKED
    assert desk.reasons() == ["content.check_failed"]


@pytest.mark.parametrize(
    "answer",
    [
        Accepted(NUL),
        Rejected(HALF),
        Retry(timedelta.max),
    ],
)
async def test_an_answer_that_cannot_be_kept_is_no_answer(desk: Desk, answer: SendResult) -> None:
    desk.mail = RecordingChannel("mail", results=[answer])
    desk.process()
    desk.contact()
    desk.plan()
    assert await desk.deliver() is Outcome.UNKNOWN
    assert desk.reasons() == ["unknown.no_answer"]


async def test_a_moment_at_the_end_of_the_calendar_holds_as_long_as_messages_are_held(desk: Desk) -> None:
    latest = datetime.max.replace(tzinfo=UTC)
    desk.mail = RecordingChannel("mail", preflight=Preflight(False, "asleep", not_before=latest))
    desk.process()
    desk.contact()
    desk.plan()
    assert await desk.deliver() is None
    assert desk.reasons() == ["channel.asleep"]
