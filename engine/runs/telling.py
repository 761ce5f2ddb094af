"""What runs write beside themselves: decisions about entries and ends, and errands for the durable side."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from engine.journeys.matching import Refusal
from engine.journeys.run import Ended, RunOutcome
from engine.store.tables import DecisionRow, OutboxRow, RunRow

_VERDICTS = {
    RunOutcome.COMPLETED: "allow",
    RunOutcome.GOAL: "allow",
    RunOutcome.STOPPED: "allow",
    RunOutcome.LEFT: "skip",
    RunOutcome.CANCELLED: "block",
    RunOutcome.FAILED: "fail",
}


def verdict_of(outcome: RunOutcome) -> str:
    """How a decision about a run's end is marked."""
    return _VERDICTS[outcome]


def tell_driver(session: Session, kind: str, row: RunRow, real_now: datetime, **more: str) -> None:
    """One errand about the run (`run.start`, `run.signal`, `run.cancel`), told after the commit, in order."""
    payload = {
        "journey": row.journey,
        "contact_id": row.contact_id,
        "entry_key": row.entry_key,
        "version": row.version,
        **more,
    }
    session.add(OutboxRow(kind=kind, key=row.id, payload=payload, created_at=real_now))


def record_entry(session: Session, row: RunRow, event_id: str, now: datetime) -> None:
    """The decision that the contact was taken into the journey."""
    evidence = {"event_id": event_id, "entry_key": row.entry_key}
    session.add(_decision(row, "entry", "allow", "entry.entered", evidence, now))


def record_refusal(
    session: Session,
    refusal: Refusal,
    contact_id: str,
    event_id: str,
    bundle_hash: str,
    now: datetime,
    because: Mapping[str, Any],
) -> None:
    """The decision that a journey listened to the event and did not take the contact in."""
    session.add(
        DecisionRow(
            at=now,
            kind="entry",
            contact_id=contact_id,
            journey=refusal.journey,
            stage="entry",
            verdict="skip",
            reason=refusal.reason,
            evidence={"event_id": event_id, **refusal.evidence, **because},
            would_pass_if=refusal.would_pass_if,
            bundle_hash=bundle_hash,
        )
    )


def record_end(session: Session, row: RunRow, ended: Ended, now: datetime, **evidence: str) -> None:
    """The decision by which the run ended."""
    kept = {"outcome": ended.outcome.value, **({"by": ended.detail} if ended.detail else {}), **evidence}
    session.add(_decision(row, "run", verdict_of(ended.outcome), ended.reason, kept, now))


def _decision(
    row: RunRow, kind: str, verdict: str, reason: str, evidence: Mapping[str, Any], now: datetime
) -> DecisionRow:
    return DecisionRow(
        at=now,
        kind=kind,
        contact_id=row.contact_id,
        journey=row.journey,
        run_id=row.id,
        stage=kind,
        verdict=verdict,
        reason=reason,
        evidence=dict(evidence),
        bundle_hash=row.bundle_hash,
    )
