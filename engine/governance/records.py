"""What operators are shown of contacts, runs and decisions, as plain values; addresses are masked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col

from engine.authoring.bundle import Bundle
from engine.contacts.consent import consent_records
from engine.contacts.identity import addresses_of, survivors_of
from engine.contacts.merging import merges_of
from engine.contacts.profile import counted
from engine.contacts.rows import profile_of
from engine.errors import NotFound
from engine.governance.decisions import decisions_of_run
from engine.journeys.run import WaitKind
from engine.journeys.tasking import HIGHEST_PRIORITY
from engine.masking import mask_address
from engine.risk.model import Breaker
from engine.risk.windows import Figures
from engine.store.tables import (
    BreakerRow,
    CallRow,
    ContactRow,
    EventRow,
    ExposureRow,
    IdentityRow,
    IntentRow,
    MergeRow,
    RunRow,
    TaskRow,
    WaitRow,
)

Record = dict[str, Any]
"""A JSON object; moments are ISO 8601 text in UTC."""

LONGEST_LIST = 500


def find_contact(session: Session, named: str) -> str:
    """The id behind a contact's id or identity (`user:42`, `email:a@b.c`); NotFound when there is none."""
    if session.get(ContactRow, named) is not None:
        return named
    platform, colon, address = named.partition(":")
    if colon:
        row = session.get(IdentityRow, (platform, address))
        if row is not None:
            return row.contact_id
    raise NotFound("there is no such contact; name its id, or an identity as user:42 or email:a@b.c")


def find_living(session: Session, named: str) -> str:
    """As `find_contact`; for one who is part of another, that other one."""
    contact_id = find_contact(session, named)
    return survivors_of(session, [contact_id]).get(contact_id, contact_id)


def contact_record(
    session: Session, contact_id: str, *, bundle: Bundle | None = None, now: datetime | None = None
) -> Record:
    """One contact: profile, identities, consents, arms, runs, tasks; NotFound when there is none.

    With the bundle in force and journey time, what its counts say of them now; None where that is not known.
    """
    row = session.get(ContactRow, contact_id)
    if row is None:
        raise NotFound("there is no such contact")
    identities = addresses_of(session, [contact_id]).get(contact_id, [])
    arms = select(ExposureRow).where(col(ExposureRow.contact_id) == contact_id)
    events = select(EventRow).where(col(EventRow.contact_id) == contact_id).order_by(col(EventRow.seq).desc())
    return {
        **plain(row, without={"counts"}),
        "counts": {} if bundle is None or now is None else _counts(row, bundle, now),
        # Without a zone of their own, the workspace's clock is theirs.
        "timezone_source": row.timezone_source or "default",
        "timezone_candidates": list(profile_of(row).timezone_candidates),
        "identities": [
            {
                "platform": identity.platform,
                "address": mask_address(identity.address),
                "added_at": _text(identity.added_at),
                "suppressed": identity.suppressed,
                "is_shared": identity.is_shared,
                "merged_from": identity.merged_from,
            }
            for identity in identities
        ],
        "merges": [merge_record(merge) for merge in merges_of(session, contact_id)],
        "consents": [
            {
                "purpose": record.purpose,
                "channel": record.channel,
                "decision": record.decision,
                "recorded_at": _text(record.recorded_at),
                "valid_until": _text(record.valid_until),
                "source": record.source,
                "legal_basis": record.legal_basis,
            }
            for record in consent_records(session, contact_id)
        ],
        "arms": [
            {"experiment": row.experiment, "arm": row.arm, "by": row.by, "since": _text(row.at)}
            for row in session.scalars(arms.order_by(col(ExposureRow.id)))
        ],
        "runs": list_runs(session, contact_id=contact_id),
        "tasks": _tasks(session, col(TaskRow.contact_id) == contact_id),
        "events": [
            {
                "event_id": event.event_id,
                "type": event.type,
                "occurred_at": _text(event.occurred_at),
                "source": event.source,
            }
            for event in session.scalars(events.limit(50))
        ],
    }


def _counts(row: ContactRow, bundle: Bundle, now: datetime) -> Record:
    """What is kept of a count is an inner state; what it says is a number."""
    found = counted(profile_of(row), tuple((count.id, count) for count in bundle.counts), now)
    return dict(found.facts)


def merge_record(row: MergeRow) -> Record:
    """That two contacts became one, without what the two were."""
    return plain(row, without={"profiles"})


def list_runs(
    session: Session,
    *,
    journey: str | None = None,
    contact_id: str | None = None,
    status: str | None = None,
    limit: int = 50,
) -> list[Record]:
    """Runs, the latest first."""
    query = select(RunRow).order_by(col(RunRow.started_at).desc(), col(RunRow.id)).limit(_bounded(limit))
    if journey is not None:
        query = query.where(col(RunRow.journey) == journey)
    if contact_id is not None:
        query = query.where(col(RunRow.contact_id) == contact_id)
    if status is not None:
        query = query.where(col(RunRow.status) == status)
    return [_run(row) for row in session.scalars(query)]


def run_record(session: Session, run_id: str) -> Record:
    """One run: what it waits for, its messages, calls, tasks and decisions; NotFound when there is none."""
    row = session.get(RunRow, run_id)
    if row is None:
        raise NotFound(f"there is no run {run_id[:64]!r}")
    waits = select(WaitRow).where(col(WaitRow.run_id) == run_id).order_by(col(WaitRow.id))
    intents = select(IntentRow).where(col(IntentRow.run_id) == run_id).order_by(col(IntentRow.created_at))
    calls = select(CallRow).where(col(CallRow.run_id) == run_id).order_by(col(CallRow.created_at))
    return {
        **_run(row),
        "clock": _clock(session, row),
        "rounds": row.variables.get("rounds", {}),
        "waits": [plain(wait, without={"run_id", "contact_id"}) for wait in session.scalars(waits)],
        "intents": [_intent(intent) for intent in session.scalars(intents)],
        "calls": [_call(call) for call in session.scalars(calls)],
        "tasks": _tasks(session, col(TaskRow.run_id) == run_id),
        "decisions": decisions_of_run(session, run_id),
    }


def _clock(session: Session, row: RunRow) -> Record | None:
    """By whose clock a run sleeps: the contact's zone and its source; without one, the workspace's."""
    contact = session.get(ContactRow, row.contact_id)
    if row.waiting != WaitKind.TIMER or contact is None:
        return None
    return {
        "timezone": contact.timezone,
        "timezone_source": contact.timezone_source or "default",
        "timezone_candidates": list(profile_of(contact).timezone_candidates),
    }


def _run(row: RunRow) -> Record:
    # A run's variables may hold what a contact said, which has no place in a list.
    return plain(row, without={"variables", "lease_owner", "lease_until", "since_seq"})


def task_fields(row: TaskRow) -> Record:
    """A task without its note and its message, which say more of a contact than a list should."""
    shown = plain(row, without={"rank", "decision_key", "bundle_hash", "note", "message"})
    return {**shown, "priority": HIGHEST_PRIORITY - row.rank}


def _tasks(session: Session, of: ColumnElement[bool]) -> list[Record]:
    query = select(TaskRow).where(of).order_by(col(TaskRow.created_at).desc(), col(TaskRow.id)).limit(50)
    return [task_fields(row) for row in session.scalars(query)]


def _intent(row: IntentRow) -> Record:
    return plain(row, without={"variables", "lease_owner", "lease_until", "run_id", "contact_id"})


def _call(row: CallRow) -> Record:
    return plain(row, without={"told", "variables", "keeps", "lease", "ready_at", "run_id", "contact_id"})


def breaker_record(row: BreakerRow, breaker: Breaker | None, seen: Figures) -> Record:
    """One breaker in one scope as it is published, and the figure that it watches as it is now.

    Who and since when only once something changed; no figure of a breaker that the bundle has no longer.
    """
    has_changed = row.epoch > 0
    return {
        "breaker": row.breaker_id,
        "scope": row.scope,
        "state": row.state,
        "level": row.level,
        "metric": None if breaker is None else breaker.metric.name,
        "figure": None if breaker is None or not seen.samples else round(seen.rate, 4),
        "samples": None if breaker is None else seen.samples,
        "against": None if breaker is None else seen.failed,
        "probes_left": row.probes_left or None,
        "ramp": row.ramp,
        "since": _text(row.since) if has_changed else None,
        "by": row.evidence.get("reset_by", row.by) if has_changed else None,
        "evidence": row.evidence,
    }


def plain(row: SQLModel, *, without: frozenset[str] | set[str] = frozenset()) -> Record:
    """A row's columns in their own order, those of `without` left out."""
    return {name: _text(getattr(row, name)) for name in type(row).model_fields if name not in without}


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _bounded(limit: int) -> int:
    return max(1, min(limit, LONGEST_LIST))
