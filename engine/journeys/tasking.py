"""What becomes of tasks, as decisions tell it: the same in SQL and in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from engine.journeys.program import StepId
from engine.journeys.run import TaskClosed, TaskOpened, TaskState

HIGHEST_PRIORITY = 100
"""Of a task, as of a message."""


@dataclass(frozen=True)
class TaskNote:
    """One decision about a task."""

    step: StepId
    verdict: str
    reason: str
    evidence: Mapping[str, object]
    would_pass_if: str = ""


def opened_note(opened: TaskOpened) -> TaskNote:
    """A person was given a task."""
    evidence = {
        "step": opened.step,
        "queue": opened.queue,
        "priority": opened.priority,
        "due_at": opened.due_at.isoformat(),
    }
    return TaskNote(opened.step, "allow", "task.opened", evidence)


def decided_note(step: StepId, choice: str, title: str, by: str) -> TaskNote:
    """A person has answered. What they wrote beside it stays with the task: decisions are read by many."""
    evidence = {"step": step, "choice": choice, "title": title, "by": by}
    return TaskNote(step, "allow", "task.decided", evidence)


def closed_note(closed: TaskClosed, due_at: datetime | None, why: str) -> TaskNote:
    """Nobody answered in time, or nobody needs to any more; `why` is the reason code of the run's end."""
    if closed.state is TaskState.EXPIRED:
        due = due_at.isoformat() if due_at is not None else "its deadline"
        evidence = {"step": closed.step, "due_at": due}
        return TaskNote(closed.step, "skip", "task.expired", evidence, f"somebody had answered before {due}")
    return TaskNote(closed.step, "skip", "task.withdrawn", {"step": closed.step, "because": why})
