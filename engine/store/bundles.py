"""Bundles out of the store, compiled once in each process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.loading import published_bundle
from engine.errors import NotFound
from engine.gate.windows import ChannelWindows
from engine.plugin.knowing import NOBODY, Knowing
from engine.rules.matcher import Matcher
from engine.store.control import read_control
from engine.store.tables import BundleRow, ControlRow, OverlayRow

KEPT = 16
"""Bundles a process keeps compiled: the live one and those that people in flight are pinned to."""


class BundleShelf:
    """Compiled bundles and their matchers by hash; safe to share between threads.

    A bundle never changes, so nothing here ever becomes stale. The least recently used ones are dropped; a
    dropped matcher that someone still holds gives the same answers, slower.
    """

    def __init__(
        self, windows: Mapping[str, ChannelWindows] = MappingProxyType({}), knowing: Knowing = NOBODY
    ) -> None:
        """`windows` are those of this installation's plugins, by name (`Registry.windows`); `knowing` asks
        them for facts (`Registry.knowing`)."""
        self._windows = windows
        self._knowing = knowing
        self._lock = threading.RLock()
        self._bundles: OrderedDict[str, Bundle] = OrderedDict()
        self._matchers: OrderedDict[str, Matcher] = OrderedDict()

    def live(self, session: Session) -> Bundle:
        """The bundle in force as of this transaction; NotFound when none is published."""
        return self.in_force(session, read_control(session))

    def in_force(self, session: Session, control: ControlRow) -> Bundle:
        """The bundle that this reading of the control row names; NotFound when it names none."""
        if control.live_bundle is None:
            raise NotFound("no bundle is published; run `wayline publish`")
        return self.get(session, control.live_bundle)

    def compiled(self, wanted: str) -> Bundle | None:
        """The bundle with this hash if it is compiled already: without a question to the store."""
        with self._lock:
            if wanted in self._bundles:
                self._bundles.move_to_end(wanted)
            return self._bundles.get(wanted)

    def get(self, session: Session, wanted: str) -> Bundle:
        """The bundle with this hash; NotFound when it was never published here.

        RulesetError when this version of Wayline can no longer read it; `wayline doctor` looks for such ones.
        """
        found = self.compiled(wanted)
        if found is not None:
            return found
        # Reading may wait for the database, so not under the lock; at worst two threads both compile it.
        bundle = replace(_load(session, wanted), knowing=self._knowing).with_windows(self._windows)
        with self._lock:
            self._bundles[wanted] = bundle
            if len(self._bundles) > KEPT:
                self._bundles.popitem(last=False)
        return bundle

    def matcher(self, bundle: Bundle) -> Matcher:
        """The bundle's rules, compiled; owned by the shelf, so do not close it."""
        with self._lock:
            found = self._matchers.get(bundle.hash)
            if found is None:
                found = self._matchers[bundle.hash] = Matcher(bundle.rules)
                if len(self._matchers) > KEPT:
                    self._matchers.popitem(last=False)[1].close()
            self._matchers.move_to_end(bundle.hash)
            return found

    def close(self) -> None:
        """Let go of every matcher; the shelf can be used again and compiles anew."""
        with self._lock:
            for matcher in self._matchers.values():
                matcher.close()
            self._matchers.clear()
            self._bundles.clear()


def _load(session: Session, wanted: str) -> Bundle:
    query = select(col(BundleRow.files)).where(col(BundleRow.hash) == wanted).limit(1)
    files = session.scalars(query).one_or_none()
    if files is None and (overlay := session.get(OverlayRow, wanted)) is not None:
        base = select(col(BundleRow.files)).where(col(BundleRow.hash) == overlay.base).limit(1)
        return published_bundle(session.scalars(base).one(), overlay.plans)
    if files is None:
        raise NotFound(f"bundle {wanted[:12]} was never published in this workspace")
    return published_bundle(files)
