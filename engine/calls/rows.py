"""Rows of calls: wished, taken up by one process at a time, ended; in transactions of the caller's.

Locks are taken in the order contact, control row, run, call.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, insert, or_, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.calls.settling import DEADLINE, DROPPED, STAGE, Aftermath, CallState
from engine.gate.decision import SCHEMA
from engine.gate.model import Answer, Verdict
from engine.journeys.run import CallWish
from engine.store.bulk import insert_new, is_one_of, table_of
from engine.store.prepared import Prepared
from engine.store.tables import CallRow, DecisionRow

PLANNED_FOR = timedelta(seconds=30)
"""Delivery time whoever wished a call has to make it before anybody else does."""
LEASE = timedelta(seconds=60)
"""Delivery time after which a call that somebody began and did not finish is taken up by others."""

_INSERT_DECISION = Prepared(insert(table_of(DecisionRow)))


@dataclass(frozen=True)
class Wisher:
    """The run that wishes a call, as its row has it."""

    key: str
    run_id: str
    journey: str
    contact_id: str
    bundle_hash: str


@dataclass(frozen=True)
class Halted:
    """Whose calls nobody may make now, though they are due."""

    everything: bool = False
    journeys: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()


def plan(
    session: Session,
    wisher: Wisher,
    wish: CallWish,
    variables: Mapping[str, Any],
    *,
    journey_now: datetime,
    now: datetime,
) -> None:
    """Write a wish down, unless it is there already; `now` is delivery time."""
    row = {
        "key": wisher.key,
        "run_id": wisher.run_id,
        "journey": wisher.journey,
        "step_id": wish.step,
        "visit": wish.visit,
        "contact_id": wisher.contact_id,
        "purpose": wish.purpose,
        "action": wish.action,
        "told": dict(wish.values),
        "variables": dict(variables),
        "bundle_hash": wisher.bundle_hash,
        "state": CallState.PLANNED.value,
        "code": "",
        "keeps": list(wish.keeps),
        "results": {},
        "attempts": 0,
        "created_at": journey_now,
        "deadline_at": now + (DEADLINE if wish.deadline is None else wish.deadline),
        "ready_at": now + PLANNED_FOR,
        "updated_at": now,
    }
    insert_new(session, CallRow, [row])


def lock_call(session: Session, key: str) -> CallRow | None:
    """The call's row, held by this transaction; None for one that does not exist."""
    query = select(CallRow).where(col(CallRow.key) == key).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def is_free(row: CallRow, now: datetime) -> bool:
    """Whether whoever names the call may take it up: nobody works on it, and no pause is to be kept."""
    is_fresh = row.lease is None and row.attempts == 0 and row.reason is None
    return is_fresh or row.ready_at <= now


def is_resting(row: CallRow, now: datetime) -> bool:
    """Whether nobody works on the call at this moment."""
    return row.lease is None or row.ready_at <= now


def looked_at_again(row: CallRow) -> datetime:
    """Delivery time at which a resting call is looked at by itself: its next try, or else its deadline.

    What halts a call may end at any time, and whoever dispatches notices; nobody else needs to look before.
    """
    is_halted = row.reason not in (None, "call.retry", "call.unavailable")
    return row.deadline_at if is_halted else min(row.ready_at, row.deadline_at)


def take_due(session: Session, halted: Halted, leases: list[str], now: datetime) -> list[tuple[str, str]]:
    """Lease calls that are due, as many as there are names of leases at most: (key, lease)."""
    query = (
        select(CallRow)
        .where(due(now, halted))
        .order_by(col(CallRow.ready_at), col(CallRow.key))
        .limit(len(leases))
        .with_for_update(skip_locked=True)
    )
    taken = []
    for row, lease in zip(session.scalars(query).all(), leases, strict=False):
        row.lease, row.ready_at = lease, now + LEASE
        taken.append((row.key, lease))
    return taken


def has_due(session: Session, halted: Halted, now: datetime) -> bool:
    """Whether `take_due` would find anything."""
    return session.scalars(select(col(CallRow.key)).where(due(now, halted)).limit(1)).first() is not None


def due(now: datetime, halted: Halted) -> ColumnElement[bool]:
    """The condition for calls that somebody should take up now; of what is halted, those out of time."""
    is_open = col(CallRow.state).in_([CallState.PLANNED.value, CallState.HANDED_OVER.value])
    ready = and_(is_open, col(CallRow.ready_at) <= now)
    if halted.everything:
        return and_(ready, col(CallRow.deadline_at) <= now)
    if not halted.journeys and not halted.purposes:
        return ready
    goes_on = and_(
        col(CallRow.journey).not_in(sorted(halted.journeys)),
        col(CallRow.purpose).not_in(sorted(halted.purposes)),
    )
    return and_(ready, or_(goes_on, col(CallRow.deadline_at) <= now))


def release(session: Session, row: CallRow, answer: Answer, ready_at: datetime, at: Moments) -> None:
    """Let a call rest until it is ready again; a hold for another reason than before is a decision."""
    row.lease, row.ready_at, row.updated_at = None, ready_at, at.delivery
    if row.reason != answer.reason:
        row.reason = answer.reason
        record(session, row, answer, at.journey)


def apply(session: Session, row: CallRow, after: Aftermath, at: Moments) -> None:
    """Bring a call to what became of it; a try that ends as the one before is no new decision."""
    row.state = after.state.value
    row.outcome = after.outcome.value if after.outcome is not None else None
    row.results = {name: after.results[name] for name in row.keeps if name in after.results}
    row.lease, row.updated_at = None, at.delivery
    row.ready_at = after.ready_at if after.ready_at is not None else at.delivery
    is_news = after.outcome is not None or (row.reason, row.code) != (after.answer.reason, after.code)
    row.reason, row.code = after.answer.reason, after.code
    if is_news:
        record(session, row, after.answer, at.journey)


@dataclass(frozen=True)
class Moments:
    """One instant on both clocks."""

    journey: datetime
    delivery: datetime


def drop(session: Session, run_ids: Collection[str], at: Moments) -> None:
    """End the calls of runs that have ended, as far as their actions were not called yet."""
    query = (
        select(CallRow)
        .where(
            is_one_of(session, CallRow.run_id, run_ids),
            col(CallRow.state) == CallState.PLANNED.value,
        )
        .order_by(col(CallRow.key))
        .with_for_update()
    )
    answer = Answer(Verdict.SKIP, STAGE, "run.ended", would_pass_if="the run were still active")
    for row in session.scalars(query):
        row.state, row.outcome, row.reason = CallState.ENDED.value, DROPPED, answer.reason
        row.lease, row.updated_at = None, at.delivery
        record(session, row, answer, at.journey)


def record(session: Session, row: CallRow, answer: Answer, journey_now: datetime) -> None:
    """Write the decision that an answer is."""
    values = {
        "schema_version": SCHEMA,
        "at": journey_now,
        "kind": "call",
        "contact_id": row.contact_id,
        "journey": row.journey,
        "run_id": row.run_id,
        "intent_key": row.key,
        "stage": answer.stage,
        "channel": None,
        "verdict": answer.verdict.value,
        "reason": answer.reason,
        "evidence": {"step": row.step_id, "action": row.action, **answer.evidence},
        "would_pass_if": answer.would_pass_if,
        "hold_until": None,
        "bundle_hash": row.bundle_hash,
    }
    _INSERT_DECISION.run(session, values)
