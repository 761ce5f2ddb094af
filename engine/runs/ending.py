"""The end of a run in the store: its row, its waits, its unsent messages, its decision, its workflow."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from engine.delivery.intents import drop_held, run_ended_answer, withdrawn_answer
from engine.gate.model import Answer
from engine.journeys.run import Ended
from engine.runs.telling import Notes
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


@dataclass
class Endings:
    """Runs that something other than their own steps ends, in one transaction that has locked their contacts.

    Call `finish` before the transaction ends. An outcome that still arrives afterwards for a message of such
    a run changes nothing.
    """

    session: Session
    notes: Notes
    now: datetime
    """Journey time."""
    real_now: datetime
    _dropped_by: dict[str, tuple[Answer, list[RunRow]]] = field(default_factory=dict)

    def end(self, row: RunRow, ended: Ended, *, event_id: str | None = None) -> None:
        """End an active run; its workflow, if it has one, is told to end."""
        for name, value in ended_values(ended, self.now).items():
            setattr(row, name, value)
        row.revision += 1
        evidence = {"event_id": event_id} if event_id is not None else {}
        self.notes.ended(row, ended, self.now, **evidence)
        if row.durable:
            self.notes.tell_driver("run.cancel", row, self.real_now, reason=ended.reason)
        answer = withdrawn_answer() if ended.reason == "consent.withdrawn" else run_ended_answer()
        self._dropped_by.setdefault(answer.reason, (answer, []))[1].append(row)

    def finish(self) -> None:
        """Stop listening for the ended runs, and drop their messages that were not handed over yet."""
        for answer, rows in self._dropped_by.values():
            run_ids = [row.id for row in rows]
            forget_waits(self.session, run_ids, step_only=False)
            drop_held(
                self.session,
                answer=answer,
                now=self.real_now,
                journey_now=self.now,
                contact_ids=sorted({row.contact_id for row in rows}),
                run_ids=run_ids,
            )
        self._dropped_by.clear()
