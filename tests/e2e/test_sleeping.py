"""A hundred thousand people asleep in a journey: what they cost, and how soon all is back after a restart.

Prints what it measures; `WAYLINE_TEST_SLEEPERS=2000` makes it a small one.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text
from sqlmodel import col
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from engine.intake.outbox import has_open
from engine.journeys.lanes import Lane
from engine.store.database import Store
from engine.store.tables import RunRow
from workflows.connection import connect
from workflows.messages import queue_of

SLEEPERS = int(os.environ.get("WAYLINE_TEST_SLEEPERS", "100000"))
WOKEN = 100
BATCH = 500
NO_MORE_THAN = {"sqlite": 6_000, "postgresql": 8_000}
"""Bytes of our database a sleeping run may take: run, wait, decision, event, and their indexes."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.temporal,
    pytest.mark.xdist_group("kills"),
    pytest.mark.timeout(4 * 3600),
]

WORKSPACE = {
    "wayline.yaml": """
        kind: workspace
        id: sleeping
        title: sleepers
        owner: tests
        timezone: UTC
        locales: [en]
        identities: [email]
    """,
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: tests
        events:
          - {id: signed_up, title: signed up}
          - {id: woken, title: woken}
    """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: tests
        purposes: [{id: service, title: service, version: "1", kind: transactional, max_hold: 3d}]
    """,
    "asleep.yaml": """
        kind: journey
        id: asleep
        title: asleep
        owner: tests
        purpose: service
        enter: {event: signed_up, reentry: never}
        steps:
          - {wait_for: call, event: woken, up_to: 90d}
          - {stop: awake}
    """,
}


@pytest.fixture(params=["sqlite", "postgresql"])
def asleep_in(request: pytest.FixtureRequest, installation: Any) -> Any:
    """An installation over either database, with nothing in it."""
    if request.param == "postgresql":
        installation.environment["WAYLINE_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    return installation


async def test_a_hundred_thousand_sleep_cheaply_and_wake_after_a_restart(
    asleep_in: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    it = asleep_in
    it.publish(WORKSPACE)
    await it.temporal.start()
    it.start("api", "dispatch", "worker")
    await it.until_ready()
    with closing(it.store()) as store, capsys.disabled():
        await _send(it.port, "known", [_message("identify", number) for number in range(SLEEPERS)])
        empty, history = _size(store), _history(it)
        server, worker = _resident(it.temporal.pid), _resident(it.processes["worker"].pid)
        begun = monotonic()
        await _send(it.port, "up", [_message("track", number, "signed_up") for number in range(SLEEPERS)])
        await it.until(
            lambda: _asleep(store) == SLEEPERS, f"Temporal knows of all {SLEEPERS}", 60 + SLEEPERS / 5
        )
        client = await connect(it.temporal.address, "default")
        # A workflow sleeps once its first task was done: until then it lies in a queue, in everybody's way.
        await it.until(lambda: _is_nobody_queued(client), f"all {SLEEPERS} fell asleep", 60 + SLEEPERS / 5)
        took = monotonic() - begun
        each = (_size(store) - empty) / SLEEPERS
        told = (_history(it) - history) / SLEEPERS
        grown = {
            name: f"{before} -> {_resident(pid)} MB"
            for name, (before, pid) in {
                "Temporal server": (server, it.temporal.pid),
                "worker": (worker, it.processes["worker"].pid),
            }.items()
        }
        sys.stdout.write(
            f"\n{SLEEPERS} runs asleep over {store.dialect}, {SLEEPERS / took:.0f} a second: "
            f"{each:,.0f} bytes a run in our database, {told:,.0f} in Temporal's; {grown}; "
            f"{_worked(it.temporal.pid) / SLEEPERS * 1000:.1f} ms of processor time of the server a run\n"
        )
        it.kill("worker")
        await it.kill_temporal()
        begun = monotonic()
        await it.temporal.start()
        it.start("worker")
        woken = [_message("track", number, "woken") for number in range(0, SLEEPERS, SLEEPERS // WOKEN)]
        await _send(it.port, "woken", woken[:1])
        await it.until(lambda: _ended(store) == 1, "the first one wakes")
        first = monotonic() - begun
        await _send(it.port, "all", woken)
        await it.until(lambda: _ended(store) == len(woken), f"{len(woken)} wake")
        sys.stdout.write(f"after kill -9 of server and worker the first wakes in {first:.1f} s\n")
        client = await connect(it.temporal.address, "default")

        async def is_awake() -> bool:
            return await _running(client) == SLEEPERS - len(woken)

        await it.until(is_awake, "whoever woke sleeps no more, and nobody else has gone")
    it.stop()
    await it.temporal.stop()
    assert each < NO_MORE_THAN[store.dialect]


def _message(kind: str, number: int, event: str = "") -> dict[str, Any]:
    message: dict[str, Any] = {
        "type": kind,
        "messageId": f"{kind}-{event}-{number}",
        "userId": f"user-{number}",
    }
    return message | ({"event": event} if event else {"traits": {"email": f"user{number}@example.com"}})


async def _send(port: int, what: str, messages: list[dict[str, Any]]) -> None:
    async with httpx.AsyncClient(timeout=120, auth=("write-key-of-the-test", "")) as client:
        for first in range(0, len(messages), BATCH):
            answer = await client.post(
                f"http://127.0.0.1:{port}/v1/batch", json={"batch": messages[first : first + BATCH]}
            )
            assert answer.status_code == 200, f"{what}: {answer.text}"


def _asleep(store: Store) -> int:
    """Runs that wait; none while Temporal is still to be told of one, which is cheaper to ask."""
    with store.read() as session:
        if has_open(session):
            return 0
        waiting = session.scalar(
            select(func.count())
            .select_from(RunRow)
            .where(col(RunRow.status) == "active", col(RunRow.durable))
        )
    return int(waiting or 0)


async def _running(client: Client) -> int:
    return (await client.count_workflows("ExecutionStatus='Running'")).count


async def _is_nobody_queued(client: Client) -> bool:
    """Whether every workflow task that there is has been taken by a worker."""
    for lane in Lane:
        described = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace,
                task_queue=TaskQueue(name=queue_of(lane)),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
                report_stats=True,
            )
        )
        if described.stats.approximate_backlog_count:
            return False
    return True


def _ended(store: Store) -> int:
    with store.read() as session:
        return int(
            session.scalar(select(func.count()).select_from(RunRow).where(col(RunRow.status) == "ended")) or 0
        )


def _size(store: Store) -> int:
    """Bytes of our database, without what it could give back."""
    with store.read() as session:
        if store.dialect == "postgresql":
            return int(session.scalar(text("SELECT pg_database_size(current_database())")) or 0)
        pages, free, size = (
            int(session.scalar(text(f"PRAGMA {name}")) or 0)
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size


def _history(it: Any) -> int:
    """Bytes of the Temporal server's own database."""
    return sum(file.stat().st_size for file in (it.folder / "temporal").glob("temporal.db*"))


def _worked(pid: int) -> float:
    """Seconds of processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    """Megabytes of memory a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20
