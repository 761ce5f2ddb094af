"""The durable side of runs on Temporal, and what commands find under the entry point `wayline.drivers`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256
from typing import Any

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from engine.errors import CommandError, DriverUnavailable
from engine.journeys.driver import Nudge, OpenWorkflow, RunRef, Standing
from engine.settings import Settings
from workflows import service
from workflows.connection import address_of, connect
from workflows.devserver import EmbeddedServer, embedded_server
from workflows.measuring import measure
from workflows.messages import (
    BREAKER_WORKFLOW,
    BUNDLE,
    CONTACT,
    FORCE,
    FORM,
    LANE,
    LOOK,
    NUDGE,
    STEP,
    URGENT,
    WAITING,
    AdvanceResult,
    BreakerInput,
    BreakerState,
    ForceRequest,
    LookSignal,
    NudgeSignal,
    RunEnded,
    RunInput,
    breaker_workflow_id,
    queue_of,
)
from workflows.worker import run_worker

__all__ = ["EmbeddedServer", "TemporalDriver", "driver", "embedded_server", "measure", "run_worker"]

CALL_TIMEOUT = timedelta(seconds=5)
DEFECTS = frozenset({RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.UNIMPLEMENTED})
"""Answers that mean we asked wrongly; everything else unexpected means: later, perhaps."""
BREAKERS = queue_of(URGENT)
"""A breaker must not open behind the messages it should stop."""
LOWEST = 5
"""A service knows the priorities 1, which goes first, to 5 unless it is told otherwise."""
FIRST = Priority(priority_key=1)
LONGEST_KEY = 64
"""Bytes of a fairness key."""
CLOSING = "workflow is closing"
"""In the answer to a signal that comes while an execution which was nudged all the time continues as new."""
WHILE_CLOSING = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between the tries then: this is one run's business, not an absent service."""
_STEP, _WAITING = (SearchAttributeKey.for_keyword(name) for name in (STEP, WAITING))
FULL = "limit for signal events"
"""In the answer to a signal that one execution may not take any more."""


class TemporalDriver:
    """Starts, wakes and ends the workflows of runs; connects when first needed."""

    def __init__(
        self, open_client: Callable[[], Awaitable[Client]], *, continue_after: int | None = None
    ) -> None:
        self._open_client = open_client
        self._continue_after = continue_after
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def start(self, run: RunRef) -> None:
        async with self._calling() as client:
            await self._start(client, run, None)

    async def signal(self, run: RunRef, nudge: Nudge) -> None:
        """Wake the run; starts it first when its workflow is missing."""
        message = NudgeSignal(nudge.reason, nudge.reference)
        async with self._calling() as client:
            try:
                await self._nudge(client, run, message)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    await self._start(client, run, message)
                elif FULL not in error.message:
                    raise
                # Else 10,000 nudges wait for a worker. With its first task the workflow begins a new
                # execution with a look at the row, which says what this nudge has to say.

    async def cancel(self, run: RunRef, reason: str) -> None:
        async with self._calling() as client:
            try:
                handle = client.get_workflow_handle(run.workflow_id)
                await handle.cancel(reason=reason, rpc_timeout=CALL_TIMEOUT)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise

    async def is_running(self, run: RunRef | OpenWorkflow) -> bool:
        async with self._calling() as client:
            try:
                handle = client.get_workflow_handle(run.workflow_id)
                found = await handle.describe(rpc_timeout=CALL_TIMEOUT)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                return False
            return found.status is WorkflowExecutionStatus.RUNNING

    async def watch_breaker(self, breaker: str, scope: str) -> None:
        """Have the breaker's own workflow look at its figures now; starts it when missing."""
        async with self._calling() as client:
            await client.start_workflow(
                BREAKER_WORKFLOW,
                BreakerInput(breaker, scope, self._continue_after),
                id=breaker_workflow_id(breaker, scope),
                task_queue=BREAKERS,
                priority=FIRST,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal=LOOK,
                start_signal_args=[LookSignal("figures")],
                static_summary=f"{breaker} in {scope}",
                rpc_timeout=CALL_TIMEOUT,
            )

    async def force_breaker(
        self, breaker: str, scope: str, *, action: str, by: str, reason: str = "", level: str = "red"
    ) -> str:
        """Trip or reset by hand and wait until it is published; CommandError when the request is refused."""
        request = ForceRequest(action, by, reason, level)
        async with self._calling() as client:
            start: WithStartWorkflowOperation[Any, BreakerState] = WithStartWorkflowOperation(
                BREAKER_WORKFLOW,
                BreakerInput(breaker, scope, self._continue_after),
                id=breaker_workflow_id(breaker, scope),
                task_queue=BREAKERS,
                priority=FIRST,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=f"{breaker} in {scope}",
            )
            try:
                state: BreakerState = await client.execute_update_with_start_workflow(
                    FORCE,
                    request,
                    start_workflow_operation=start,
                    result_type=BreakerState,
                    rpc_timeout=timedelta(seconds=20),
                )
            except WorkflowUpdateFailedError as error:
                raise CommandError(f"the breaker was not changed: {error.cause}") from error
            except WorkflowUpdateRPCTimeoutOrCancelledError as error:
                raise DriverUnavailable("no worker answered for the breaker in time") from error
        return state.state

    async def open_runs(self) -> AsyncIterator[OpenWorkflow]:
        """Every journey workflow that is running; visibility may lag by a second."""
        async with self._calling() as client:
            async for found in client.list_workflows(
                f"{service.OURS} AND WorkflowType!='{BREAKER_WORKFLOW}'"
            ):
                shown = found.typed_search_attributes
                yield OpenWorkflow(
                    found.id,
                    str((await found.memo()).get("run_id", "")),
                    shown.get(_STEP),
                    shown.get(_WAITING),
                )

    async def terminate(self, workflow_id: str, reason: str) -> None:
        """End a workflow that has no run; nothing happens when it has ended already."""
        async with self._calling() as client:
            try:
                await client.get_workflow_handle(workflow_id).terminate(
                    reason=reason, rpc_timeout=CALL_TIMEOUT
                )
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise

    async def check(self) -> None:
        """Return when the service answers for our namespace and knows our search attributes.

        DriverUnavailable when not.
        """
        async with self._calling() as client:
            await client.count_workflows("ExecutionStatus='Running'", rpc_timeout=CALL_TIMEOUT)
            await service.must_know_attributes(client)

    async def set_up(self) -> bool:
        """Register the search attributes that are missing; whether any were.

        CommandError where that has to be done by hand.
        """
        async with self._calling() as client:
            return await service.register_attributes(client)

    async def unserved(self) -> list[str]:
        """The lanes without a worker while others have one."""
        async with self._calling() as client:
            return await service.unserved_lanes(client)

    async def failing(self) -> AsyncIterator[str]:
        """Ids of our workflows whose tasks have failed again and again; by the list, which lags behind."""
        async with self._calling() as client:
            async for workflow_id in service.failing(client):
                yield workflow_id

    async def _nudge(self, client: Client, run: RunRef, message: NudgeSignal) -> None:
        """Signal the workflow; once more in a moment when its present execution is about to be renewed."""
        handle = client.get_workflow_handle(run.workflow_id)
        for pause in WHILE_CLOSING:
            try:
                return await handle.signal(NUDGE, message, rpc_timeout=CALL_TIMEOUT)
            except RPCError as error:
                if CLOSING not in error.message:
                    raise
            await asyncio.sleep(pause)
        return await handle.signal(NUDGE, message, rpc_timeout=CALL_TIMEOUT)

    async def _start(self, client: Client, run: RunRef, nudge: NudgeSignal | None) -> None:
        # A nudge says that the run has moved since, so it is looked at first.
        standing = _standing(run.standing) if run.standing is not None and nudge is None else None
        lane = run.lane if standing is None or standing.lane is None else standing.lane
        shown = {CONTACT: run.contact_id, BUNDLE: run.bundle, LANE: lane}
        if standing is not None:
            shown |= {STEP: standing.step or "", WAITING: standing.waiting}
        await client.start_workflow(
            run.journey,
            RunInput(run.run_id, run.version, self._continue_after, FORM, run.lane, lane, standing),
            id=run.workflow_id,
            task_queue=queue_of(lane),
            priority=_priority(run),
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(SearchAttributeKey.for_keyword(name), shown[name]) for name in shown]
            ),
            result_type=RunEnded,
            # Entry keys are unique, so an ended workflow of this id is this run's own: a repeated or late
            # start runs one advance, finds the row ended, and ends as well.
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=NUDGE if nudge else None,
            start_signal_args=[nudge] if nudge else [],
            memo={"journey": run.journey, "run_id": run.run_id, "version": run.version},
            static_summary=f"{run.journey} for contact {run.contact_id}",
            static_details=f"run `{run.run_id}`, version `{run.version}`",
            rpc_timeout=CALL_TIMEOUT,
        )

    @asynccontextmanager
    async def _calling(self) -> AsyncIterator[Client]:
        """The connected client; what keeps the service from answering becomes DriverUnavailable."""
        async with self._connecting:
            client = self._client = self._client or await self._open_client()
        try:
            yield client
        except RPCError as error:
            if service.lacks_attributes(error):
                raise DriverUnavailable(service.way_out(client.namespace)) from error
            if error.status in DEFECTS:
                raise
            # The service may come back elsewhere; the next call asks for its address again.
            self._client = None
            raise DriverUnavailable(
                f"Temporal did not do what was asked: {error.status.name.lower()}"
            ) from error


def _standing(found: Standing) -> AdvanceResult:
    return AdvanceResult(found.revision, "active", found.waiting, found.due_at, found.step, lane=found.lane)


def _priority(run: RunRef) -> Priority:
    """Before others of its lane by the journey's priority; of one priority, each journey in its turn."""
    steps = min(run.priority // 20, LOWEST - 1)
    journey = run.journey.encode()
    name = run.journey if len(journey) <= LONGEST_KEY else sha256(journey).hexdigest()
    return Priority(priority_key=LOWEST - steps, fairness_key=name)


def driver(settings: Settings) -> TemporalDriver:
    """The driver for this installation; connects when first used, asking for the address again each time."""

    async def open_client() -> Client:
        return await connect(address_of(settings), settings.temporal_namespace)

    return TemporalDriver(open_client)
