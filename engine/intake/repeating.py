"""Transactions that are done again when another one had to go first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from engine.contacts.identity import RacedError
from engine.store.database import Store

T = TypeVar("T")

_DEADLOCK = {"40P01", "40001"}
"""PostgreSQL's states for "another transaction had to go first; do it again"."""
_TRIES = 4


def until_kept(store: Store, work: Callable[[Session], T]) -> T:
    """What `work` returns, done in a transaction of its own that is repeated until it was kept.

    Done again, nothing can have an effect twice: all of it was rolled back.
    """
    deadlocks = 0
    while True:
        try:
            with store.begin() as session:
                return work(session)
        except RacedError:
            # This ends: each time, whoever was quicker has made more of the contacts known.
            continue
        except OperationalError as error:
            deadlocks += 1
            if deadlocks >= _TRIES or getattr(error.orig, "sqlstate", None) not in _DEADLOCK:
                raise
