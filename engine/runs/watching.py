"""How many tasks wait for people and how long the oldest has, for `/metrics`."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select

from engine.clock import Clock
from engine.journeys.run import TaskState
from engine.runs import measuring
from engine.store.bulk import table_of
from engine.store.control import clocks_of, read_control
from engine.store.database import Store
from engine.store.tables import TaskRow

EVERY = timedelta(seconds=15)
"""Delivery time between two looks: counting reads every open task."""

_TASK = table_of(TaskRow)
_OPEN = (
    select(_TASK.c.queue, func.count(), func.min(_TASK.c.created_at))
    .where(_TASK.c.state == TaskState.OPEN.value)
    .group_by(_TASK.c.queue)
)


class TaskWatch:
    """Looks at the open tasks now and then; a job of the dispatcher."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._looked_at: datetime | None = None
        self._queues: set[str] = set()

    async def measure(self) -> int:
        """Bring the gauges up to date, if it is time; 0, as nothing is done by it."""
        now = self._clock.now()
        if self._looked_at is None or now - self._looked_at >= EVERY:
            self._looked_at = now
            await self._store.run(self._look)
        return 0

    def _look(self) -> None:
        with self._store.read() as session:
            found = {queue: (count, oldest) for queue, count, oldest in session.execute(_OPEN)}
            at = clocks_of(read_control(session), self._clock).journey_now() if found else None
        self._queues |= found.keys()
        for queue in self._queues:
            count, oldest = found.get(queue, (0, None))
            age = (at - oldest).total_seconds() if at is not None and oldest is not None else 0.0
            measuring.OPEN_TASKS.labels(queue).set(count)
            measuring.OLDEST_TASK.labels(queue).set(max(0.0, age))
