"""What runs need of the Temporal service beside its answering: search attributes, workers on every lane."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from engine.errors import CommandError, DriverUnavailable
from workflows.messages import LANES, QUEUES, SEARCH_ATTRIBUTES, queue_of

CALL_TIMEOUT = timedelta(seconds=5)
OURS = f"ExecutionStatus='Running' AND TaskQueue IN ({', '.join(repr(queue) for queue in QUEUES)})"
"""The visibility query for everything of ours that runs."""
NOT_FOR_US = frozenset({RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED})
"""How a service answers whose operator's side is not open to its users, as Temporal Cloud's."""


async def register_attributes(client: Client) -> bool:
    """Register those of our search attributes that are missing; whether any were.

    CommandError when the service does not let us, or has no room for them.
    """
    try:
        missing = await _missing(client)
        if not missing:
            return False
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace,
                search_attributes=dict.fromkeys(missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
            ),
            timeout=CALL_TIMEOUT,
        )
    except RPCError as error:
        if error.status in NOT_FOR_US or error.status is RPCStatusCode.INVALID_ARGUMENT:
            raise CommandError(f"{way_out(client.namespace)} ({error.message})") from error
        raise
    return True


async def must_know_attributes(client: Client) -> None:
    """DriverUnavailable, with the way out, when the namespace lacks one of our search attributes.

    Silent where the service does not let us ask; starts are refused there until they are registered.
    """
    try:
        missing = await _missing(client)
    except RPCError as error:
        if error.status in NOT_FOR_US:
            return
        raise
    if missing:
        raise DriverUnavailable(way_out(client.namespace))


def lacks_attributes(error: RPCError) -> bool:
    """Whether the service refused a call because it does not know one of our search attributes."""
    return error.status is RPCStatusCode.INVALID_ARGUMENT and any(
        name in error.message for name in SEARCH_ATTRIBUTES
    )


def way_out(namespace: str) -> str:
    """What to do about missing search attributes."""
    return (
        f"Temporal's namespace {namespace!r} lacks search attributes that runs are shown by: "
        f"`wayline doctor --repair` registers them; by hand, as Keyword: {', '.join(SEARCH_ATTRIBUTES)}"
    )


async def unserved_lanes(client: Client) -> list[str]:
    """The lanes on whose task queue no worker has asked for work of late, while one has on another."""
    served = {lane for lane in LANES if await _has_worker(client, queue_of(lane))}
    return [lane for lane in LANES if served and lane not in served]


async def failing(client: Client) -> AsyncIterator[str]:
    """Ids of our workflows whose tasks fail again and again; none from a service that does not tell."""
    try:
        async for found in client.list_workflows(f"{OURS} AND TemporalReportedProblems IS NOT NULL"):
            yield found.id
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT:
            raise


async def _missing(client: Client) -> list[str]:
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), timeout=CALL_TIMEOUT
    )
    return [name for name in SEARCH_ATTRIBUTES if name not in known.custom_attributes]


async def _has_worker(client: Client, queue: str) -> bool:
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ),
        timeout=CALL_TIMEOUT,
    )
    return bool(described.pollers)
