"""Statements that every message runs, put into the database's words once and handed to its driver so.

SQLAlchemy takes some five times as long to find a compiled statement, bind values and wrap the answer as
SQLite takes to answer. What it knows of types and of both dialects is asked once and kept.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, Insert
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler

from engine.store.many import PLACE, for_many

Process = Callable[[Any], Any]


class Prepared:
    """One statement over tables, whose parameters have names; it is compiled when it is first run.

    Only for statements that touch no mapped object and whose text hangs on nothing but the names of the
    values given: no lists in IN, no defaults that are computed. Errors are SQLAlchemy's. Where somebody
    listens to the engine's statements, they go by SQLAlchemy's own way and are heard.
    """

    def __init__(self, statement: Executable) -> None:
        # Nobody asks for the keys the database makes.
        self._statement = statement.inline() if isinstance(statement, Insert) else statement
        self._forms: dict[tuple[str, tuple[str, ...]], _Form] = {}
        self._for_many: dict[tuple[str, ...], Prepared] = {}
        self._make: Callable[[Sequence[Any]], Any] | None = None

    def rows(self, session: Session, values: Mapping[str, Any]) -> Sequence[Any]:
        """The answer's rows, as tuples with the columns' names."""
        connection = session.connection()
        if _is_watched(connection):
            return session.execute(self._statement, values).all()
        return self._answers(connection, [values])[0]

    def row(self, session: Session, values: Mapping[str, Any]) -> Any | None:
        """The answer's only row; None for none."""
        found = self.rows(session, values)
        assert len(found) < 2, "one row was asked for"
        return found[0] if found else None

    def run(self, session: Session, values: Mapping[str, Any]) -> int:
        """How many rows it touched."""
        connection = session.connection()
        if _is_watched(connection):
            return int(getattr(session.execute(self._statement, values), "rowcount", 0))
        form = self._form(connection, values)
        cursor = _execute(connection, form.text, form.bound(values))
        touched = cursor.rowcount
        cursor.close()
        return touched

    def run_each(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run it once for every row of values, in this order; all give the same names.

        How many rows it touched.
        """
        connection = session.connection()
        if _is_watched(connection):
            return int(getattr(session.execute(self._statement, list(rows)), "rowcount", 0))
        form = self._form(connection, rows[0])
        cursor = _execute(connection, form.text, [form.bound(row) for row in rows], many=True)
        touched = cursor.rowcount
        cursor.close()
        return touched

    def rows_of_each(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """As `run_each`; what the statement answers, for all rows of values together."""
        connection = session.connection()
        if _is_watched(connection):
            return list(session.execute(self._statement, list(rows)).all())
        return [answered for each in self._answers(connection, rows) for answered in each]

    def rows_for(self, session: Session, asked: Sequence[Mapping[str, Any]]) -> list[Sequence[Any]]:
        """What a SELECT answers to each of many sets of values, which give the same names.

        On PostgreSQL it is one statement: the values travel as a document, and are answered one after the
        other, so that rows are locked in the order in which they are asked for.
        """
        if not asked:
            return []
        connection = session.connection()
        if len(asked) < 2 or connection.dialect.name != "postgresql":
            if _is_watched(connection):
                return [self.rows(session, values) for values in asked]
            return self._answers(connection, asked)
        answers: list[list[Any]] = [[] for _ in asked]
        document = [{**values, PLACE: place} for place, values in enumerate(asked)]
        make = self._make
        if make is None:
            columns = getattr(self._statement, "exported_columns", ())
            make = self._make = _row_type([each.key for each in columns])
        for *row, place in self._of_many(asked[0]).rows(session, {"asked": document}):
            answers[place].append(make(row))
        return list(answers)

    def run_for(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run an UPDATE once for each of many sets of values, no two of which touch the same row.

        How many rows it touched.
        """
        if not rows:
            return 0
        if len(rows) < 2:
            return self.run(session, rows[0])
        if session.connection().dialect.name != "postgresql":
            return self.run_each(session, rows)
        return self._of_many(rows[0]).run(session, {"asked": list(rows)})

    def _answers(self, connection: Connection, many: Sequence[Mapping[str, Any]]) -> list[Sequence[Any]]:
        """What it answers to each of many sets of values, which give the same names."""
        form = self._form(connection, many[0])
        cursor = connection.connection.cursor()
        try:
            return [form.answer(cursor, connection.dialect, values) for values in many]
        except connection.dialect.loaded_dbapi.Error as error:
            raise _told(connection, cursor, form.text, error) from error
        finally:
            cursor.close()

    def _of_many(self, values: Mapping[str, Any]) -> Prepared:
        names = tuple(values)
        found = self._for_many.get(names)
        if found is None:
            found = self._for_many[names] = Prepared(for_many(self._statement, names))
        return found

    def _form(self, connection: Connection, values: Mapping[str, Any]) -> _Form:
        key = (connection.dialect.name, tuple(values))
        form = self._forms.get(key)
        if form is None:
            # Two threads may both make it; they make the same.
            form = self._forms[key] = _formed(self._statement, connection.dialect, values)
        return form


@dataclass
class _Form:
    """A statement as one database takes it, for values of certain names."""

    text: str
    constants: Mapping[str, Any]
    """What the statement itself holds, as the driver takes it."""
    binding: tuple[tuple[str, Process], ...]
    """What the driver does not take as it is."""
    in_order: Callable[[Mapping[str, Any]], tuple[Any, ...]] | None
    """The values in the driver's order; None where it takes names."""
    columns: tuple[ColumnElement[Any], ...]
    make: Callable[[Sequence[Any]], Any]
    reading: tuple[tuple[int, Process], ...] | None = None
    """Known with the first answer, which tells the driver's own types."""

    def bound(self, values: Mapping[str, Any]) -> Any:
        ready = {**values, **self.constants}
        for name, process in self.binding:
            ready[name] = process(values[name])
        return ready if self.in_order is None else self.in_order(ready)

    def answer(self, cursor: DBAPICursor, dialect: Dialect, values: Mapping[str, Any]) -> Sequence[Any]:
        cursor.execute(self.text, self.bound(values))
        reading, make = self.reading, self.make
        if reading is None:
            reading = self.reading = tuple(_readers(self.columns, cursor, dialect))
        rows = []
        for found in cursor.fetchall():
            row = list(found)
            for place, process in reading:
                # Every type reads what is not there as None.
                if row[place] is not None:
                    row[place] = process(row[place])
            rows.append(make(row))
        return rows


def _formed(statement: Executable, dialect: Dialect, values: Mapping[str, Any]) -> _Form:
    compiled = statement.compile(dialect=dialect, column_keys=list(values))  # type: ignore[attr-defined]
    assert isinstance(compiled, SQLCompiler)
    assert not compiled.post_compile_params, "its text hangs on the values"
    processes = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for bind, name in compiled.bind_names.items()
    }
    held = dict(compiled.construct_params(values))
    for column in (*compiled.insert_prefetch, *compiled.update_prefetch):
        default: Any = column.default if compiled.isinsert else column.onupdate
        assert default.is_scalar, f"{column} has a default that is computed"
        held[column.key] = default.arg
    constants = {}
    for name in processes.keys() - values.keys():
        process = processes[name]
        constants[name] = held[name] if process is None else process(held[name])
    columns = tuple(getattr(statement, "exported_columns", ()))
    return _Form(
        text=str(compiled),
        constants=constants,
        binding=tuple((name, process) for name in values if (process := processes.get(name)) is not None),
        in_order=_picker(compiled.positiontup or ()) if compiled.positional else None,
        columns=columns,
        make=_row_type([column.key for column in columns]),
    )


def _picker(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)


def _row_type(names: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
    make: Callable[[Sequence[Any]], Any] = getattr(namedtuple("Found", names), "_make")  # noqa: B009 - untyped
    return make


def _readers(
    columns: Sequence[ColumnElement[Any]], cursor: DBAPICursor, dialect: Dialect
) -> Iterator[tuple[int, Process]]:
    for place, (column, told) in enumerate(zip(columns, cursor.description, strict=True)):
        process = column.type.dialect_impl(dialect).result_processor(dialect, told[1])
        if process is not None:
            yield place, process


def _is_watched(connection: Connection) -> bool:
    dispatch = connection.engine.dispatch
    return bool(dispatch.before_cursor_execute) or bool(dispatch.after_cursor_execute)


def _execute(connection: Connection, text: str, values: Any, *, many: bool = False) -> DBAPICursor:
    cursor = connection.connection.cursor()
    try:
        if many:
            cursor.executemany(text, values)
        else:
            cursor.execute(text, values)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _told(connection, cursor, text, error) from error
    return cursor


def _told(connection: Connection, cursor: DBAPICursor, text: str, error: Exception) -> BaseException:
    """The error as SQLAlchemy tells of it, without the values; a connection that is lost is given up."""
    dialect = connection.dialect
    is_lost = dialect.is_disconnect(error, connection.connection, cursor)  # type: ignore[arg-type]
    told = DBAPIError.instance(
        text,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=is_lost,
        dialect=dialect,
    )
    if is_lost:
        connection.invalidate(error)
    return told
