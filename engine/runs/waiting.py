"""Wait rows: what runs listen for, what was heard, and events that came before a wait was written down."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.journeys.event import Event, event_facts
from engine.journeys.interpreter import Decider
from engine.journeys.matching import Listener, ListenerKind
from engine.rules.facts import Facts
from engine.runs.states import RunRecord
from engine.store.bulk import is_one_of, table_of
from engine.store.prepared import Prepared
from engine.store.tables import EventRow, WaitRow

_WAIT = table_of(WaitRow)
_HEARD = Prepared(
    select(_WAIT.c.matched_event_id).where(
        _WAIT.c.run_id == bindparam("of_run"),
        _WAIT.c.kind == ListenerKind.STEP.value,
        _WAIT.c.matched_event_id.is_not(None),
    )
)
_EVENT = table_of(EventRow)
_ONE_EVENT = Prepared(select(_EVENT).where(_EVENT.c.event_id == bindparam("of_event")))


def wait_row(run: RunRecord, listener: Listener) -> dict[str, Any]:
    """The row for one thing the run listens for."""
    return {
        "run_id": run.id,
        "contact_id": run.contact_id,
        "event_type": listener.event_type,
        "kind": listener.kind.value,
        "name": listener.name,
        "rule": listener.rule,
        "since_seq": listener.since_seq,
        "until": listener.until,
    }


def read_event(session: Session, event_id: str) -> Event | None:
    """A stored event; None when it is not there any more."""
    row = _ONE_EVENT.row(session, {"of_event": event_id})
    return event_of(row) if row is not None else None


def heard_event(session: Session, run_id: str) -> str | None:
    """The event that the run's present step was waiting for, when it has come."""
    found = _HEARD.rows(session, {"of_run": run_id})
    return str(found[0].matched_event_id) if found else None


def forget_waits(session: Session, run_ids: Collection[str], *, step_only: bool) -> None:
    """Stop listening: at the step just left, or altogether because the runs are over."""
    statement = delete(WaitRow).where(is_one_of(session, WaitRow.run_id, run_ids))
    if step_only:
        statement = statement.where(col(WaitRow.kind) == ListenerKind.STEP.value)
    session.execute(statement.execution_options(synchronize_session=False))


def look_back(
    session: Session,
    contact_id: str,
    listeners: Sequence[Listener],
    since_seq: int,
    *,
    after: datetime | None,
    facts: Facts,
    now: datetime,
    matcher: Decider,
    up_to_seq: int | None = None,
) -> Event | None:
    """The first event already stored, after `since_seq`, that one of these listeners waits for.

    The contact must be locked: then no event can slip in between this look and the wait's row. `after` is the
    journey moment at which the wait logically began, when that is later than `since_seq` says. Events later
    than `up_to_seq` are not looked at: they are still to be told of.
    """
    query = (
        select(EventRow)
        .where(
            col(EventRow.contact_id) == contact_id,
            col(EventRow.seq) > since_seq,
            col(EventRow.type).in_({listener.event_type for listener in listeners}),
        )
        .order_by(col(EventRow.seq))
    )
    if up_to_seq is not None:
        query = query.where(col(EventRow.seq) <= up_to_seq)
    if after is not None:
        query = query.where(col(EventRow.received_at) > after)
    for row in session.scalars(query):
        event = event_of(row)
        seen = {**facts, **event_facts(event)}
        if any(listener.hears(event, seen, now, matcher) for listener in listeners):
            return event
    return None


def event_of(row: EventRow | Row[Any]) -> Event:
    return Event(
        event_id=row.event_id,
        type=row.type,
        contact_id=row.contact_id,
        occurred_at=row.occurred_at,
        received_at=row.received_at,
        source=row.source,
        properties=row.properties,
        seq=row.seq or 0,
    )
