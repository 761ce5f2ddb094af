"""A worker's bounds: what it keeps, what it does at a time, and how it stops and comes back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.worker import PollerBehaviorSimpleMaximum

from engine.cli import run
from engine.clock import FixedClock
from engine.journeys.driver import Nudge, RunRef
from engine.journeys.lanes import Lane
from engine.runs.advancing import Carried
from engine.runs.service import Runs
from engine.services import build_services
from engine.settings import LaneSettings, Settings, WorkerSettings
from tests.workflows.conftest import eventually
from workflows.activities import JourneyActivities
from workflows.connection import connect
from workflows.devserver import EmbeddedServer
from workflows.driver import TemporalDriver
from workflows.messages import ADVANCE, AdvanceRequest, AdvanceResult
from workflows.worker import GRACE, STICKY, build_worker, run_worker

NOW = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)


def ref(run_id: str) -> RunRef:
    return RunRef(run_id, "welcome", f"contact-{run_id}", "once", "v1")


def test_every_lane_has_slots_of_its_own_and_a_bulk_of_work_never_most_of_them() -> None:
    lanes = [WorkerSettings().of(lane.value) for lane in Lane]
    assert sum(slots.cached for slots in lanes) <= 2000, "0.1 MB each"
    assert WorkerSettings().bulk.looks * 10 < sum(slots.looks for slots in lanes)


@pytest.mark.temporal
@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize("chosen", [{}, {"tasks": 7, "looks": 3, "cached": 11, "pollers": 2}], ids=str)
async def test_a_worker_is_bounded_as_set_and_lets_go_of_its_workflows_soon(
    client: Client, lane: Lane, chosen: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    @activity.defn(name=ADVANCE)
    async def advance(request: AdvanceRequest) -> AdvanceResult:
        return AdvanceResult(1, "ended", "ended")

    for name, value in chosen.items():
        monkeypatch.setenv(f"WAYLINE_WORKER_{lane.value.upper()}_{name.upper()}", str(value))
    slots = Settings().worker.of(lane.value)
    assert slots == WorkerSettings().of(lane.value).model_copy(update=chosen)
    config = build_worker(client, [advance], lane=lane, slots=slots).config()
    assert config["max_cached_workflows"] == slots.cached
    assert config["max_concurrent_workflow_tasks"] == slots.tasks
    assert config["max_concurrent_local_activities"] == slots.looks
    assert config["workflow_task_poller_behavior"] == PollerBehaviorSimpleMaximum(slots.pollers)
    assert config["sticky_queue_schedule_to_start_timeout"] == STICKY <= timedelta(seconds=2)
    assert config["graceful_shutdown_timeout"] == GRACE
    assert config["no_remote_activities"]


def test_what_is_set_for_one_lane_leaves_the_others_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYLINE_WORKER_BULK_LOOKS", "25")
    monkeypatch.setenv("WAYLINE_WORKER_SERVICE_HOST", "10.0.0.1")  # as some platforms add for their own use
    found, usual = Settings().worker, WorkerSettings()
    assert found.bulk == usual.bulk.model_copy(update={"looks": 25})
    assert (found.urgent, found.normal, found.human) == (usual.urgent, usual.normal, usual.human)


@pytest.mark.parametrize(
    ("name", "value"),
    [("BULK_LOOKS", "0"), ("BULK_LOKS", "5"), ("URGENT_POLLERS", "1"), ("HUMAN_TASKS", "x")],
)
def test_a_setting_that_cannot_be_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"WAYLINE_WORKER_{name}", value)
    assert run(["worker"]) == 2
    assert capsys.readouterr().err.startswith(f"wayline: WAYLINE_WORKER_{name}: ")


@pytest.mark.temporal
async def test_a_look_that_has_begun_is_finished_before_the_worker_stops(
    client: Client, driver: TemporalDriver, working: Any, run_id: str
) -> None:
    entered, may_go, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @activity.defn(name=ADVANCE)
    async def advance(request: AdvanceRequest) -> AdvanceResult:
        entered.set()
        await may_go.wait()
        finished.set()
        return AdvanceResult(1, "ended", "ended", outcome="completed")

    async with working(client, advance, lanes=[Lane.NORMAL], graceful_shutdown=timedelta(seconds=10)) as (
        worker,
    ):
        await driver.start(ref(run_id))
        await entered.wait()
        stopping = asyncio.create_task(worker.shutdown())
        await asyncio.sleep(0)
        may_go.set()
        await stopping
        assert finished.is_set()


@pytest.mark.temporal
async def test_more_runs_than_a_worker_keeps_in_memory_all_go_on(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    runs = [ref(f"{run_id}-{number}") for number in range(30)]
    looked: dict[str, int] = {}
    """The latest round in which each run was looked at; where the machine is busy, a look is repeated."""
    now = 1

    @activity.defn(name=ADVANCE)
    async def advance(request: AdvanceRequest) -> AdvanceResult:
        looked[request.run_id] = now
        if now == 3:
            return AdvanceResult(now, "ended", "ended", outcome="completed")
        return AdvanceResult(now, "active", "event", step="listen")

    async with working(client, advance, slots=LaneSettings(tasks=50, looks=100, cached=5, pollers=5)):
        await asyncio.gather(*(driver.start(run) for run in runs))
        for number in (1, 2):
            await eventually(lambda number=number: list(looked.values()) == [number] * len(runs))  # type: ignore[misc]
            now = number + 1
            await asyncio.gather(*(driver.signal(run, Nudge("event")) for run in runs))
        for run in runs:
            await client.get_workflow_handle(run.workflow_id).result()
    assert set(looked.values()) == {3}


@pytest.mark.temporal
async def test_a_worker_told_to_serves_its_lanes_only(tmp_path: Path, sqlite_url: str) -> None:
    server = EmbeddedServer(tmp_path / "temporal", in_memory=True)
    address = await server.start()
    driver = TemporalDriver(lambda: connect(address, "default"))
    services = build_services(Settings(data_dir=tmp_path, database_url=sqlite_url, temporal_address=address))
    stop = asyncio.Event()
    working_on_two = asyncio.create_task(run_worker(services, stop, (Lane.BULK, Lane.HUMAN)))

    async def are_served() -> bool:
        return await driver.unserved() == ["urgent", "normal"]

    try:
        await eventually(are_served)
    finally:
        stop.set()
        await working_on_two
        await services.close()
        await server.stop()


class StandingRuns:
    """Runs that wait, whatever is asked of them."""

    async def carry(self, run_id: str, *, durable: bool = False, real_now: datetime | None = None) -> Carried:
        return Carried(1, "active", "task", position="approve")


@pytest.mark.parametrize(("apart", "warnings"), [(0, 0), (4, 0), (6, 1), (-6, 1), (3600, 1)])
async def test_a_clock_that_differs_from_the_services_is_told_of_once_a_minute(
    apart: int, warnings: int
) -> None:
    clock = FixedClock(NOW)
    advance = JourneyActivities(cast(Runs, StandingRuns()), clock).advance
    request = AdvanceRequest("r1", NOW + timedelta(seconds=apart))
    with capture_logs() as logs:
        for _ in range(3):
            result = await ActivityEnvironment().run(advance, request)
    assert [log["ahead_by"] for log in logs] == [float(apart)] * warnings
    assert result.lane == "human"
