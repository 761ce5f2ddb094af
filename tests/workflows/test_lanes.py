"""Lanes on a real server: who waits behind whom, and where a run's tasks are at each moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.client import Client

from engine.journeys.driver import Nudge, RunRef, Standing
from engine.journeys.lanes import Lane
from engine.settings import WorkerSettings
from tests.workflows.conftest import eventually
from workflows.connection import connect
from workflows.devserver import EmbeddedServer
from workflows.driver import TemporalDriver
from workflows.messages import ADVANCE, LANES, AdvanceRequest, AdvanceResult, queue_of

pytestmark = pytest.mark.temporal

BULK = 60
"""Runs of a campaign: many times what its lane looks at side by side."""
AT_ONCE = 20
"""Starts side by side: more would outlast the patience of a call on a busy machine."""


def ref(run_id: str, journey: str = "welcome", **how: Any) -> RunRef:
    return RunRef(run_id, journey, f"contact-{run_id}", "once", "v1", **how)


async def start_all(driver: TemporalDriver, runs: Sequence[RunRef]) -> None:
    for first in range(0, len(runs), AT_ONCE):
        await asyncio.gather(*map(driver.start, runs[first : first + AT_ONCE]))


class Order:
    """An `advance` that ends every run and keeps in which order it was asked."""

    def __init__(self, expected: int) -> None:
        self.asked: list[str] = []
        self.done = asyncio.Event()
        self._expected = expected

    @activity.defn(name=ADVANCE)
    async def advance(self, request: AdvanceRequest) -> AdvanceResult:
        self.asked.append(request.run_id)
        if len(self.asked) == self._expected:
            self.done.set()
        return AdvanceResult(1, "ended", "ended")


def test_the_lanes_of_messages_are_those_of_the_engine() -> None:
    assert tuple(Lane) == LANES


@pytest.mark.timeout(120)
async def test_an_urgent_run_does_not_wait_behind_a_campaign_that_stands_still(
    client: Client, driver: TemporalDriver, working: Any, run_id: str
) -> None:
    """Every place the bulk lane has is taken, by looks that do not end before the urgent run has."""
    released = asyncio.Event()
    looking = 0

    @activity.defn(name=ADVANCE)
    async def advance(request: AdvanceRequest) -> AdvanceResult:
        nonlocal looking
        if "bulk" in request.run_id:
            looking += 1
            await released.wait()
        return AdvanceResult(1, "ended", "ended", outcome="completed")

    campaign = [ref(f"{run_id}-bulk-{number}", "campaign", lane=Lane.BULK) for number in range(BULK)]
    await start_all(driver, campaign)
    async with working(client, advance, lanes=(Lane.BULK, Lane.URGENT)):
        await eventually(lambda: looking == WorkerSettings().bulk.looks)
        await driver.start(ref(run_id, lane=Lane.URGENT))
        async with asyncio.timeout(30):
            await client.get_workflow_handle(ref(run_id).workflow_id).result()
        taken = looking
        released.set()
    assert taken < BULK


@pytest_asyncio.fixture
async def orderly(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a server whose queues have one partition each: priority and fairness hold within a
    partition, and which of several a task comes to is chance."""
    extra = [f"--dynamic-config-value=matching.numTaskqueue{kind}Partitions=1" for kind in ("Read", "Write")]
    server = EmbeddedServer(tmp_path, in_memory=True, extra=tuple(extra))
    yield await server.start()
    await server.stop()


async def test_on_one_lane_the_journey_of_the_highest_priority_goes_first(
    orderly: str, working: Any, run_id: str
) -> None:
    client, driver = await connect(orderly, "default"), TemporalDriver(lambda: connect(orderly, "default"))
    order = Order(61)
    await start_all(driver, [ref(f"{run_id}-{n}", "low", priority=10) for n in range(60)])
    await driver.start(ref(f"{run_id}-first", "high", priority=75))
    async with working(client, order.advance):
        await asyncio.wait_for(order.done.wait(), 30)
    assert order.asked.index(f"{run_id}-first") < 10, "in turn it would be the last of 61"


async def test_a_large_journey_does_not_hold_up_a_small_one_of_its_lane(
    orderly: str, working: Any, run_id: str
) -> None:
    client, driver = await connect(orderly, "default"), TemporalDriver(lambda: connect(orderly, "default"))
    order = Order(110)
    await start_all(driver, [ref(f"{run_id}-large-{n}", "large") for n in range(100)])
    await start_all(driver, [ref(f"{run_id}-small-{n}", "small") for n in range(10)])
    async with working(client, order.advance):
        await asyncio.wait_for(order.done.wait(), 30)
    places = [place for place, asked in enumerate(order.asked) if "-small-" in asked]
    assert max(places) < 50, "in turn the last is the 20th; unfairly they would be the 101st to the 110th"


async def test_a_run_changes_lanes_while_a_person_is_asked_and_comes_back(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    def asks(request: AdvanceRequest) -> AdvanceResult:
        return AdvanceResult(1, "active", "task", step="approve", lane="human")

    home = script.waits(step="nap")
    advance = script.advance(home, asks, asks, home, home, script.ends())
    run = ref(run_id, lane=Lane.BULK, priority=90)
    handle = client.get_workflow_handle(run.workflow_id)

    async def is_at(times: int, lane: Lane) -> None:
        await advance.was_asked(times)
        found = await handle.describe()
        assert found.task_queue == queue_of(lane)
        assert found.raw_description.workflow_execution_info.priority.priority_key == 1

    async with working(client, advance.advance, lanes=tuple(Lane)):
        await driver.start(run)
        await is_at(1, Lane.BULK)
        await driver.signal(run, Nudge("event"))
        await is_at(3, Lane.HUMAN)
        await driver.signal(run, Nudge("task"))
        await is_at(5, Lane.BULK)
        await driver.signal(run, Nudge("event"))
        await handle.result()
    assert len(advance.asked) == 6, "a change of lanes is one look more, each way"


async def test_workers_that_disagree_about_a_lane_do_not_send_a_run_back_and_forth(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    def other(lane: str) -> Any:
        return lambda request: AdvanceResult(1, "active", "event", step="nap", lane=lane)

    advance = script.advance(other("urgent"), other("bulk"), other("bulk"), script.ends())
    async with working(client, advance.advance, lanes=tuple(Lane)):
        await driver.start(ref(run_id))
        await advance.was_asked(2)
        found = await client.get_workflow_handle(ref(run_id).workflow_id).describe()
        assert found.task_queue == queue_of(Lane.URGENT)
        await driver.signal(ref(run_id), Nudge("event"))
        await client.get_workflow_handle(ref(run_id).workflow_id).result()
    assert len(advance.asked) == 4


async def test_a_run_that_asks_a_person_at_once_starts_on_the_human_lane(
    client: Client, driver: TemporalDriver, run_id: str
) -> None:
    due = datetime.now(UTC) + timedelta(days=2)
    run = ref(run_id, lane=Lane.BULK, standing=Standing(3, "task", "approve", due))
    await driver.start(run)
    found = await client.get_workflow_handle(run.workflow_id).describe()
    assert found.task_queue == "journeys-human"


async def test_every_lane_is_listed_with_what_runs_on_it(
    client: Client, driver: TemporalDriver, run_id: str
) -> None:
    runs = [ref(f"{run_id}-{lane.value}", lane=lane) for lane in Lane]
    for run in runs:
        await driver.start(run)
    await driver.watch_breaker("send_failure", "channel:email")
    expected = {(run.workflow_id, run.run_id) for run in runs}

    async def are_listed() -> bool:
        # Other tests may have left runs here; what watches the breaker is a workflow and no run.
        listed = {(each.workflow_id, each.run_id) async for each in driver.open_runs()}
        assert all(of_run for _, of_run in listed), "only runs are listed"
        return {each for each in listed if each[1].startswith(run_id)} == expected

    await eventually(are_listed)


async def test_a_lane_that_no_worker_serves_is_told_of_once_others_are(
    tmp_path: Path, working: Any, script: Any
) -> None:
    server = EmbeddedServer(tmp_path, in_memory=True)  # a fresh one: a service remembers workers for minutes
    client = await connect(await server.start(), "default")
    driver = TemporalDriver(lambda: connect(server.address, "default"))

    async def is_told_of(lanes: list[str]) -> bool:
        return await driver.unserved() == lanes

    assert await driver.unserved() == []
    async with working(client, script.advance(script.ends()).advance, lanes=(Lane.URGENT, Lane.NORMAL)):
        await eventually(lambda: is_told_of(["bulk", "human"]))
    await server.stop()
