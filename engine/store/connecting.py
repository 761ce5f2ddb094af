"""Database URLs and engines: what must be set on a connection so that both databases mean the same."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import ArgumentError, DatabaseError, DisconnectionError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from engine.errors import CommandError

LOCK_WAIT_SECONDS = 30
"""How long a transaction waits for another's lock before it fails."""

SOONEST, LATEST = 0.0005, 0.005
"""Seconds until somebody who waits for SQLite's write lock asks again: the latter when it has waited long."""

REST_SECONDS = 1.0
"""A connection that nobody used for this long is asked whether it still lives before it is used again."""


def parse_url(text: str) -> URL:
    """The database URL with the driver Wayline uses.

    Accepted: `sqlite:///file`, `postgresql://…`, `postgres://…`. Anything else, and SQLite without a file
    (whose data no second connection would see), is a CommandError; a password never appears in its message.
    """
    if text.startswith("postgres://"):
        text = "postgresql://" + text.removeprefix("postgres://")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise CommandError(
            "the database URL cannot be read; write sqlite:///path or postgresql://host/name"
        ) from error
    match url.get_backend_name():
        case "postgresql":
            return url.set(drivername="postgresql+psycopg")
        case "sqlite":
            if url.database in {None, "", ":memory:"} or "mode" in url.query:
                raise CommandError("SQLite needs a file: write sqlite:///path/to/wayline.db")
            return url.set(drivername="sqlite+pysqlite")
        case other:
            raise CommandError(f"{other!r} is not a supported database; use sqlite or postgresql")


def must_be_there(text: str) -> str:
    """The URL as it may be shown; CommandError when it names a SQLite file that is not there.

    Opening it would make an empty one, for a command that was only called in the wrong folder.
    """
    url = parse_url(text)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        raise CommandError(
            f"there is no database at {url.database}; run `wayline db upgrade` (`wayline up` does it itself)"
        )
    return url.render_as_string()


def why_unreachable(error: DatabaseError) -> str:
    """What kept a connection from being made, without what the driver says of it."""
    if isinstance(error, OperationalError):
        return "the database cannot be reached"
    return "this is not a database that Wayline can read"


def connect(
    url: URL,
    *,
    pool_size: int,
    seconds: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Engine:
    """An engine with at most `pool_size` connections, each set up for Wayline; the caller disposes of it.

    `seconds` tells how long connections have rested and transactions have waited, and `pause` lets so many
    of them pass.
    """
    options: dict[str, Any] = {
        "json_serializer": _dump_json,
        "json_deserializer": _load_json,
        "poolclass": QueuePool,
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": LOCK_WAIT_SECONDS,
    }
    if url.get_backend_name() == "postgresql":
        # The last one used is used next, so that few are in use and those need not be asked.
        engine = create_engine(url, isolation_level="READ COMMITTED", pool_use_lifo=True, **options)
        event.listen(engine, "connect", _prepare_postgresql)
        _ask_after_rests(engine, seconds)
        return engine
    assert url.database is not None
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"the database's folder {folder} cannot be made: {error.strerror}") from error
    engine = create_engine(
        url, connect_args={"timeout": LOCK_WAIT_SECONDS, "check_same_thread": False}, **options
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", lambda connection: _begin_sqlite(connection, seconds, pause))
    return engine


def for_writing(engine: Engine) -> Engine:
    """The same engine and pool, whose SQLite transactions take the write lock at once.

    A deferred transaction that reads first and writes later fails at once when another wrote in between; no
    amount of waiting helps it. An immediate one waits for its turn.
    """
    return engine.execution_options(takes_write_lock=True)


def _ask_after_rests(engine: Engine, seconds: Callable[[], float]) -> None:
    """A database that was restarted must not cost the next caller a transaction.

    Asking before every transaction, as the pool would by itself, costs a round trip in each. When one was
    lost, all that rested at that time are asked.
    """
    lost_at = -math.inf

    def lose(_connection: object, _record: object, _error: object) -> None:
        nonlocal lost_at
        lost_at = seconds()

    def note(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["rests_since"] = seconds()

    def ask(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        now = seconds()
        rests_since = record.info.get("rests_since", now)
        if now - rests_since < REST_SECONDS and rests_since > lost_at:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            # The pool takes this one out and gives the caller the next, or a new one.
            raise DisconnectionError from error

    event.listen(engine, "invalidate", lose)
    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ask)


def _prepare_postgresql(connection: Any, _record: object) -> None:
    # Without this a transaction waits for ever for a lock whose holder hangs. Outside of any transaction, or
    # the first roll-back would take it back.
    connection.autocommit = True
    connection.execute(f"SET lock_timeout = '{LOCK_WAIT_SECONDS}s'")
    connection.autocommit = False


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by its own rules (never before a SELECT, never before DDL); with
    # None it leaves them to us, see _begin_sqlite.
    connection.isolation_level = None
    cursor = connection.cursor()
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    # Of several that open a new file at once, SQLite turns some away here, without the wait it was told of.
    give_up_at = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= give_up_at:
                raise
        time.sleep(0.01)


def _begin_sqlite(
    connection: Connection, seconds: Callable[[], float], pause: Callable[[float], None]
) -> None:
    if not connection.get_execution_options().get("takes_write_lock", False):
        connection.exec_driver_sql("BEGIN")
        return
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA busy_timeout=0")
    try:
        if not _takes_turn(cursor, seconds, pause):
            # Once more, for the error as SQLAlchemy tells it.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        cursor.execute(f"PRAGMA busy_timeout={LOCK_WAIT_SECONDS * 1000}")
        cursor.close()


def _takes_turn(cursor: DBAPICursor, seconds: Callable[[], float], pause: Callable[[float], None]) -> bool:
    """Whether the transaction has begun; not if another one keeps the write lock for as long as is waited.

    SQLite itself would soon ask ten times a second only. A process that writes one transaction after another
    leaves gaps of a millisecond, which who asks so seldom does not meet: it would stand still meanwhile.
    """
    begun = seconds()
    while True:
        try:
            cursor.execute("BEGIN IMMEDIATE")
            return True
        except sqlite3.Error as error:
            waited = seconds() - begun
            # The lower byte is the kind, whatever made it so.
            is_busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or waited >= LOCK_WAIT_SECONDS:
                return False
        pause(min(max(waited / 20, SOONEST), LATEST))


def _dump_json(value: Any) -> str:
    text = orjson.dumps(value).decode()
    # PostgreSQL cannot hold U+0000 in text. It means nothing in what people write, so both databases keep the
    # replacement character in its place rather than refuse a whole batch.
    if "\\u0000" not in text:
        return text
    return orjson.dumps(_without_nul(value)).decode()


def _load_json(stored: Any) -> Any:
    # SQLite keeps a lone number as a number, whatever the column is called.
    return orjson.loads(stored) if isinstance(stored, str | bytes) else stored


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\x00", "\ufffd")
        case list() | tuple():
            return [_without_nul(item) for item in value]
        case dict():
            return {_without_nul(key): _without_nul(item) for key, item in value.items()}
        case _:
            return value
