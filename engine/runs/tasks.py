"""Task rows: written when a run asks, closed when its time is up or its run ends, read when they are decided.

Whoever calls holds the run's contact and the run; who decides stands in `engine.runs.deciding`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from engine.journeys.run import TaskOpened, TaskState
from engine.journeys.tasking import HIGHEST_PRIORITY
from engine.runs import measuring
from engine.runs.keys import task_id_of
from engine.runs.states import RunRecord
from engine.store.bulk import insert_rows, table_of
from engine.store.prepared import Prepared
from engine.store.tables import TaskRow

_TASK = table_of(TaskRow)
_ANSWER = Prepared(
    select(_TASK.c.choice, _TASK.c.closed_at).where(
        _TASK.c.id == bindparam("of_task"), _TASK.c.state == TaskState.DECIDED.value
    )
)
_CLOSE = Prepared(
    update(_TASK)
    # A message that a person is to bring is wished for good, and does not end with its run.
    .where(
        _TASK.c.run_id == bindparam("of_run"),
        _TASK.c.state == TaskState.OPEN.value,
        _TASK.c.intent_key.is_(None),
    )
    .values(state=bindparam("to_state"), closed_at=bindparam("at"), reason=bindparam("why"))
    .returning(_TASK.c.queue)
)


def open_task(session: Session, run: RunRecord, opened: TaskOpened, now: datetime) -> str:
    """Write the task down; its id. `now` is journey time."""
    task_id = task_id_of(run.id, opened.step, opened.visit)
    row = {
        "id": task_id,
        "run_id": run.id,
        "journey": run.journey,
        "step_id": opened.step,
        "visit": opened.visit,
        "contact_id": run.contact_id,
        "queue": opened.queue,
        "question": opened.question,
        "choices": [{"id": name, "title": title} for name, title in opened.choices],
        "rank": HIGHEST_PRIORITY - opened.priority,
        "state": TaskState.OPEN.value,
        "created_at": now,
        "due_at": opened.due_at,
        "note": "",
        "bundle_hash": run.bundle_hash,
    }
    insert_rows(session, TaskRow, [row])
    measuring.TASKS.labels(opened.queue, "opened").inc()
    return task_id


def answer_to(session: Session, task_id: str) -> tuple[str, datetime] | None:
    """The choice of a task that was decided, and when (journey time); None while nobody has."""
    found = _ANSWER.row(session, {"of_task": task_id})
    return None if found is None else (found.choice, found.closed_at)


def close_task(
    session: Session, run: RunRecord, state: TaskState, now: datetime, why: str | None = None
) -> bool:
    """Close the task that the run waits for; False when it was decided before, or there is none open."""
    told: dict[str, Any] = {"of_run": run.id, "to_state": state.value, "at": now, "why": why}
    closed = _CLOSE.rows(session, told)
    for row in closed:
        measuring.TASKS.labels(row.queue, state.value).inc()
    return bool(closed)
