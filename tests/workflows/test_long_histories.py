"""Whatever is done to one run, its histories stay short and no nudge is lost between them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner

from engine.journeys.driver import Nudge, RunRef
from tests.workflows.conftest import eventually
from workflows import journey
from workflows.connection import connect
from workflows.devserver import EmbeddedServer
from workflows.driver import FULL, TemporalDriver
from workflows.messages import ADVANCE, AdvanceRequest, AdvanceResult, RunInput

pytestmark = pytest.mark.temporal

AT_ONCE = 50


def ref(run_id: str) -> RunRef:
    return RunRef(run_id, "welcome", f"contact-{run_id}", "once", "v1")


@dataclass
class Row:
    """A run's row: events are committed to it, and then its workflow is nudged."""

    committed: int = 0
    seen: int = 0
    looks: int = 0
    is_over: bool = False

    @activity.defn(name=ADVANCE)
    async def advance(self, request: AdvanceRequest) -> AdvanceResult:
        self.looks += 1
        self.seen = self.committed
        if self.is_over:
            return AdvanceResult(self.seen, "ended", "ended", outcome="completed")
        return AdvanceResult(self.seen, "active", "event", step="listen")

    async def nudge(self, driver: TemporalDriver, run: RunRef) -> None:
        self.committed += 1
        await driver.signal(run, Nudge("event", str(self.committed)))

    async def burst(self, driver: TemporalDriver, run: RunRef, nudges: int) -> None:
        for first in range(0, nudges, AT_ONCE):
            await asyncio.gather(
                *(self.nudge(driver, run) for _ in range(first, min(first + AT_ONCE, nudges)))
            )


async def executions(client: Client, run: RunRef) -> list[WorkflowHandle[Any, Any]]:
    """Every execution of the run's workflow, those it continued as included."""
    listed = [each async for each in client.list_workflows(f"WorkflowId='{run.workflow_id}'")]
    return [client.get_workflow_handle(each.id, run_id=each.run_id) for each in listed]


async def longest(client: Client, run: RunRef) -> tuple[int, int]:
    """Of all executions of the run: the events of the longest history, and the signals of the fullest."""
    events, signals = 0, 0
    for handle in await executions(client, run):
        kinds = [event.event_type for event in (await handle.fetch_history()).events]
        events = max(events, len(kinds))
        signals = max(signals, kinds.count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED))
    return events, signals


async def test_thousands_of_nudges_are_spread_over_executions_and_none_is_lost(
    client: Client, driver: TemporalDriver, working: Any, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journey, "MOST_NUDGES", 200)
    row, run = Row(), ref(run_id)
    async with working(client, row.advance, workflow_runner=UnsandboxedWorkflowRunner()):
        await driver.start(run)
        for nudges in (1, 7, 150, 2000, 42, 1, 1500, 900, 399):
            await row.burst(driver, run, nudges)
            await eventually(lambda: row.seen == row.committed)
        row.is_over = True
        await row.nudge(driver, run)
        result = await client.get_workflow_handle(run.workflow_id).result()
    assert row.committed == 5001
    assert result["outcome"] == "completed"
    events, signals = await longest(client, run)
    assert len(await executions(client, run)) >= 5
    assert events < 3000
    assert 200 <= signals < 2000


async def test_nudges_that_a_server_refuses_because_so_many_wait_lose_nothing(
    tmp_path: Path, working: Any, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no worker for long, the refused ones count as told: the first look sees what they were about."""
    monkeypatch.setattr(journey, "MOST_NUDGES", 50)
    few = ("--dynamic-config-value", "history.maximumSignalsPerExecution=100")
    server = EmbeddedServer(tmp_path, in_memory=True, extra=few)
    client = await connect(await server.start(), "default")
    driver = TemporalDriver(lambda: connect(server.address, "default"))
    row, run = Row(), ref(run_id)
    await driver.start(run)
    handle = client.get_workflow_handle(run.workflow_id)
    await row.burst(driver, run, 130)
    with pytest.raises(RPCError, match=FULL):
        await handle.signal("nudge", {"reason": "event"})
    async with working(client, row.advance, workflow_runner=UnsandboxedWorkflowRunner()):
        await eventually(lambda: row.seen == 130)
        row.is_over = True
        await row.nudge(driver, run)
        await handle.result()
    await server.stop()


@pytest.mark.long
@pytest.mark.timeout(3600)
# On a busy machine the SDK gives a task up after two seconds and takes it again; what it began is dropped.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_hundred_thousand_nudges_keep_every_history_under_ten_thousand_events(
    client: Client, driver: TemporalDriver, working: Any, run_id: str
) -> None:
    row, run = Row(), ref(run_id)
    await driver.start(run)
    await row.burst(driver, run, 9_000)  # before any worker is there: the last of them are refused
    async with working(client, row.advance, workflow_runner=UnsandboxedWorkflowRunner()):
        for _ in range(91):
            await eventually(lambda: row.seen == row.committed, within=120)
            await row.burst(driver, run, 1_000)
        await eventually(lambda: row.seen == row.committed, within=120)
        row.is_over = True
        await row.nudge(driver, run)
        await client.get_workflow_handle(run.workflow_id).result()
    assert row.committed == 100_001
    events, signals = await longest(client, run)
    assert events < 10_000
    assert signals <= 2_500


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tries in real time would take a minute; the rests between them are skipped by the server."""
    quick = RetryPolicy(initial_interval=timedelta(milliseconds=1), maximum_attempts=journey.TRIES)
    monkeypatch.setattr(journey, "RETRY", quick)
    yield


async def test_an_outage_of_days_renews_the_history_and_the_run_goes_on_after_it(
    skipping: WorkflowEnvironment, working: Any, run_id: str, impatient: None
) -> None:
    tries, began = 0, None

    @activity.defn(name=ADVANCE)
    async def advance(request: AdvanceRequest) -> AdvanceResult:
        nonlocal tries, began
        tries, began = tries + 1, began or request.now
        if request.now < began + timedelta(minutes=30):
            raise ConnectionError("the database is away")
        return AdvanceResult(1, "ended", "ended", outcome="completed")

    async with working(skipping.client, advance, workflow_runner=UnsandboxedWorkflowRunner()):
        result = await skipping.client.execute_workflow(
            "welcome", RunInput(run_id, continue_after=20), id=run_id, task_queue="journeys"
        )
    assert result["outcome"] == "completed"
    rests, last = divmod(tries, journey.TRIES)
    assert 5 <= rests <= 15 and last == 1
    listed = [each async for each in skipping.client.list_workflows(f"WorkflowId='{run_id}'")]
    assert len(listed) > 3
    assert max(each.history_length or 0 for each in listed) < 40


async def test_a_nudge_ends_the_rest_after_an_outage(
    client: Client, driver: TemporalDriver, working: Any, run_id: str, impatient: None
) -> None:
    tries = 0

    @activity.defn(name=ADVANCE)
    async def advance(request: AdvanceRequest) -> AdvanceResult:
        nonlocal tries
        tries += 1
        if tries <= journey.TRIES:
            raise ConnectionError("the database is away")
        return AdvanceResult(1, "ended", "ended", outcome="completed")

    async with working(client, advance, workflow_runner=UnsandboxedWorkflowRunner()):
        await driver.start(ref(run_id))
        await eventually(lambda: tries == journey.TRIES)
        await driver.signal(ref(run_id), Nudge("event"))
        await client.get_workflow_handle(ref(run_id).workflow_id).result()
    assert tries == journey.TRIES + 1
