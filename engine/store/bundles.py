"""Bundles out of the store, compiled once in each process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.errors import NotFound
from engine.rules.matcher import Matcher
from engine.store.control import read_control
from engine.store.tables import BundleRow

T = TypeVar("T")

KEPT = 16
"""Bundles a process keeps compiled: the live one and those that people in flight are pinned to."""


class BundleShelf:
    """Compiled bundles and their matchers by hash; safe to share between threads.

    A bundle never changes, so nothing here ever becomes stale. Least recently used ones are dropped.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._bundles: OrderedDict[str, Bundle] = OrderedDict()
        self._matchers: OrderedDict[str, Matcher] = OrderedDict()

    def live(self, session: Session) -> Bundle:
        """The bundle in force as of this transaction; NotFound when none is published."""
        wanted = read_control(session).live_bundle
        if wanted is None:
            raise NotFound("no bundle is published; run `wayline publish`")
        return self.get(session, wanted)

    def get(self, session: Session, wanted: str) -> Bundle:
        """The bundle with this hash; NotFound when it was never published here."""
        with self._lock:
            if wanted in self._bundles:
                return self._kept(self._bundles, wanted, lambda: self._bundles[wanted])
        # Reading may wait for the database, so not under the lock; two threads may both compile it, once.
        bundle = _load(session, wanted)
        with self._lock:
            return self._kept(self._bundles, wanted, lambda: bundle)

    def matcher(self, bundle: Bundle) -> Matcher:
        """The bundle's rules, compiled; owned by the shelf, so do not close it."""
        with self._lock:
            return self._kept(self._matchers, bundle.hash, lambda: Matcher(bundle.rules))

    def put(self, bundle: Bundle) -> None:
        """Keep a bundle that was just compiled, so that it is not compiled again."""
        with self._lock:
            self._kept(self._bundles, bundle.hash, lambda: bundle)

    def close(self) -> None:
        """Let go of every matcher."""
        with self._lock:
            for matcher in self._matchers.values():
                matcher.close()
            self._matchers.clear()
            self._bundles.clear()

    @staticmethod
    def _kept(shelf: OrderedDict[str, T], key: str, make: Callable[[], T]) -> T:
        if key not in shelf:
            shelf[key] = make()
            if len(shelf) > KEPT:
                # Dropped, not closed: another thread may be asking it at this moment.
                shelf.popitem(last=False)
        shelf.move_to_end(key)
        return shelf[key]


def _load(session: Session, wanted: str) -> Bundle:
    query = select(BundleRow.files).where(col(BundleRow.hash) == wanted).limit(1)  # type: ignore[call-overload]
    files = session.scalars(query).one_or_none()
    if files is None:
        raise NotFound(f"bundle {wanted[:12]} was never published in this workspace")
    return bundle_of(files)
