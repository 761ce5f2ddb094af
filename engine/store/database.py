"""The store: transactions over the workspace's database, and the locks that order them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from sqlalchemy import Engine, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session as AlchemySession
from sqlmodel import Session, col

from engine.errors import CommandError
from engine.store.bulk import is_one_of
from engine.store.connecting import (
    LOCK_WAIT_SECONDS,
    connect,
    for_writing,
    must_be_there,
    parse_url,
    why_unreachable,
)
from engine.store.migrating import current_revision, newest_revision, upgrade
from engine.store.tables import ContactRow
from engine.store.threads import Threads

__all__ = ["Store", "lock_contacts", "open_store", "upgrade"]

P = ParamSpec("P")
R = TypeVar("R")


class Store:
    """One database, opened. Thread-safe; close it when done.

    Transactions are short and never held across a call to the world. `workers` bounds the threads of `run`
    and the connections that can be open at once.
    """

    def __init__(self, url: str, *, workers: int = 8) -> None:
        parsed = parse_url(url)
        self.url = parsed.render_as_string(hide_password=False)
        self.dialect = parsed.get_backend_name()
        # Callers outside the pool of threads (commands, tests, the event loop's own reads) need room as well.
        self.engine: Engine = connect(parsed, pool_size=2 * workers)
        self._writing_engine = for_writing(self.engine)
        self._threads = Threads(workers, name="store")
        # SQLite has one writer at a time and lets others poll; inside one process a lock is fair and quicker.
        self._turn = threading.Lock() if self.dialect == "sqlite" else None
        # Better still is one thread for many short ones: nobody is woken only to find the lock taken.
        self._writers = Threads(1, name="store-writer") if self.dialect == "sqlite" else self._threads

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A transaction that may write: committed at the end, rolled back when an exception passes.

        On SQLite it is the only writer from its first moment (BEGIN IMMEDIATE), so never open one inside
        another; a second one waits up to 30 s and then raises CommandError.
        """
        if self._turn is not None and not self._turn.acquire(timeout=LOCK_WAIT_SECONDS):
            raise CommandError(f"the database was busy for {LOCK_WAIT_SECONDS} s")
        try:
            with Session(self._writing_engine, expire_on_commit=False) as session, session.begin():
                session.connection()  # take the lock before anything is read
                yield session
        finally:
            if self._turn is not None:
                self._turn.release()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading; nothing done in it is kept. On SQLite it sees one snapshot throughout."""
        with Session(self.engine, autoflush=False, expire_on_commit=False) as session:
            yield session

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of synchronous `work`, done in a thread of the store; context variables go along."""
        return await self._threads.run(work, *args, **kwargs)

    async def run_writing(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`run` for work that is one short transaction of `begin` and little else."""
        return await self._writers.run(work, *args, **kwargs)

    def close(self) -> None:
        """Finish what runs in the threads and let go of every connection; closing twice is harmless."""
        self._writers.close()
        self._threads.close()
        self.engine.dispose()


def open_store(url: str, *, workers: int = 8) -> Store:
    """The store at `url`; when its schema is not this version's, a CommandError that says what to do."""
    shown = must_be_there(url)
    store = Store(url, workers=workers)
    try:
        found, wanted = current_revision(store.engine), newest_revision()
    except DatabaseError as error:
        store.close()
        raise CommandError(f"{why_unreachable(error)}: {shown}") from error
    if found != wanted:
        store.close()
        state = "has no tables yet" if found is None else f"is at revision {found}, not {wanted}"
        raise CommandError(f"the database {shown} {state}; run `wayline db upgrade`")
    return store


def lock_contacts(session: AlchemySession, ids: Iterable[str]) -> dict[str, ContactRow]:
    """The contacts' rows as they stand now, held by this transaction until it ends; unknown ids are left out.

    The order is always by id, and contacts always come before runs and intents: two transactions can wait for
    each other, never both. On SQLite the write lock of `Store.begin` is the lock.
    """
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    query = (
        select(ContactRow)
        .where(is_one_of(session, ContactRow.id, wanted))
        .order_by(col(ContactRow.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.id: row for row in session.scalars(query)}
