"""Statements about many rows at once that both databases are quick with.

On PostgreSQL rows travel as one JSON document that the server takes apart: a thousand parameters are a long
statement to read on both sides, and a hundred statements are a hundred answers to wait for. SQLite, which is
in this process, is quickest with one prepared statement for all rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Executable,
    Integer,
    String,
    Table,
    TableValuedAlias,
    any_,
    bindparam,
    column,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col

from engine.store.prepared import Prepared

_PLACE = "#"
"""Beside the columns of a row that travels: its place among the others, as rows are written in order.

No column has such a name.
"""

_ID = "of_id"
"""The parameter that says which row is meant; `id` would be a value to set."""


def insert_rows(session: Session, table: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows in the order given; all name the same columns."""
    if not rows:
        return
    if is_postgresql(session):
        _insert_at_once(table, tuple(rows[0])).run(session, {"rows": _numbered(rows)})
    else:
        _insert_one_by_one(table).run_each(session, rows)


def insert_new(
    session: Session,
    table: type[SQLModel],
    rows: Sequence[Mapping[str, Any]],
    *,
    returning: tuple[str, ...] = (),
) -> Sequence[Any]:
    """Insert the rows; one that meets a row with its key (or another unique value) is left out silently.

    The columns `returning` of those that were inserted. On PostgreSQL it waits for a transaction that is
    inserting the same key; afterwards that one's row is there and committed, or it rolled back and this one's
    counts. Give rows in an agreed order (by key), or two transactions can wait for each other.
    """
    if not rows:
        return ()
    if is_postgresql(session):
        prepared = _insert_new_at_once(table, tuple(rows[0]), returning)
        rows = [{"rows": _numbered(rows)}]
    else:
        prepared = _insert_new_one_by_one(table, returning)
    if returning:
        return prepared.rows_of_each(session, rows)
    prepared.run_each(session, rows)
    return ()


def update_rows(session: Session, table: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> None:
    """Bring the rows with these `id`s to the other values given; all name the same columns."""
    if not rows:
        return
    if is_postgresql(session):
        session.execute(_update_at_once(table, tuple(rows[0])), {"rows": list(rows)})
    else:
        ready = [{(_ID if name == "id" else name): value for name, value in row.items()} for row in rows]
        _update_one_by_one(table).run_each(session, ready)


def is_one_of(session: Session, column: Any, values: Collection[str]) -> ColumnElement[bool]:
    """That a text column holds one of `values`.

    They travel as one parameter: a list of parameters is a new statement for every length, which the database
    would parse and plan each time, and SQLite takes no more than some ten thousand.
    """
    if is_postgresql(session):
        array = bindparam(None, list(values), type_=ARRAY(String))
        return col(column) == any_(array)
    document = bindparam(None, list(values), type_=JSON)
    return col(column).in_(select(func.json_each(document).table_valued("value").c.value))


def plan_for_now(session: Session) -> None:
    """Have every statement of this transaction planned for the tables as large as they are now.

    PostgreSQL keeps the plans of repeated statements. One that was made while a table was nearly empty reads
    the whole table, also when it has grown to thousands of pages since, until statistics are taken again.
    """
    if is_postgresql(session):
        session.execute(_PLAN_FOR_NOW)


def is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def table_of(row: type[SQLModel]) -> Table:
    """The table behind a class of rows, for statements that shall not know the class and its objects."""
    table = inspect(row).local_table
    assert isinstance(table, Table)
    return table


def _numbered(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, _PLACE: place} for place, row in enumerate(rows)]


_PLAN_FOR_NOW = text("SET LOCAL plan_cache_mode = force_custom_plan")

# Statements are built once: putting one together costs as much as running it.


@cache
def _insert_one_by_one(table: type[SQLModel]) -> Prepared:
    return Prepared(insert(table_of(table)))


@cache
def _insert_new_one_by_one(table: type[SQLModel], returning: tuple[str, ...]) -> Prepared:
    target = table_of(table)
    statement = sqlite.insert(target).on_conflict_do_nothing()
    return Prepared(statement.returning(*(target.c[name] for name in returning)) if returning else statement)


@cache
def _update_one_by_one(table: type[SQLModel]) -> Prepared:
    target = table_of(table)
    return Prepared(update(target).where(target.c.id == bindparam(_ID)))


@cache
def _insert_at_once(table: type[SQLModel], names: tuple[str, ...]) -> Prepared:
    return Prepared(_insert_from_document(table, names))


@cache
def _insert_new_at_once(
    table: type[SQLModel], names: tuple[str, ...], returning: tuple[str, ...]
) -> Prepared:
    statement = _insert_from_document(table, names).on_conflict_do_nothing()
    return Prepared(
        statement.returning(*(table_of(table).c[name] for name in returning)) if returning else statement
    )


@cache
def _update_at_once(table: type[SQLModel], names: tuple[str, ...]) -> Executable:
    target, given = table_of(table), _document(table, names)
    values = {name: given.c[name] for name in names if name != "id"}
    return update(target).where(target.c.id == given.c.id).values(values)


def _insert_from_document(table: type[SQLModel], names: tuple[str, ...]) -> postgresql.Insert:
    given = _document(table, names)
    chosen = select(*(given.c[name] for name in names)).order_by(given.c[_PLACE])
    return postgresql.insert(table_of(table)).from_select(list(names), chosen)


def _document(table: type[SQLModel], names: tuple[str, ...]) -> TableValuedAlias:
    """The parameter `rows`, a list of objects, as a table with these columns of `table`."""
    columns = table_of(table).c
    return (
        func.jsonb_to_recordset(bindparam("rows", type_=postgresql.JSONB))
        .table_valued(
            *(column(name, columns[name].type) for name in names), column(_PLACE, Integer), name="given"
        )
        .render_derived(with_types=True)
    )
