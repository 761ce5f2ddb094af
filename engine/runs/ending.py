"""The end of a run in the store: its row, its waits, its unsent messages, its decision, its workflow."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from engine.delivery.intents import drop_held, run_ended_answer, withdrawn_answer
from engine.journeys.run import Ended
from engine.runs.telling import record_end, tell_driver
from engine.runs.waiting import forget_waits
from engine.store.tables import RunRow


def ended_values(ended: Ended, now: datetime) -> dict[str, Any]:
    """What the row of an ended run holds; it waits for nothing and nobody leases it."""
    return {
        "status": "ended",
        "outcome": ended.outcome.value,
        "waiting": "ended",
        "due_at": None,
        "next_send_at": None,
        "lease_owner": None,
        "lease_until": None,
        "ended_at": now,
    }


def end_from_outside(
    session: Session,
    row: RunRow,
    ended: Ended,
    *,
    now: datetime,
    real_now: datetime,
    event_id: str | None = None,
) -> None:
    """End an active run that something other than its own steps ends. The contact is locked by the caller.

    A message of the run that was not handed over yet is dropped; an outcome that still arrives afterwards for
    one that was changes nothing. Its workflow, if it has one, is told to end.
    """
    for name, value in ended_values(ended, now).items():
        setattr(row, name, value)
    row.revision += 1
    session.flush()
    forget_waits(session, row.id, step_only=False)
    answer = withdrawn_answer() if ended.reason == "consent.withdrawn" else run_ended_answer()
    drop_held(session, answer=answer, now=real_now, journey_now=now, contact_id=row.contact_id, run_id=row.id)
    evidence = {"event_id": event_id} if event_id is not None else {}
    record_end(session, row, ended, now, **evidence)
    if row.durable:
        tell_driver(session, "run.cancel", row, real_now, reason=ended.reason)
