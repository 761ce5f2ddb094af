"""Small programs, and one step of the interpreter on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from engine.journeys.interpreter import Advanced, Decider, advance
from engine.journeys.program import Call, Entry, Leave, Program, Reentry, ReentryKind, Send, Step
from engine.journeys.run import Cause, RunState
from engine.rules.facts import FactType, FactValue

NOW = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
Rules = Callable[..., Decider]
FRESH = RunState("r1", "welcome", "c1", "once")


def program(*steps: Step, leaves: tuple[Leave, ...] = ()) -> Program:
    return Program(
        journey="welcome",
        version="v1",
        purpose="marketing",
        priority=50,
        entry=Entry(("contact_added",), None, Reentry(ReentryKind.NEVER)),
        leaves=leaves,
        goal=None,
        first=steps[0].id if steps else None,
        steps={step.id: step for step in steps},
    )


def send(step: str, following: str | None = None, **more: Any) -> Send:
    return Send(step, f"{step}_text", ("email", "app"), "marketing", following, **more)


def give(next_: str | None = "fork") -> Call:
    keeps = {"balance": FactType.NUMBER, "level": FactType.NUMBER}
    return Call("give", "points", {"points": 50}, "marketing", keeps, next_, "sorry", HOUR)


def go(
    journey: Program,
    run: RunState,
    cause: Cause,
    matcher: Decider,
    *,
    facts: Mapping[str, FactValue | None] | None = None,
    now: datetime = NOW,
) -> Advanced:
    return advance(journey, run, cause, facts=facts or {}, zone=SHANGHAI, now=now, matcher=matcher)
