"""What is written about an intent beside its own row: decisions, and the word to the run that waits."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.gate.model import Answer
from engine.store.bulk import table_of
from engine.store.prepared import Prepared
from engine.store.tables import DecisionRow, OutboxRow, RunRow

# Built once: putting a statement together costs as much as running it.
_INSERT_DECISION = Prepared(insert(table_of(DecisionRow)))
_LOCK_RUN = (
    select(RunRow)
    .where(col(RunRow.id) == bindparam("run_id"))
    .with_for_update()
    .execution_options(populate_existing=True)
)


class Subject(Protocol):
    """What a decision is about: an intent, or its row."""

    @property
    def key(self) -> str: ...
    @property
    def contact_id(self) -> str: ...
    @property
    def journey(self) -> str | None: ...
    @property
    def run_id(self) -> str | None: ...
    @property
    def bundle_hash(self) -> str: ...


def record_decision(
    session: Session, subject: Subject, answer: Answer, journey_now: datetime, version: str = ""
) -> None:
    """Write the decision that an answer is; `version` is the bundle it was decided under."""
    values = {
        "schema_version": "decision.v1",
        "at": journey_now,
        "kind": "message",
        "contact_id": subject.contact_id,
        "journey": subject.journey,
        "run_id": subject.run_id,
        "intent_key": subject.key,
        "stage": answer.stage,
        "channel": answer.channel,
        "verdict": answer.verdict.value,
        "reason": answer.reason,
        "evidence": dict(answer.evidence),
        "would_pass_if": answer.would_pass_if,
        "hold_until": answer.hold_until,
        "bundle_hash": version or subject.bundle_hash,
    }
    _INSERT_DECISION.run(session, values)


def lock_run(session: Session, run_id: str | None) -> RunRow | None:
    """The run's row, held by this transaction; always before the intent's own row."""
    if run_id is None:
        return None
    return session.scalars(_LOCK_RUN, {"run_id": run_id}).one_or_none()


def tell_run(session: Session, run: RunRow | None, key: str, now: datetime) -> None:
    """Let the run that waits for this intent notice its outcome: its workflow, or whoever sweeps runs."""
    if run is None or run.status != "active":
        return
    if not run.durable:
        run.lease_until = now
        return
    payload = {
        "journey": run.journey,
        "contact_id": run.contact_id,
        "entry_key": run.entry_key,
        "version": run.version,
        "reason": "outcome",
        "reference": key,
    }
    session.add(OutboxRow(kind="run.signal", key=run.id, payload=payload, created_at=now))
