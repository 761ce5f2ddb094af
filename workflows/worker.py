"""The worker: carries out workflow tasks with their activities, and comes back by itself after an outage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from engine.errors import DriverUnavailable
from engine.services import Services
from workflows.activities import BreakerActivities, JourneyActivities
from workflows.breaker import Breaker
from workflows.connection import address_of, connect
from workflows.journey import Journey
from workflows.messages import TASK_QUEUE

_log = structlog.get_logger(__name__)

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
"""Seconds between two attempts to reach a service that is away."""


def build_worker(
    client: Client,
    activities: Sequence[Callable[..., Any]],
    *,
    max_cached_workflows: int = 2000,
    graceful_shutdown: timedelta = timedelta(seconds=20),
    workflow_runner: WorkflowRunner | None = None,
) -> Worker:
    """A worker of the measured shape: about 0.16 MB for each cached workflow, local activities only.

    Workflows run outside of Temporal's sandbox, which executes their module anew for every one of them; tests
    give the sandbox as `workflow_runner`, so that it looks over what workflows do.
    """
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[Journey, Breaker],
        activities=activities,
        workflow_runner=workflow_runner or UnsandboxedWorkflowRunner(),
        no_remote_activities=True,
        max_cached_workflows=max_cached_workflows,
        max_concurrent_workflow_tasks=50,
        max_concurrent_local_activities=100,
        # After a kill, journeys cached on the dead worker wait this long for it.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        graceful_shutdown_timeout=graceful_shutdown,
    )


async def run_worker(services: Services, stop: asyncio.Event) -> None:
    """Carry runs until `stop` is set; what has begun is finished first.

    A service that is away is tried again, less and less often; a worker that gave up is built anew.
    """
    settings = services.settings
    journeys = JourneyActivities(services.runs)
    breakers = BreakerActivities(services.store, services.shelf, services.clock)
    activities: list[Callable[..., Any]] = [journeys.advance, breakers.observe, breakers.force]
    pause = FIRST_PAUSE
    while not stop.is_set():
        try:
            # Asked for again each time: the embedded server may have come back elsewhere.
            address = address_of(settings)
            client = await connect(address, settings.temporal_namespace, retry=None)
        except DriverUnavailable as error:
            _log.warning("temporal is away", said=str(error), again_in=round(pause, 1))
        else:
            _log.info("worker started", address=address, queue=TASK_QUEUE)
            pause = FIRST_PAUSE
            await _run_one(build_worker(client, activities), stop)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        pause = min(pause * 2, LONGEST_PAUSE)
    _log.info("worker stopped")


async def _run_one(worker: Worker, stop: asyncio.Event) -> None:
    """Run this worker until `stop` is set or it gives up."""
    working = asyncio.create_task(worker.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not working.done():
            await worker.shutdown()
    try:
        await working
    except RuntimeError as error:
        # The SDK reports a poll that failed for a minute this way; the next worker starts afresh.
        _log.warning("worker gave up", error=str(error))
