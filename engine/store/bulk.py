"""Statements about many rows at once that both databases are quick with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Insert, String, any_, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col


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


def is_one_of(session: Session, column: Any, values: Collection[str]) -> ColumnElement[bool]:
    """That a text column holds one of `values`.

    On PostgreSQL they travel as one array: a list of parameters is a new statement for every length,
    which the database would parse and plan each time.
    """
    if session.get_bind().dialect.name == "postgresql":
        array = bindparam(None, list(values), type_=ARRAY(String))
        return col(column) == any_(array)
    return col(column).in_(values)
