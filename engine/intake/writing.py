"""The few statements by which intake reads and writes in bulk.

On PostgreSQL a batch's rows travel as one JSON document that the server takes apart: a thousand parameters
are a long statement to read on both sides, and a hundred statements are a hundred answers to wait for.
SQLite, which is in this process, is quickest with one prepared statement for all rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Integer,
    Table,
    TableValuedAlias,
    bindparam,
    column,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col

from engine.contacts.profile import Profile
from engine.intake.incoming import Unusable
from engine.store.bulk import is_one_of
from engine.store.tables import ContactRow, DeadLetterRow, EventRow

_AS_IS = tuple(
    field.name for field in fields(Profile) if field.name not in {"created_at", "tags", "derived_tags"}
)
_PROFILE = (*_AS_IS, "tags", "derived_tags")
_EVENT = ("event_id", "contact_id", "type", "occurred_at", "received_at", "source", "properties")


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
    if _is_postgresql(session):
        numbered = [row | {"position": position} for position, row in enumerate(rows)]
        result = session.execute(_insert_events_at_once(), {"rows": numbered})
    else:
        result = session.execute(_insert_events_one_by_one(), list(rows))
    return {row.event_id: row.seq for row in result}


def update_contacts(session: Session, profiles: Iterable[Profile]) -> None:
    """Bring the rows of these contacts, which the transaction has locked, to their profiles."""
    rows = [
        {name: getattr(profile, name) for name in _AS_IS}
        | {"tags": sorted(profile.tags), "derived_tags": sorted(profile.derived_tags)}
        for profile in profiles
    ]
    if not rows:
        return
    if _is_postgresql(session):
        session.execute(_update_contacts_at_once(), {"rows": rows})
    else:
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


def _is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


@cache
def _insert_events_one_by_one() -> Executable:
    return (
        sqlite.insert(EventRow)
        .on_conflict_do_nothing(index_elements=["event_id"])
        .returning(col(EventRow.event_id), col(EventRow.seq))
    )


@cache
def _insert_events_at_once() -> Executable:
    given = _rows_of(EventRow, _EVENT, ("position", Integer))
    chosen = select(*(given.c[name] for name in _EVENT)).order_by(given.c.position)
    return (
        postgresql.insert(_table(EventRow))
        .from_select(list(_EVENT), chosen)
        .on_conflict_do_nothing(index_elements=["event_id"])
        .returning(col(EventRow.event_id), col(EventRow.seq))
    )


@cache
def _update_contacts_at_once() -> Executable:
    given, contact = _rows_of(ContactRow, _PROFILE), _table(ContactRow)
    changed: dict[str, ColumnElement[Any]] = {name: given.c[name] for name in _PROFILE if name != "id"}
    return update(contact).where(contact.c.id == given.c.id).values(changed)


def _table(row: type[SQLModel]) -> Table:
    # Not the class itself: statements over a class take parameters to be rows of their own.
    table = inspect(row).local_table
    assert isinstance(table, Table)
    return table


def _rows_of(table: type[SQLModel], names: Sequence[str], *more: tuple[str, Any]) -> TableValuedAlias:
    """The parameter `rows`, a list of objects, as a table with these columns of `table`."""
    columns = _table(table).c
    return (
        func.jsonb_to_recordset(bindparam("rows", type_=postgresql.JSONB))
        .table_valued(
            *(column(name, columns[name].type) for name in names),
            *(column(*pair) for pair in more),
            name="given",
        )
        .render_derived(with_types=True)
    )
