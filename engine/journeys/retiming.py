"""A wait whose moment moves while it lasts: the date it waits for has changed, or the contact's time zone.

A wait is over at a moment that follows from its step, from when it began, from the contact's clock and, with
`until`, from a fact. Whoever changes one of these two asks here whether that moment is another one now.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from engine.journeys.program import Program, Wait
from engine.journeys.run import RunState, WaitKind
from engine.journeys.waiting import wait_is_over_at
from engine.rules.facts import Facts


def retimed(
    program: Program, run: RunState, *, facts: Facts, zone: ZoneInfo, now: datetime
) -> RunState | None:
    """The run with the moment at which its present wait is over by what is known now; None: the same.

    It may come sooner or later, and is never before `now` (journey time): a wait whose date has turned out to
    lie in the past is over at once. A date that is no longer known moves nothing, and neither does anything
    that becomes known after the wait was over.
    """
    waiting = run.waiting
    if waiting is None or waiting.kind is not WaitKind.TIMER:
        return None
    step = program.steps.get(waiting.step)
    if not isinstance(step, Wait) or not can_move(step):
        return None
    if waiting.began_at is None or waiting.due_at is None or waiting.due_at <= now:
        return None
    until = facts.get(step.until) if step.until is not None else None
    if step.until is not None and not isinstance(until, datetime):
        return None
    until = until if isinstance(until, datetime) else None
    over = max(wait_is_over_at(step, zone, waiting.began_at, until=until), now)
    if over == waiting.due_at:
        return None
    return replace(run, waiting=replace(waiting, due_at=over))


def can_move(step: Wait) -> bool:
    """Whether anything but the time it began decides when it is over: a fact, or a clock."""
    return bool(
        step.until is not None
        or step.days is not None
        or step.at is not None
        or step.weekdays
        or step.calendar is not None
    )
