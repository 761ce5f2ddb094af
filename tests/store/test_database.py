"""Transactions: what commits, what rolls back, who waits for whom."""

from __future__ import annotations

import asyncio
import contextvars
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlmodel import col

from engine.errors import CommandError
from engine.store.connecting import REST_SECONDS, connect, for_writing, parse_url
from engine.store.database import Store, lock_contacts
from engine.store.tables import ContactRow, DeadLetterRow

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _contact(name: str, **fields: Any) -> ContactRow:
    return ContactRow(id=name, created_at=NOW, **fields)


def test_what_is_written_in_a_transaction_is_there_afterwards(store: Store) -> None:
    with store.begin() as session:
        session.add(_contact("a", attributes={"城市": "上海", "rate": 0.5}, tags=["vip"]))
    with store.read() as session:
        row = session.get_one(ContactRow, "a")
        assert (row.attributes, row.tags, row.created_at) == ({"城市": "上海", "rate": 0.5}, ["vip"], NOW)


def test_an_exception_leaves_nothing_behind(store: Store) -> None:
    with pytest.raises(LookupError), store.begin() as session:
        session.add(_contact("a"))
        session.flush()
        raise LookupError
    with store.begin() as session:
        assert session.scalar(select(func.count()).select_from(ContactRow)) == 0


def test_rows_stay_readable_after_their_transaction(store: Store) -> None:
    with store.begin() as session:
        row = _contact("a", locale="zh")
        session.add(row)
    assert row.locale == "zh"
    with store.read() as session:
        again = session.get_one(ContactRow, "a")
    assert again.locale == "zh"


def test_a_moment_comes_back_in_utc_and_sorts(store: Store) -> None:
    shanghai = timezone(timedelta(hours=8))
    with store.begin() as session:
        session.add(ContactRow(id="later", created_at=datetime(2026, 3, 1, 20, 0, 0, 1, tzinfo=shanghai)))
        session.add(_contact("earlier"))
    with store.read() as session:
        rows = session.scalars(select(ContactRow).order_by(col(ContactRow.created_at))).all()
    assert [row.id for row in rows] == ["earlier", "later"]
    assert rows[1].created_at == NOW + timedelta(microseconds=1)
    assert rows[1].created_at.tzinfo is UTC


def test_text_that_postgresql_cannot_hold_is_kept_with_a_replacement(store: Store) -> None:
    with store.begin() as session:
        session.add(
            DeadLetterRow(
                received_at=NOW,
                source="t",
                code="EV000",
                message="m",
                raw={"a\x00": ["b\x00", 1, {"c": "\\u0000"}]},
            )
        )
    with store.read() as session:
        assert session.scalars(select(DeadLetterRow)).one().raw == {
            "a\ufffd": ["b\ufffd", 1, {"c": "\\u0000"}]
        }


def test_two_writers_never_lose_an_update(store: Store) -> None:
    with store.begin() as session:
        session.add(_contact("a"))

    def count_up() -> None:
        for _ in range(25):
            with store.begin() as session:
                lock_contacts(session, ["a"])["a"].order_count += 1

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as session:
        assert session.get_one(ContactRow, "a").order_count == 100


def test_two_processes_take_turns_at_one_sqlite_file(sqlite_url: str) -> None:
    one, two = Store(sqlite_url), Store(sqlite_url)
    with one.begin() as session:
        session.add(_contact("a"))

    def count_up(store: Store) -> None:
        for _ in range(10):
            with store.begin() as session:
                session.get_one(ContactRow, "a").order_count += 1

    threads = [threading.Thread(target=count_up, args=[store]) for store in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with one.read() as session:
        assert session.get_one(ContactRow, "a").order_count == 20
    one.close()
    two.close()


def test_a_locked_contact_is_read_anew(store: Store) -> None:
    with store.begin() as session:
        session.add(_contact("a"))
    with store.begin() as session:
        stale = session.get_one(ContactRow, "a")
        session.connection().execute(text("UPDATE contact SET order_count = 7"))
        assert lock_contacts(session, ["a", "nobody"]) == {"a": stale}
        assert stale.order_count == 7


def test_locking_nobody_is_fine(store: Store) -> None:
    with store.begin() as session:
        assert lock_contacts(session, []) == {}


async def test_work_runs_in_a_thread_with_its_context(store: Store) -> None:
    speaker: contextvars.ContextVar[str] = contextvars.ContextVar("speaker")
    speaker.set("operator")

    def work(greeting: str) -> tuple[str, bool]:
        return f"{greeting} {speaker.get()}", threading.current_thread() is threading.main_thread()

    assert await store.run(work, "hello") == ("hello operator", False)


async def test_an_error_in_a_thread_reaches_the_caller(store: Store) -> None:
    def work() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await asyncio.gather(store.run(work))


def test_sqlite_is_set_up_for_many_readers_and_one_writer(sqlite_store: Store) -> None:
    with sqlite_store.read() as session:
        connection = session.connection()
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


def test_who_wants_the_write_lock_of_sqlite_meets_the_gap_between_two_transactions(sqlite_url: str) -> None:
    """SQLite's own waits grow to a tenth of a second, and a busy process leaves gaps of a millisecond."""
    pauses: list[float] = []
    with closing(sqlite3.connect(parse_url(sqlite_url).database or "", isolation_level=None)) as other:

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if sum(pauses) >= 1:
                other.execute("COMMIT")

        engine = connect(parse_url(sqlite_url), pool_size=1, seconds=lambda: sum(pauses), pause=pause)
        other.execute("BEGIN IMMEDIATE")
        with for_writing(engine).begin() as connection:
            connection.execute(text("DELETE FROM contact"))
            # Statements that SQLite lets wait by itself are waited for as long as ever.
            assert connection.scalar(text("PRAGMA busy_timeout")) == 30_000
        engine.dispose()
    assert pauses[0] < 0.001
    assert max(pauses) <= 0.005


def test_a_write_lock_that_nobody_gives_back_is_an_error_after_half_a_minute(sqlite_url: str) -> None:
    pauses: list[float] = []
    with closing(sqlite3.connect(parse_url(sqlite_url).database or "", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        engine = connect(parse_url(sqlite_url), pool_size=1, seconds=lambda: sum(pauses), pause=pauses.append)
        with pytest.raises(OperationalError, match="locked"), for_writing(engine).begin():
            pass
        assert sum(pauses) == pytest.approx(30, abs=0.01)
        other.execute("COMMIT")
        with for_writing(engine).begin() as connection:
            assert connection.scalar(text("PRAGMA busy_timeout")) == 30_000
        engine.dispose()


def test_postgresql_waits_for_a_lock_as_long_as_sqlite(postgres_store: Store) -> None:
    for _ in range(2):
        with postgres_store.begin() as session:
            assert session.scalar(text("SHOW lock_timeout")) == "30s"
            assert session.scalar(text("SHOW transaction_isolation")) == "read committed"


def test_connections_that_died_while_they_rested_cost_nobody_a_transaction(postgres_store: Store) -> None:
    now = 0.0
    engine = connect(make_url(postgres_store.url), pool_size=4, seconds=lambda: now)
    open_at_once = [engine.connect() for _ in range(3)]
    pids = [each.scalar(text("SELECT pg_backend_pid()")) for each in open_at_once]
    for each in open_at_once:
        each.close()
    with postgres_store.begin() as session:
        for pid in pids:
            session.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    now = REST_SECONDS
    for _ in range(3):
        with engine.begin() as connection:
            assert connection.scalar(text("SELECT pg_backend_pid()")) not in pids
    engine.dispose()


def test_closing_twice_is_harmless(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    store.close()
    store.close()


def test_the_folder_of_a_new_sqlite_file_is_made(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/deep/down/wayline.db")
    with store.read() as session:
        assert session.scalar(text("SELECT 1")) == 1
    store.close()


@pytest.mark.parametrize(
    "given", ["postgres://u:p@h/db", "postgresql://u:p@h/db", "postgresql+psycopg2://u:p@h/db"]
)
def test_every_spelling_of_postgresql_uses_one_driver(given: str) -> None:
    assert parse_url(given).render_as_string(hide_password=False) == "postgresql+psycopg://u:p@h/db"


@pytest.mark.parametrize("given", ["sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/db", "no url", ""])
def test_an_unusable_url_is_the_commands_fault_and_shows_no_password(given: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse_url(given)
    assert "secret" not in str(caught.value)


def test_who_opens_a_new_file_while_another_makes_its_tables_waits_for_them(tmp_path: Path) -> None:
    """SQLite itself turns such a one away at once, whatever wait it was told."""
    path = tmp_path / "new.db"
    opened: list[str] = []

    def open_it() -> None:
        with closing(Store(f"sqlite:///{path}")) as store, store.read() as session:
            opened.append(str(session.scalar(text("SELECT name FROM sqlite_master"))))

    with closing(sqlite3.connect(path, isolation_level=None)) as maker:
        maker.execute("BEGIN IMMEDIATE")
        maker.execute("CREATE TABLE first (id)")
        thread = threading.Thread(target=open_it)
        thread.start()
        thread.join(timeout=0.2)
        assert thread.is_alive()
        maker.execute("COMMIT")
    thread.join()
    assert opened == ["first"]
