"""The end of a run in the store: its row, its waits, its unsent messages, its decision, its workflow."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.calls import rows as calls
from engine.delivery.by_hand import withdraw_tasks
from engine.delivery.intents import run_ended_answer, withdrawn_answer
from engine.delivery.recording import tell_run
from engine.delivery.waking import drop_held
from engine.gate.consent import TakenBack
from engine.gate.model import Answer
from engine.gate.state import Moment
from engine.journeys.run import Ended, TaskClosed, TaskState, WaitKind
from engine.journeys.tasking import closed_note
from engine.runs.keys import wished_by
from engine.runs.states import RunRecord, state_of
from engine.runs.tasks import close_task
from engine.runs.telling import Notes
from engine.runs.waiting import forget_waits
from engine.store.bulk import is_one_of, table_of
from engine.store.tables import RunRow

_RUN = table_of(RunRow)


def ended_values(ended: Ended, now: datetime) -> dict[str, Any]:
    """What the row of an ended run holds; it waits for nothing and nobody leases it."""
    return {
        "status": "ended",
        "outcome": ended.outcome.value,
        "waiting": "ended",
        "due_at": None,
        "waiting_since": None,
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
    _ended: list[tuple[RunRecord, Ended]] = field(default_factory=list)
    _withdrawn: list[tuple[str, TakenBack]] = field(default_factory=list)

    def end(self, run: RunRecord, ended: Ended, **evidence: Any) -> None:
        """End an active run; its workflow, if it has one, is told to end."""
        self._ended.append((run, ended))
        if run.waiting == WaitKind.TASK and close_task(
            self.session, run, TaskState.WITHDRAWN, self.now, ended.reason
        ):
            state = state_of(run)
            step = run.position or ""
            closed = TaskClosed(step, state.visits.get(step, 1), TaskState.WITHDRAWN)
            self.notes.task(run, closed_note(closed, None, ended.reason), self.now)
        self.notes.ended(run, ended, self.now, **evidence)
        if run.durable:
            self.notes.tell_driver("run.cancel", run, self.real_now, reason=ended.reason)

    def withdraw(self, contact_id: str, taken: TakenBack) -> None:
        """Drop every unsent message that a refusal stops; runs that go on all the same do so without it."""
        self._withdrawn.append((contact_id, taken))

    def finish(self) -> None:
        """Write the ends and all notes, stop listening for the ended runs, drop what was not handed over yet.

        What is dropped comes last in the story of its moment, here as in virtual time.
        """
        self._write_ends()
        self.notes.write(self.session)
        # Whoever settles a message locks its run first. So do we, and every run before the first message.
        waiting = self._lock_waiting({contact_id for contact_id, _ in self._withdrawn})
        withdrawn = withdrawn_answer()
        by_withdrawal = [run for run, ended in self._ended if ended.reason == withdrawn.reason]
        otherwise = [run for run, ended in self._ended if ended.reason != withdrawn.reason]
        self._drop_of_ended(by_withdrawal, withdrawn)
        self._drop_of_ended(otherwise, run_ended_answer())
        for contact_id, taken in self._withdrawn:
            self._drop_withdrawn(contact_id, taken, waiting)
        self._ended, self._withdrawn = [], []

    def _write_ends(self) -> None:
        for outcome, ended in {ended.outcome: ended for _, ended in self._ended}.items():
            run_ids = [run.id for run, each in self._ended if each.outcome is outcome]
            values = {**ended_values(ended, self.now), "revision": _RUN.c.revision + 1}
            self.session.execute(
                update(_RUN).where(is_one_of(self.session, _RUN.c.id, run_ids)).values(values)
            )
        if self._ended:
            forget_waits(self.session, [run.id for run, _ in self._ended], step_only=False)

    def _drop_of_ended(self, runs: Collection[RunRecord], answer: Answer) -> None:
        calling = [run.id for run in runs if run.waiting == WaitKind.CALL]
        if calling:
            calls.drop(self.session, calling, calls.Moments(self.now, self.real_now))
        # A run that waits for anything else has no message that is not sent or refused.
        runs = [run for run in runs if run.waiting == WaitKind.OUTCOME]
        if not runs:
            return
        drop_held(
            self.session,
            answer=answer,
            now=self.real_now,
            journey_now=self.now,
            contact_ids=sorted({run.contact_id for run in runs}),
            run_ids=[run.id for run in runs],
        )

    def _lock_waiting(self, contact_ids: Collection[str]) -> dict[str, RunRow]:
        """The active runs of these contacts that wait for a message, by its key."""
        if not contact_ids:
            return {}
        query = (
            select(RunRow)
            .where(
                is_one_of(self.session, RunRow.contact_id, contact_ids),
                col(RunRow.ended_at).is_(None),
                col(RunRow.waiting) == WaitKind.OUTCOME.value,
            )
            .order_by(col(RunRow.id))
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return {wished_by(state_of(row)) or "": row for row in self.session.scalars(query)}

    def _drop_withdrawn(self, contact_id: str, taken: TakenBack, waiting: dict[str, RunRow]) -> None:
        dropped = drop_held(
            self.session,
            answer=withdrawn_answer(),
            now=self.real_now,
            journey_now=self.now,
            contact_ids=[contact_id],
            stops=taken.stops,
        )
        for key in dropped:
            tell_run(self.session, waiting.get(key), key, self.real_now)
        # What a person is to bring has not reached anybody yet either.
        moment = Moment(self.now, self.real_now)
        withdraw_tasks(self.session, [contact_id], withdrawn_answer().reason, moment, taken.stops)
