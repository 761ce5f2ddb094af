"""The few statements by which intake reads and writes in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.contacts.profile import Profile
from engine.intake.incoming import Unusable
from engine.store.bulk import is_one_of
from engine.store.tables import ContactRow, DeadLetterRow, EventRow

_AS_IS = {field.name for field in fields(Profile)} - {"created_at", "tags", "derived_tags"}


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
    if not rows:
        return {}
    statement = (
        _insert(session, EventRow)
        .on_conflict_do_nothing(index_elements=["event_id"])
        .returning(col(EventRow.event_id), col(EventRow.seq))
    )
    return {row.event_id: row.seq for row in session.execute(statement, list(rows))}


def update_contacts(session: Session, profiles: Iterable[Profile]) -> None:
    """Bring the rows of these contacts, which the transaction has locked, to their profiles."""
    rows = [
        {name: getattr(profile, name) for name in _AS_IS}
        | {"tags": sorted(profile.tags), "derived_tags": sorted(profile.derived_tags)}
        for profile in profiles
    ]
    if rows:
        # One statement for all; row by row, each change of other columns would be one of its own.
        session.execute(update(ContactRow), rows)


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


def _insert(session: Session, table: type[EventRow]) -> Any:
    # Only the dialects' own inserts know ON CONFLICT.
    dialect = session.get_bind().dialect.name
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
