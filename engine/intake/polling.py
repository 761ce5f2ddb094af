"""Asks platforms that do not call what became of messages; one process at a time asks each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from prometheus_client import Counter
from sqlalchemy import select, update
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.clock import Clock
from engine.delivery.outlets import Outlets
from engine.intake.callbacks import Callbacks
from engine.plugin.callbacks import Asks, Polled
from engine.plugin.calling import ChannelFailed, call_poll
from engine.plugin.registry import Registry
from engine.store.bulk import insert_new
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import PollRow

if TYPE_CHECKING:
    from engine.runs.service import Runs

PATIENCE = timedelta(seconds=60)
"""How long one platform may take; nobody else asks it meanwhile."""
FIRST_LOOK = timedelta(days=1)
"""How far back a platform is asked that was never asked before."""
LOOKING = timedelta(seconds=5)
"""How long a process goes by what it read of whom to ask."""

POLLS = Counter("wayline_polls", "Questions to platforms, by what they came to.", ["channel", "result"])

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Due:
    channel: str
    every: timedelta
    since: datetime


class Polling:
    """Asks each platform as often as its channel wishes; a job of the dispatcher."""

    def __init__(
        self,
        store: Store,
        shelf: BundleShelf,
        registry: Registry,
        outlets: Outlets,
        callbacks: Callbacks,
        runs: Runs,
        clock: Clock,
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._every = {
            name: channel.capabilities.poll_every
            for name, channel in registry.channels.items()
            if channel.capabilities.poll_every is not None
        }
        self._outlets = outlets
        self._callbacks = callbacks
        self._runs = runs
        self._clock = clock
        self._quiet_until: datetime | None = None

    async def ask_due(self) -> int:
        """Ask whoever it is time to ask; how many answered."""
        now = self._clock.now()
        if not self._every or (self._quiet_until is not None and now < self._quiet_until):
            return 0
        bundle, due = await self._store.run(self._claim, now)
        if not due:
            self._quiet_until = now + min(LOOKING, *self._every.values())
            return 0
        return sum([await self._ask(bundle, each) for each in due])

    async def _ask(self, bundle: Bundle, due: _Due) -> bool:
        channel: object = self._outlets.open(bundle, due.channel)
        if not isinstance(channel, Asks):
            return False
        try:
            polled = await call_poll(channel, due.channel, due.since, PATIENCE)
        except ChannelFailed as error:
            POLLS.labels(due.channel, "failed").inc()
            _log.warning("a platform could not be asked", channel=due.channel, because=str(error))
            return False
        run_ids = await self._store.run(self._keep, bundle, due, polled)
        POLLS.labels(due.channel, "answered").inc()
        await self._runs.carry_found(run_ids)
        return True

    def _asked(self, bundle: Bundle) -> Iterator[tuple[str, timedelta]]:
        for channel in bundle.channels.values():
            every = self._every.get(channel.plugin)
            if every is not None:
                yield channel.id, every

    def _claim(self, now: datetime) -> tuple[Bundle, list[_Due]]:
        """Whom it is time to ask, and nobody else asks them before this process had its answer."""
        with self._store.read() as session:
            bundle = self._shelf.live(session)
            asked = dict(self._asked(bundle))
            rows = session.execute(select(col(PollRow.channel), col(PollRow.next_at))).all()
        resting = {channel for channel, next_at in rows if next_at > now}
        wanted = {channel: every for channel, every in asked.items() if channel not in resting}
        if not wanted:
            return bundle, []
        due = []
        with self._store.begin() as session:
            first = now - FIRST_LOOK
            new = [{"channel": channel, "since": first, "next_at": now} for channel in sorted(wanted)]
            insert_new(session, PollRow, new)
            for channel, every in sorted(wanted.items()):
                since = session.execute(
                    update(PollRow)
                    .where(col(PollRow.channel) == channel, col(PollRow.next_at) <= now)
                    .values(next_at=now + max(every, PATIENCE))
                    .returning(col(PollRow.since))
                    .execution_options(synchronize_session=False)
                ).scalar()
                if since is not None:
                    due.append(_Due(channel, every, since))
        return bundle, due

    def _keep(self, bundle: Bundle, due: _Due, polled: Polled) -> tuple[str, ...]:
        run_ids = self._callbacks.let_happen(bundle, due.channel, polled.told)
        # Afterwards: after a crash in between it is asked again, and each thing happens once.
        with self._store.begin() as session:
            session.execute(
                update(PollRow)
                .where(col(PollRow.channel) == due.channel)
                .values(since=max(due.since, polled.until), next_at=self._clock.now() + due.every)
                .execution_options(synchronize_session=False)
            )
        return run_ids
