"""What is written about an intent beside its own row: decisions, and the word to the run that waits."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.gate.model import Answer
from engine.store.tables import DecisionRow, IntentRow, OutboxRow, RunRow


def decision_row(row: IntentRow, answer: Answer, journey_now: datetime, version: str = "") -> DecisionRow:
    """The decision that an answer is; `version` is the bundle it was decided under, else the intent's own."""
    return DecisionRow(
        at=journey_now,
        kind="message",
        contact_id=row.contact_id,
        journey=row.journey,
        run_id=row.run_id,
        intent_key=row.key,
        stage=answer.stage,
        channel=answer.channel,
        verdict=answer.verdict.value,
        reason=answer.reason,
        evidence=dict(answer.evidence),
        would_pass_if=answer.would_pass_if,
        hold_until=answer.hold_until,
        bundle_hash=version or row.bundle_hash,
    )


def lock_run(session: Session, run_id: str | None) -> RunRow | None:
    """The run's row, held by this transaction; always before the intent's own row."""
    if run_id is None:
        return None
    query = (
        select(RunRow)
        .where(col(RunRow.id) == run_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).one_or_none()


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
