"""The worker: carries out workflow tasks with their activities, and comes back by itself after an outage.

Each lane has slots of its own in every process, so that ten thousand runs of a campaign which wake at ten
o'clock take no place from somebody who signs up at one past ten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import PollerBehaviorSimpleMaximum, UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from engine.errors import DriverUnavailable
from engine.journeys.lanes import Lane
from engine.services import Services
from engine.settings import LaneSettings, WorkerSettings
from workflows.activities import BreakerActivities, JourneyActivities
from workflows.breaker import Breaker
from workflows.connection import address_of, connect
from workflows.journey import Journey
from workflows.messages import queue_of
from workflows.service import must_know_attributes

_log = structlog.get_logger(__name__)

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
"""Seconds between two attempts to reach a service that is away."""
STICKY = timedelta(seconds=2)
"""After a kill, journeys cached on the dead worker wait this long for it."""
GRACE = timedelta(seconds=20)
"""For what has begun when the worker is told to stop."""


def build_worker(
    client: Client,
    activities: Sequence[Callable[..., Any]],
    *,
    lane: Lane = Lane.NORMAL,
    slots: LaneSettings | None = None,
    graceful_shutdown: timedelta = GRACE,
    workflow_runner: WorkflowRunner | None = None,
) -> Worker:
    """One lane's worker of the measured shape: local activities only, slots as set, a bounded cache.

    The slots do not follow the load of this machine, as the SDK offers: what they spare is the database,
    which is elsewhere.

    Workflows run outside of Temporal's sandbox, which executes their module anew for every one of them; tests
    give the sandbox as `workflow_runner`, so that it looks over what workflows do.
    """
    slots = slots or WorkerSettings().of(lane.value)
    return Worker(
        client,
        task_queue=queue_of(lane),
        workflows=[Journey, Breaker],
        activities=activities,
        workflow_runner=workflow_runner or UnsandboxedWorkflowRunner(),
        no_remote_activities=True,
        max_cached_workflows=slots.cached,
        max_concurrent_workflow_tasks=slots.tasks,
        max_concurrent_local_activities=slots.looks,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(slots.pollers),
        sticky_queue_schedule_to_start_timeout=STICKY,
        graceful_shutdown_timeout=graceful_shutdown,
    )


async def run_worker(services: Services, stop: asyncio.Event, lanes: Sequence[Lane] = tuple(Lane)) -> None:
    """Carry runs of these lanes until `stop` is set; what has begun is finished first.

    A service that is away is tried again, less and less often; a worker that gave up is built anew.
    """
    settings = services.settings
    journeys = JourneyActivities(services.runs, services.clock)
    breakers = BreakerActivities(services.store, services.shelf, services.clock)
    activities: list[Callable[..., Any]] = [journeys.advance, breakers.observe, breakers.force]
    pause = FIRST_PAUSE
    while not stop.is_set():
        try:
            # Asked for again each time: the embedded server may have come back elsewhere.
            address = address_of(settings)
            client = await connect(address, settings.temporal_namespace, retry=None)
            await must_know_attributes(client)
        except (DriverUnavailable, RPCError) as error:
            _log.warning("temporal is away", said=str(error), again_in=round(pause, 1))
        else:
            _log.info("worker started", address=address, lanes=[lane.value for lane in lanes])
            pause = FIRST_PAUSE
            workers = [
                build_worker(client, activities, lane=lane, slots=settings.worker.of(lane.value))
                for lane in lanes
            ]
            await _run_together(workers, stop)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        pause = min(pause * 2, LONGEST_PAUSE)
    _log.info("worker stopped")


async def _run_together(workers: Sequence[Worker], stop: asyncio.Event) -> None:
    """Run these workers until `stop` is set or one of them gives up."""
    working = [asyncio.create_task(worker.run()) for worker in workers]
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({*working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        await asyncio.gather(
            *(worker.shutdown() for worker, task in zip(workers, working, strict=True) if not task.done())
        )
    for found in await asyncio.gather(*working, return_exceptions=True):
        if isinstance(found, RuntimeError):
            # The SDK reports a poll that failed for a minute this way; the next worker starts afresh.
            _log.warning("worker gave up", error=str(found))
        elif isinstance(found, BaseException):
            raise found
