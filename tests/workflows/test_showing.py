"""What people see of a run in Temporal's own pages, and what happens where a service lacks what it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from temporalio.api.enums.v1 import EventType
from temporalio.api.operatorservice.v1 import RemoveSearchAttributesRequest
from temporalio.client import Client

from engine.cli.examining import Examiner
from engine.errors import DriverUnavailable
from engine.journeys.driver import Nudge, RunRef, Standing
from engine.journeys.lanes import Lane
from engine.services import build_services
from engine.settings import Settings
from tests.workflows.conftest import eventually
from workflows.connection import connect
from workflows.devserver import EmbeddedServer
from workflows.driver import TemporalDriver
from workflows.messages import FORM, SEARCH_ATTRIBUTES, AdvanceResult, RunInput
from workflows.worker import run_worker

pytestmark = pytest.mark.temporal

DAYS = timedelta(days=1)


def ref(run_id: str, **how: Any) -> RunRef:
    return RunRef(run_id, "welcome", f"contact-{run_id}", "once", "v1", bundle="b1", **how)


async def shown(client: Client, run: RunRef) -> dict[str, str]:
    """The run's search attributes as the service has them."""
    found = await client.get_workflow_handle(run.workflow_id).describe()
    return {
        pair.key.name.removeprefix("Wayline"): pair.value
        for pair in found.typed_search_attributes
        if pair.key.name in SEARCH_ATTRIBUTES
    }


async def test_a_run_is_found_by_contact_bundle_lane_step_and_what_it_waits_for(
    client: Client, driver: TemporalDriver, run_id: str
) -> None:
    run = ref(run_id, standing=Standing(1, "timer", "nap", datetime.now(UTC) + DAYS))
    await driver.start(run)
    assert await shown(client, run) == {
        "Contact": run.contact_id,
        "Bundle": "b1",
        "Lane": "normal",
        "Step": "nap",
        "Waiting": "timer",
    }

    async def is_found() -> bool:
        query = f"WorkflowType='welcome' AND WaylineContact='{run.contact_id}' AND WaylineStep='nap'"
        return [each.id async for each in client.list_workflows(query)] == [run.workflow_id]

    await eventually(is_found)


async def test_the_labels_follow_the_run_and_survive_the_renewal_of_its_history(
    client: Client, temporal_address: str, working: Any, script: Any, run_id: str
) -> None:
    driver = TemporalDriver(lambda: connect(temporal_address, "default"), continue_after=12)
    nap = script.waits(waiting="timer", due_in=30 * DAYS)
    advance = script.advance(nap, nap, script.waits(step="listen"))
    run = ref(run_id, lane=Lane.URGENT, priority=90)
    handle = client.get_workflow_handle(run.workflow_id)
    async with working(client, advance.advance):
        await driver.start(run)
        first = (await handle.describe()).run_id
        for times in range(1, 6):
            await advance.was_asked(times)
            await driver.signal(run, Nudge("event"))
        await advance.was_asked(6)
        metadata = await handle.query("__temporal_workflow_metadata")
        found = await handle.describe()
    assert found.run_id != first
    assert await shown(client, run) == {
        "Contact": run.contact_id,
        "Bundle": "b1",
        "Lane": "urgent",
        "Step": "listen",
        "Waiting": "event",
    }
    assert (await found.memo())["run_id"] == run_id
    assert metadata.current_details.startswith("at `listen`, waiting for event")


async def test_timers_and_looks_say_in_the_history_what_they_are_about(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    advance = script.advance(script.waits(waiting="timer", due_in=DAYS, step="overnight"), script.ends())
    async with working(client, advance.advance):
        await driver.start(ref(run_id))
        await advance.was_asked(1)
        await driver.signal(ref(run_id), Nudge("outcome", "intent-1"))
        handle = client.get_workflow_handle(ref(run_id).workflow_id)
        await handle.result()
    events = (await handle.fetch_history()).events
    summaries = {
        kind: [event.user_metadata.summary.data.decode() for event in events if event.event_type == kind]
        for kind in (EventType.EVENT_TYPE_TIMER_STARTED, EventType.EVENT_TYPE_MARKER_RECORDED)
    }
    assert summaries[EventType.EVENT_TYPE_TIMER_STARTED] == ['"overnight"']
    assert summaries[EventType.EVENT_TYPE_MARKER_RECORDED] == ['"first look"', '"after outcome"']


async def test_a_run_that_was_written_down_waits_without_a_look(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    advance = script.advance(script.ends())
    due = datetime.now(UTC) + timedelta(seconds=2)
    run = ref(run_id, standing=Standing(1, "timer", "nap", due))
    handle = client.get_workflow_handle(run.workflow_id)
    async with working(client, advance.advance):
        await driver.start(run)
        await handle.result()
    (asked,) = advance.asked
    assert asked.now >= due


@pytest.mark.parametrize("due_in", [DAYS, None], ids=["timer", "event without a time-out"])
async def test_a_nudge_before_the_first_task_is_not_lost_to_a_run_that_waits_first(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str, due_in: timedelta | None
) -> None:
    due = None if due_in is None else datetime.now(UTC) + due_in
    run = ref(run_id, standing=Standing(1, "event", "listen", due))
    await driver.start(run)
    await driver.signal(run, Nudge("event", "evt-1"))
    async with working(client, script.advance(script.ends("goal")).advance):
        result = await client.get_workflow_handle(run.workflow_id).result()
    assert result["outcome"] == "goal"


async def test_a_start_that_comes_after_its_moment_is_looked_at_at_once(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    run = ref(run_id, standing=Standing(1, "timer", "nap", datetime.now(UTC) - DAYS))
    await driver.start(run)
    async with working(client, script.advance(script.ends()).advance):
        handle = client.get_workflow_handle(run.workflow_id)
        await handle.result()
    kinds = [event.event_type for event in (await handle.fetch_history()).events]
    assert EventType.EVENT_TYPE_TIMER_STARTED not in kinds


@pytest.mark.parametrize("years", [1, 80, 260, 7900])
async def test_a_moment_far_beyond_what_a_server_can_count_is_slept_towards(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str, years: int
) -> None:
    advance = script.advance(script.waits(waiting="timer", due_in=years * 365 * DAYS, step="far"))
    run = ref(run_id)
    handle = client.get_workflow_handle(run.workflow_id)

    async def sleeps() -> bool:
        events = (await handle.fetch_history()).events
        lengths = [
            event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
            for event in events
            if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED
        ]
        return [length <= 365 * DAYS for length in lengths] == [True]

    async with working(client, advance.advance):
        await driver.start(run)
        await eventually(sleeps)
    assert len(advance.asked) == 1


@pytest_asyncio.fixture
async def bare(tmp_path: Path) -> AsyncIterator[str]:
    """host:port of a service that somebody else set up, without our search attributes."""
    server = EmbeddedServer(tmp_path / "foreign", in_memory=True)
    client = await connect(await server.start(), "default")
    await client.operator_service.remove_search_attributes(
        RemoveSearchAttributesRequest(namespace="default", search_attributes=SEARCH_ATTRIBUTES)
    )
    yield server.address
    await server.stop()


async def test_where_search_attributes_are_missing_nothing_starts_and_the_way_out_is_named(
    bare: str, run_id: str
) -> None:
    driver = TemporalDriver(lambda: connect(bare, "default"))
    for call in (driver.start(ref(run_id)), driver.check()):
        with pytest.raises(DriverUnavailable, match="`wayline doctor --repair` registers them") as caught:
            await call
        assert all(name in str(caught.value) for name in SEARCH_ATTRIBUTES)
    assert await driver.set_up()
    await driver.check()
    await driver.start(ref(run_id))
    assert not await driver.set_up()


async def test_doctor_registers_what_is_missing_and_no_worker_begins_before(
    bare: str, tmp_path: Path, sqlite_url: str
) -> None:
    services = build_services(Settings(data_dir=tmp_path, database_url=sqlite_url, temporal_address=bare))
    stop = asyncio.Event()

    async def said_of_temporal(*, repair: bool) -> tuple[bool, bool, str]:
        found = await Examiner(services, repair=repair).examine()
        each = next(each for each in found if each.name == "temporal")
        return each.is_well, each.is_repaired, each.detail

    async def is_well() -> bool:  # once every lane has been asked for work
        return (await said_of_temporal(repair=False))[0]

    with capture_logs() as logs:
        working = asyncio.create_task(run_worker(services, stop))
        try:
            await eventually(lambda: any("lacks search attributes" in str(log.get("said")) for log in logs))
            assert not any(log["event"] == "worker started" for log in logs)
            assert "lacks search attributes" in (await said_of_temporal(repair=False))[2]
            await said_of_temporal(repair=True)
            await eventually(is_well)
        finally:
            stop.set()
            await working
    await services.close()


async def test_doctor_tells_of_a_workflow_that_cannot_go_on(tmp_path: Path, sqlite_url: str) -> None:
    """Its tasks fail every time, as they do when its worker is older than the workflow."""
    soon = ("--dynamic-config-value", "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=2")
    server = EmbeddedServer(tmp_path / "temporal", in_memory=True, extra=soon)
    client = await connect(await server.start(), "default")
    services = build_services(
        Settings(data_dir=tmp_path, database_url=sqlite_url, temporal_address=server.address)
    )
    stop = asyncio.Event()
    working = asyncio.create_task(run_worker(services, stop))
    for number, form in ((1, FORM), (2, 99)):
        given = RunInput(f"run-{number}", form=form, standing=AdvanceResult(1, "active", "event"))
        await client.start_workflow("welcome", given, id=f"welcome/{number}", task_queue="journeys")

    async def said() -> tuple[bool, str]:
        found = await Examiner(services, repair=False).examine()
        each = next(each for each in found if each.name == "temporal")
        return each.needs_care, each.detail

    async def is_told_of() -> bool:
        return "cannot go on" in (await said())[1]

    try:
        await eventually(is_told_of, within=60)
        assert await said() == (
            True,
            "1 workflows cannot go on, such as welcome/2: their tasks fail every time; see the worker's log",
        )
    finally:
        stop.set()
        await working
        await services.close()
        await server.stop()


async def test_a_start_by_a_stranger_ends_at_once_and_one_of_a_newer_version_waits_for_its_worker(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    advance = script.advance(script.ends())
    async with working(client, advance.advance):
        stranger = await client.start_workflow("mystery", id=f"{run_id}-stranger", task_queue="journeys")
        with pytest.raises(Exception, match="Workflow execution failed"):
            await stranger.result()
        newer = await client.start_workflow(
            "welcome", RunInput(run_id, form=99), id=f"{run_id}-newer", task_queue="journeys"
        )

        async def was_refused() -> bool:
            events = (await newer.fetch_history()).events
            return any(event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED for event in events)

        await eventually(was_refused)
    assert advance.asked == []
