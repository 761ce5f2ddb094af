"""The installation's database for the length of one command, and the name of who gives it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

# Nothing heavy is imported until a command really opens the database: `wayline lint` must stay quick.
if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.store.bundles import BundleShelf
    from engine.store.database import Store

T = TypeVar("T")


def read(look: Callable[[Session, BundleShelf], T]) -> T:
    """What `look` finds; nothing it does is kept."""
    with _opened() as (store, shelf), store.read() as session:
        return look(session, shelf)


@contextmanager
def opened() -> Iterator[tuple[Session, BundleShelf]]:
    """A session that only reads, for as long as the command goes through what it finds."""
    with _opened() as (store, shelf), store.read() as session:
        yield session, shelf


def write(work: Callable[[Session, BundleShelf, datetime], T]) -> T:
    """What `work` returns, done in one transaction; it is told the delivery time."""
    from engine.clock import SystemClock

    with _opened() as (store, shelf), store.begin() as session:
        return work(session, shelf, SystemClock().now())


def who() -> str:
    """The account that gives the command, as records name it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that no account has.
        return f"uid {os.getuid()}"


@contextmanager
def _opened() -> Iterator[tuple[Store, BundleShelf]]:
    from engine.settings import Settings
    from engine.store.bundles import BundleShelf
    from engine.store.database import open_store

    store, shelf = open_store(Settings().database), BundleShelf()
    try:
        yield store, shelf
    finally:
        shelf.close()
        store.close()
