"""A person's answer to a task: one transaction that takes it or says why not, and wakes the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from engine.authoring.reading.validating import known_list, nearest
from engine.clock import Clocks, FixedClock
from engine.delivery.by_hand import close_decided
from engine.delivery.viewing import read_situation
from engine.errors import CommandError, NotFound
from engine.gate.state import Moment
from engine.journeys.run import TaskState
from engine.journeys.tasking import decided_note
from engine.runs import measuring
from engine.runs.locking import lock_run
from engine.runs.telling import Notes
from engine.store.bundles import BundleShelf
from engine.store.database import lock_contacts
from engine.store.tables import TaskRow

LONGEST_NOTE = 2000
LONGEST_NAME = 200


class UnknownChoiceError(CommandError):
    """The task has no such answer."""


class TaskClosedError(CommandError):
    """The task takes no answer any more; `told` says what became of it, who decided it and when."""

    def __init__(self, message: str, code: str, told: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        """decided | expired | withdrawn | key_taken"""
        self.told = told


@dataclass(frozen=True)
class Decision:
    """An answer that was taken."""

    task_id: str
    run_id: str | None
    """None for a message that no run wished."""
    choice: str
    title: str
    decided_by: str
    decided_at: datetime
    """Journey time."""
    is_repeat: bool
    """It was taken before, under the same key; nothing new has happened."""


def decide(
    session: Session,
    task_id: str,
    choice: str,
    *,
    by: str,
    now: datetime,
    key: str | None = None,
    note: str = "",
    secret: str | None = None,
    shelf: BundleShelf | None = None,
) -> Decision:
    """Answer a task; its run goes on soon afterwards, or its message is said to be delivered or not.

    `now` is delivery time; `secret` keys the list of closed addresses that outlives contacts. Breakers
    of the bundle that `shelf` has in force count what is said of a message.

    The same `key` again gives the same answer and does nothing. NotFound when there is no such task,
    UnknownChoiceError when it has no such answer, TaskClosedError when it was decided, has expired or was
    withdrawn: of two people who decide at once the first wins, and the second is told who it was.
    """
    if len(note) > LONGEST_NOTE:
        raise CommandError(f"the note has {len(note)} characters; {LONGEST_NOTE} at most are kept")
    asked = session.get(TaskRow, task_id)
    if asked is None:
        raise NotFound(f"there is no task {task_id[:64]!r}")
    titles = {str(each["id"]): str(each["title"]) for each in asked.choices}
    if choice not in titles:
        hint = nearest(choice, titles) or known_list(titles)
        raise UnknownChoiceError(f"{choice[:80]!r} is not an answer to this task: {hint}")
    # Contact, run, task, as everybody: whoever ends the run has done so, or waits for us.
    run = None
    if asked.intent_key is not None or asked.run_id is None:
        lock_contacts(session, [asked.contact_id])
        situation = read_situation(session)
    else:
        _, run, situation = lock_run(session, asked.run_id)
    clocks = Clocks(FixedClock(now), situation.time)
    journey_now = clocks.journey_now()
    task = session.get(TaskRow, task_id, with_for_update=True, populate_existing=True)
    assert task is not None, "tasks are never removed while their contact is held"
    if key is not None and task.decision_key == key and task.choice is not None:
        return _repeated(task, choice, titles)
    _must_be_open(task, titles, journey_now)
    task.state = TaskState.DECIDED.value
    task.choice, task.decided_by, task.decision_key = choice, by[:LONGEST_NAME], key
    task.note, task.closed_at = note, journey_now
    session.flush()
    measuring.TASKS.labels(task.queue, TaskState.DECIDED.value).inc()
    if run is None:
        close_decided(session, task, Moment(journey_now, clocks.delivery_now()), secret, shelf)
        return _decision(task, titles, is_repeat=False)
    notes = Notes()
    notes.task(run, decided_note(task.step_id, choice, titles[choice], task.decided_by), journey_now)
    notes.tell_driver("run.signal", run, clocks.delivery_now(), reason="task", reference=task_id)
    notes.write(session)
    return _decision(task, titles, is_repeat=False)


def _repeated(task: TaskRow, choice: str, titles: Mapping[str, str]) -> Decision:
    if task.choice != choice:
        message = (
            f"this key has decided the task before, for '{task.choice}'; use a new key for a new decision"
        )
        raise TaskClosedError(message, "key_taken", _told(task))
    return _decision(task, titles, is_repeat=True)


def _must_be_open(task: TaskRow, titles: Mapping[str, str], now: datetime) -> None:
    match task.state:
        case TaskState.DECIDED:
            title = titles.get(task.choice or "", "")
            message = (
                f"{task.decided_by} decided this task before: '{task.choice}' ({title}), "
                f"{_moment(task.closed_at)}"
                + ("; its run goes on with that" if task.intent_key is None else "")
            )
            raise TaskClosedError(message, "decided", _told(task))
        case TaskState.WITHDRAWN:
            because = "its run ended" if task.intent_key is None else "its message is not to be sent any more"
            message = (
                f"this task was withdrawn, because {because} ({task.reason}), {_moment(task.closed_at)}; "
                "nobody needs to answer it any more"
            )
            raise TaskClosedError(message, "withdrawn", _told(task))
    # The run may not have noticed yet that its time is up; an answer comes too late all the same.
    if task.state == TaskState.EXPIRED or task.due_at <= now:
        then = "its run goes on without an answer"
        if task.intent_key is not None:
            then = "its message counts as not delivered"
        message = f"the deadline of this task has passed, {_moment(task.due_at)}; {then}"
        raise TaskClosedError(message, "expired", _told(task))


def _told(task: TaskRow) -> dict[str, Any]:
    told = {
        "decided_by": task.decided_by,
        "choice": task.choice,
        "closed_at": task.closed_at,
        "due_at": task.due_at,
        "reason": task.reason,
    }
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in told.items()
        if value is not None
    }


def _decision(task: TaskRow, titles: Mapping[str, str], *, is_repeat: bool) -> Decision:
    assert task.choice is not None and task.closed_at is not None, "it is decided"
    return Decision(
        task.id,
        task.run_id,
        task.choice,
        titles.get(task.choice, ""),
        task.decided_by or "",
        task.closed_at,
        is_repeat,
    )


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"at {at:%Y-%m-%d %H:%M}Z"
