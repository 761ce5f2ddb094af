"""Which work must not wait behind which: the lane of a journey's runs, and of one while a person is asked."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from engine.journeys.program import Program, Send
from engine.journeys.run import WaitKind

URGENT_PRIORITY = 80
"""A journey of this priority or a higher one is urgent."""
URGENT_DEADLINE = timedelta(minutes=1)
"""So is one of whose messages one has to leave within this time."""


class Lane(StrEnum):
    """Work of one lane is carried beside that of the others, never behind it."""

    URGENT = "urgent"
    NORMAL = "normal"
    BULK = "bulk"
    """People who come in by the thousand at one moment."""
    HUMAN = "human"
    """Runs that wait for a person's decision."""


def lane_while(waiting: str) -> Lane | None:
    """Where a run belongs while it waits for this; None: where it belongs anyway."""
    return Lane.HUMAN if waiting == WaitKind.TASK else None


def lane_of(program: Program) -> Lane:
    """Where the journey's runs belong."""
    if program.priority >= URGENT_PRIORITY or _is_hurried(program):
        return Lane.URGENT
    if program.entry.schedule is not None or program.entry.audience is not None:
        return Lane.BULK
    return Lane.NORMAL


def _is_hurried(program: Program) -> bool:
    return any(
        isinstance(step, Send) and step.deadline is not None and step.deadline <= URGENT_DEADLINE
        for step in program.steps.values()
    )
