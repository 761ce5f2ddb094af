"""Inserting many rows at once, leaving alone those that are there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlmodel import SQLModel


def insert_new(session: Session, table: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows; one that meets a row with its key (or another unique value) is left out silently.

    On PostgreSQL it waits for a transaction that is inserting the same key; afterwards that one's row is
    there and committed, or it rolled back and this one's counts. Give rows in an agreed order (by key), or
    two transactions can wait for each other.
    """
    if rows:
        session.execute(_ignoring_conflicts(session, table), rows)


def _ignoring_conflicts(session: Session, table: type[SQLModel]) -> Insert:
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
