"""The journey workflow against a real server, with activities of the same name written here."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment

from engine.journeys.driver import Nudge, RunRef
from engine.settings import LaneSettings
from workflows.driver import TemporalDriver
from workflows.messages import ADVANCE, UNKNOWN_RUN, AdvanceRequest, AdvanceResult, RunInput

pytestmark = pytest.mark.temporal

LONG = timedelta(days=30)


def ref(run_id: str) -> RunRef:
    return RunRef(run_id, "welcome", f"contact-{run_id}", "once", "v1")


async def test_a_run_sleeps_until_its_moment_and_ends(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    advance = script.advance(script.waits(waiting="timer", due_in=timedelta(seconds=1.5)), script.ends())
    async with working(client, advance.advance):
        await driver.start(ref(run_id))
        result = await client.get_workflow_handle(ref(run_id).workflow_id).result()
    first, second = advance.asked
    assert result == {"run_id": run_id, "outcome": "completed"}
    assert second.now >= first.now + timedelta(seconds=1.5)


async def test_the_journey_is_its_own_workflow_type_and_names_run_and_step(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    advance = script.advance(script.waits(waiting="timer", due_in=LONG, step="overnight"))
    async with working(client, advance.advance):
        await driver.start(ref(run_id))
        handle = client.get_workflow_handle(ref(run_id).workflow_id)
        await advance.was_asked(1)
        metadata = await handle.query("__temporal_workflow_metadata")
        described = await handle.describe()
    assert described.workflow_type == "welcome"
    assert await described.static_summary() == f"welcome for contact contact-{run_id}"
    assert await described.memo() == {"journey": "welcome", "run_id": run_id, "version": "v1"}
    assert "at `overnight`, waiting for timer until " in metadata.current_details


async def test_a_nudge_wakes_a_run_long_before_its_moment(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    advance = script.advance(script.waits(due_in=LONG), script.ends("goal"))
    async with working(client, advance.advance):
        await driver.start(ref(run_id))
        await advance.was_asked(1)
        await driver.signal(ref(run_id), Nudge("event", "evt-1"))
        result = await client.get_workflow_handle(ref(run_id).workflow_id).result()
    assert result["outcome"] == "goal"


async def test_a_nudge_during_an_advance_is_looked_at_afterwards(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    entered, released = asyncio.Event(), asyncio.Event()
    looks = 0

    @activity.defn(name=ADVANCE)
    async def advance(request: AdvanceRequest) -> AdvanceResult:
        nonlocal looks
        looks += 1
        if looks > 1:
            return AdvanceResult(2, "ended", "ended")
        entered.set()
        await released.wait()
        return AdvanceResult(1, "active", "event")

    async with working(client, advance):
        await driver.start(ref(run_id))
        await entered.wait()
        await driver.signal(ref(run_id), Nudge("event"))
        released.set()
        await client.get_workflow_handle(ref(run_id).workflow_id).result()
    assert looks == 2


async def test_no_nudge_is_lost_when_the_history_is_renewed(
    client: Client, temporal_address: str, working: Any, script: Any, run_id: str
) -> None:
    from workflows.connection import connect

    driver = TemporalDriver(lambda: connect(temporal_address, "default"), continue_after=15)
    arrived: set[str] = set()
    seen: set[str] = set()

    @activity.defn(name=ADVANCE)
    async def advance(request: AdvanceRequest) -> AdvanceResult:
        seen.update(arrived)
        return AdvanceResult(1, "ended" if len(seen) == 60 else "active", "event", step="listen")

    async def nudge(number: int) -> None:
        arrived.add(str(number))
        await driver.signal(ref(run_id), Nudge("event", str(number)))

    async with working(client, advance):
        await driver.start(ref(run_id))
        first = (await client.get_workflow_handle(ref(run_id).workflow_id).describe()).run_id
        for start in range(0, 60, 5):
            await asyncio.gather(*(nudge(number) for number in range(start, start + 5)))
        handle = client.get_workflow_handle(ref(run_id).workflow_id)
        await handle.result()
        last = await handle.describe()
    assert seen == {str(number) for number in range(60)}
    assert last.run_id != first
    assert last.workflow_type == "welcome"
    assert (await last.memo())["run_id"] == run_id


async def test_a_run_that_is_due_but_held_by_another_process_is_asked_again_soon(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    advance = script.advance(script.waits(waiting="ready"), script.ends())
    async with working(client, advance.advance):
        await driver.start(ref(run_id))
        await client.get_workflow_handle(ref(run_id).workflow_id).result()
    first, second = advance.asked
    assert timedelta(seconds=1) <= second.now - first.now < timedelta(seconds=10)


async def test_a_failing_advance_is_tried_again(
    client: Client, driver: TemporalDriver, working: Any, run_id: str
) -> None:
    tries = 0

    @activity.defn(name=ADVANCE)
    async def advance(request: AdvanceRequest) -> AdvanceResult:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ConnectionError("the database is away")
        return AdvanceResult(1, "ended", "ended", outcome="completed")

    async with working(client, advance):
        await driver.start(ref(run_id))
        await client.get_workflow_handle(ref(run_id).workflow_id).result()
    assert tries == 3


async def test_a_run_that_does_not_exist_fails_its_workflow_at_once(
    client: Client, driver: TemporalDriver, working: Any, run_id: str
) -> None:
    @activity.defn(name=ADVANCE)
    async def advance(request: AdvanceRequest) -> AdvanceResult:
        raise ApplicationError("no such run", type=UNKNOWN_RUN, non_retryable=True)

    async with working(client, advance):
        await driver.start(ref(run_id))
        with pytest.raises(WorkflowFailureError):
            await client.get_workflow_handle(ref(run_id).workflow_id).result()


async def test_cancelling_ends_a_sleeping_run(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    advance = script.advance(script.waits(due_in=LONG))
    async with working(client, advance.advance):
        await driver.start(ref(run_id))
        await advance.was_asked(1)
        await driver.cancel(ref(run_id), "consent.withdrawn")
        with pytest.raises(WorkflowFailureError) as caught:
            await client.get_workflow_handle(ref(run_id).workflow_id).result()
        assert not await driver.is_running(ref(run_id))
    assert isinstance(caught.value.cause, CancelledError)


async def test_cancelling_lets_what_has_begun_come_to_its_end(
    client: Client, driver: TemporalDriver, working: Any, run_id: str
) -> None:
    entered, released, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @activity.defn(name=ADVANCE)
    async def advance(request: AdvanceRequest) -> AdvanceResult:
        entered.set()
        await released.wait()
        finished.set()
        return AdvanceResult(1, "active", "event")

    async with working(client, advance):
        await driver.start(ref(run_id))
        await entered.wait()
        await driver.cancel(ref(run_id), "asked for")
        released.set()
        handle = client.get_workflow_handle(ref(run_id).workflow_id)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert finished.is_set()
        assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_a_new_worker_goes_on_where_the_old_one_stopped(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    before = script.advance(script.waits(due_in=LONG))
    async with working(client, before.advance):
        await driver.start(ref(run_id))
        await before.was_asked(1)
    await driver.signal(ref(run_id), Nudge("event"))
    after = script.advance(script.ends("goal"))
    async with working(client, after.advance):
        result = await client.get_workflow_handle(ref(run_id).workflow_id).result()
    assert result["outcome"] == "goal"
    assert len(before.asked) == len(after.asked) == 1


async def test_a_worker_that_keeps_nothing_in_memory_replays_to_the_same_place(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    advance = script.advance(*[script.waits(due_in=LONG)] * 4, script.ends())
    forgetful = LaneSettings(tasks=2, looks=1, cached=0, pollers=2)
    async with working(client, advance.advance, slots=forgetful):
        await driver.start(ref(run_id))
        for times in range(1, 5):
            await advance.was_asked(times)
            await driver.signal(ref(run_id), Nudge("event", str(times)))
        await client.get_workflow_handle(ref(run_id).workflow_id).result()
    assert len(advance.asked) == 5


async def test_thirty_days_pass_in_a_moment_where_time_may_jump(
    skipping: WorkflowEnvironment, working: Any, script: Any, run_id: str
) -> None:
    advance = script.advance(
        *[script.waits(waiting="timer", due_in=timedelta(days=10))] * 3, script.ends("completed")
    )
    async with working(skipping.client, advance.advance):
        await skipping.client.execute_workflow(
            "dormant_wakeup", RunInput(run_id), id=run_id, task_queue="journeys"
        )
    assert advance.asked[-1].now - advance.asked[0].now >= LONG
