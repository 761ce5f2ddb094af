"""Runs that intake has just started or woken are carried at once, in the background of the same process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from engine.errors import WaylineError
from engine.intake import measuring

_log = structlog.get_logger(__name__)


class Carrier:
    """Carries runs, so many at once; one that finds no room is picked up when its lease ends."""

    def __init__(
        self, carry: Callable[[str], Awaitable[object]], *, at_once: int = 32, longest_queue: int = 5000
    ) -> None:
        self._carry = carry
        self._places = asyncio.Semaphore(at_once)
        self._longest_queue = longest_queue
        self._tasks: set[asyncio.Task[None]] = set()

    def hand(self, run_ids: Iterable[str]) -> None:
        """Carry these soon; returns at once. Call it from the event loop's thread."""
        for run_id in run_ids:
            if len(self._tasks) >= self._longest_queue:
                measuring.CARRIED.labels("left").inc()
                continue
            task = asyncio.create_task(self._one(run_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def drain(self, seconds: float) -> None:
        """Wait until nothing is being carried, at most that long; the rest is picked up elsewhere."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _one(self, run_id: str) -> None:
        async with self._places:
            try:
                await self._carry(run_id)
            except (WaylineError, SQLAlchemyError) as error:
                # The run's row says where it stands; whoever picks it up goes on from there.
                measuring.CARRIED.labels("failed").inc()
                _log.warning("run could not be carried now", run_id=run_id, error=repr(error))
                return
            measuring.CARRIED.labels("carried").inc()
