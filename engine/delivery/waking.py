"""Many messages at once: those that wait are woken, begun anew or dropped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, literal, or_, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.delivery.intents import (
    FREED_BY_RULES,
    IntentState,
    in_order_of_wishes,
    let_go,
    move,
    release_places,
)
from engine.delivery.recording import record_decision
from engine.gate.model import Answer, Outcome
from engine.store.bulk import is_one_of
from engine.store.tables import IntentRow


def held_in(scope: str) -> ColumnElement[bool]:
    """The condition for intents that a scope holds, alone or with others."""
    scopes = literal(" ").concat(col(IntentRow.hold_scope)).concat(" ")
    return scopes.contains(f" {scope} ", autoescape=True)


def wake(session: Session, scope: str, *, now: datetime, keys: Sequence[str] | None = None) -> int:
    """Plan again what `scope` holds (only these `keys`, when given); how many. `now` is delivery time."""
    statement = (
        update(IntentRow)
        .where(col(IntentRow.state) == IntentState.HELD.value, held_in(scope))
        .values(
            state=IntentState.PLANNED.value,
            hold_scope=None,
            wake_at=None,
            retry_at=None,
            lease_owner=None,
            lease_until=None,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    if keys is not None:
        statement = statement.where(col(IntentRow.key).in_(keys))
    return int(getattr(session.execute(statement), "rowcount", 0))


def wake_capped(session: Session, *, now: datetime) -> int:
    """Plan again what caps and quiet hours hold, for others are in force; how many.

    `now` is delivery time.
    """
    is_freed = or_(*(col(IntentRow.reason).startswith(each) for each in FREED_BY_RULES))
    return _plan_again(session, is_freed, now)


def wake_unapproved(session: Session, *, now: datetime) -> int:
    """Plan again what waits for people to approve a text, for there may be another text; how many.

    `now` is delivery time.
    """
    return _plan_again(session, col(IntentRow.reason).startswith("review."), now)


def wake_halted(session: Session, *, now: datetime) -> int:
    """Plan again what is held because a share of a budget was halted; how many. `now` is delivery time."""
    return _plan_again(session, col(IntentRow.reason) == "budget.halted", now)


def _plan_again(session: Session, which: ColumnElement[bool], now: datetime) -> int:
    statement = (
        update(IntentRow)
        .where(col(IntentRow.state) == IntentState.HELD.value, which)
        .values(
            state=IntentState.PLANNED.value,
            wake_at=None,
            retry_at=None,
            lease_owner=None,
            lease_until=None,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    return int(getattr(session.execute(statement), "rowcount", 0))


def drop_held(
    session: Session,
    *,
    answer: Answer,
    now: datetime,
    journey_now: datetime,
    contact_ids: Collection[str],
    stops: Callable[[str, Sequence[str]], bool] | None = None,
    run_ids: Collection[str] | None = None,
) -> list[str]:
    """End what waits at the gate for contacts (of some runs only), not yet handed over; the keys.

    `stops` says of a purpose and channels whether such a message is meant. `answer` says why
    (`consent.withdrawn`, `run.ended`) and becomes the decision of each. The caller has locked the contacts.
    What is at a provider at this moment is left alone.
    """
    waiting = [IntentState.PLANNED.value, IntentState.HELD.value, IntentState.RESERVED.value]
    query = (
        select(IntentRow)
        .where(is_one_of(session, IntentRow.contact_id, contact_ids), col(IntentRow.state).in_(waiting))
        .order_by(col(IntentRow.key))
        .with_for_update()
    )
    if run_ids is not None:
        query = query.where(is_one_of(session, IntentRow.run_id, run_ids))
    dropped = []
    for row in sorted(session.scalars(query), key=in_order_of_wishes):
        if stops is not None and not stops(row.purpose, row.channels):
            continue
        move(row, IntentState.ENDED)
        row.outcome = (answer.outcome or Outcome.BLOCKED).value
        row.reason = answer.reason
        let_go(row)
        row.updated_at = now
        record_decision(session, row, answer, journey_now)
        dropped.append(row.key)
    release_places(session, dropped)
    return dropped


def begin_anew(session: Session, contact_ids: Collection[str], *, now: datetime) -> None:
    """Have what waits at the gate for contacts looked at anew from the first stage; `now` is delivery time.

    Whoever works on such a message loses it: what they know of its contact holds no longer. The caller has
    locked the contacts. What is at a provider at this moment is left alone.
    """
    waiting = [IntentState.PLANNED.value, IntentState.RESERVED.value]
    query = (
        select(IntentRow)
        .where(
            is_one_of(session, IntentRow.contact_id, contact_ids),
            or_(col(IntentRow.state).in_(waiting), _is_held_by_somebody()),
        )
        .order_by(col(IntentRow.key))
        .with_for_update()
    )
    rows = list(session.scalars(query))
    reserved = [row.key for row in rows if row.state == IntentState.RESERVED]
    for row in rows:
        if row.state == IntentState.RESERVED:
            move(row, IntentState.PLANNED)
        row.lease_owner = row.lease_until = None
        row.updated_at = now
    session.flush()
    release_places(session, reserved)


def _is_held_by_somebody() -> ColumnElement[bool]:
    return and_(col(IntentRow.state) == IntentState.HELD.value, col(IntentRow.lease_owner).is_not(None))
