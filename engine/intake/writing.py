"""The few statements by which intake reads and writes events and dead letters in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.intake.incoming import Unusable
from engine.store.bulk import insert_new, is_one_of
from engine.store.tables import DeadLetterRow, EventRow


def known_event_ids(session: Session, ids: Iterable[str]) -> set[str]:
    """Those of `ids` whose events are already stored."""
    wanted = list(set(ids))
    if not wanted:
        return set()
    query = select(col(EventRow.event_id)).where(is_one_of(session, EventRow.event_id, wanted))
    return set(session.scalars(query))


def insert_events(session: Session, rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Store events in the order given; event id -> seq of those that were not there before.

    An event that another transaction stored since is left out: that is what makes de-duplication exact.
    """
    stored = insert_new(session, EventRow, rows, returning=("event_id", "seq"))
    return {row.event_id: row.seq for row in stored}


def insert_dead_letters(session: Session, refused: Iterable[Unusable], *, source: str, now: datetime) -> None:
    """Keep what could not be used, whole, with the reason."""
    rows = [
        {
            "received_at": now,
            "source": source,
            "code": item.code,
            "message": item.message,
            "raw": item.raw,
        }
        for item in refused
    ]
    if rows:
        session.execute(insert(DeadLetterRow), rows)
