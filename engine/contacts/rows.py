"""Between contacts' rows and their profiles as values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from engine.contacts.profile import Profile
from engine.store.bulk import is_one_of, table_of, update_rows
from engine.store.tables import ContactRow

_FIELDS = tuple(field.name for field in fields(Profile))
_SETS = ("tags", "derived_tags", "audiences")
_DOCUMENTS = ("numbers", "attributes", "counts", "scores", "classes")
_AS_IS = tuple(name for name in _FIELDS if name not in {"created_at", *_SETS})


def profile_of(row: Any) -> Profile:
    """The profile of a `ContactRow`, or of a result with its columns; changing it does not change the row."""
    values: dict[str, Any] = {name: getattr(row, name) for name in _FIELDS}
    values |= {name: dict(values[name]) for name in _DOCUMENTS}
    values |= {name: set(values[name]) for name in _SETS}
    return Profile(**values)


def lock_profiles(session: Session, ids: Iterable[str]) -> dict[str, Profile]:
    """The contacts' profiles as they stand now, their rows held as by `lock_contacts`; unknown ids left out.

    For many contacts at once: mapped objects would cost more than everything else about them.
    """
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    table = table_of(ContactRow)
    query = _all_fields().where(is_one_of(session, table.c.id, wanted)).order_by(table.c.id).with_for_update()
    return {row.id: profile_of(row) for row in session.execute(query).all()}


def write_profiles(session: Session, profiles: Iterable[Profile]) -> None:
    """Bring the rows of these contacts, which the transaction has locked, to their profiles."""
    rows = [
        {name: getattr(profile, name) for name in _AS_IS}
        | {name: sorted(getattr(profile, name)) for name in _SETS}
        for profile in profiles
    ]
    update_rows(session, ContactRow, rows)


def profile_columns() -> tuple[ColumnElement[Any], ...]:
    """The contact's columns that `profile_at` reads, in its order; for statements that join a contact."""
    return tuple(table_of(ContactRow).c[name] for name in _FIELDS)


def profile_at(row: Sequence[Any]) -> Profile:
    """The profile out of a row that begins with `profile_columns`."""
    values = dict(zip(_FIELDS, row, strict=False))
    values |= {name: set(values[name]) for name in _SETS}
    return Profile(**values)


@cache
def _all_fields() -> Select[Any]:
    return select(*profile_columns())
