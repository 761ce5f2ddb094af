"""What the dispatcher relies on: every call may be repeated, and an absent service is said so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from engine.errors import DriverUnavailable
from engine.journeys.driver import Nudge, RunRef
from engine.settings import Settings
from tests.ports import free_port
from workflows.connection import Recorded, address_of, connect, record
from workflows.devserver import EmbeddedServer
from workflows.driver import TemporalDriver

pytestmark = pytest.mark.temporal


def ref(run_id: str) -> RunRef:
    return RunRef(run_id, "welcome", f"contact-{run_id}", "once", "v1")


async def test_starting_twice_is_one_workflow(client: Client, driver: TemporalDriver, run_id: str) -> None:
    await driver.start(ref(run_id))
    first = (await client.get_workflow_handle(ref(run_id).workflow_id).describe()).run_id
    await driver.start(ref(run_id))
    assert (await client.get_workflow_handle(ref(run_id).workflow_id).describe()).run_id == first
    assert await driver.is_running(ref(run_id))


async def test_a_signal_starts_a_workflow_that_is_missing(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    assert not await driver.is_running(ref(run_id))
    await driver.signal(ref(run_id), Nudge("event", "evt-1"))
    assert await driver.is_running(ref(run_id))
    advance = script.advance(script.ends("goal"))
    async with working(client, advance.advance):
        result = await client.get_workflow_handle(ref(run_id).workflow_id).result()
    assert result["outcome"] == "goal"


async def test_a_late_signal_for_an_ended_run_looks_once_more_and_ends(
    client: Client, driver: TemporalDriver, working: Any, script: Any, run_id: str
) -> None:
    advance = script.advance(script.ends())
    handle = client.get_workflow_handle(ref(run_id).workflow_id)
    async with working(client, advance.advance):
        await driver.start(ref(run_id))
        await handle.result()
        await driver.signal(ref(run_id), Nudge("outcome"))
        await handle.result()
    assert not await driver.is_running(ref(run_id))


async def test_cancelling_what_does_not_run_changes_nothing(driver: TemporalDriver, run_id: str) -> None:
    await driver.cancel(ref(run_id), "left")
    assert not await driver.is_running(ref(run_id))


async def test_terminating_twice_changes_nothing(driver: TemporalDriver, run_id: str) -> None:
    await driver.start(ref(run_id))
    await driver.terminate(ref(run_id).workflow_id, "no run row")
    await driver.terminate(ref(run_id).workflow_id, "no run row")
    assert not await driver.is_running(ref(run_id))


async def test_an_absent_service_is_reported_and_found_again_when_it_is_back(
    tmp_path: Path, run_id: str
) -> None:
    server = EmbeddedServer(tmp_path, port=free_port())
    driver = TemporalDriver(lambda: connect(server.address, "default"))
    for call in (
        driver.start(ref(run_id)),
        driver.signal(ref(run_id), Nudge("event")),
        driver.cancel(ref(run_id), "left"),
        driver.is_running(ref(run_id)),
        driver.watch_breaker("send_failure", "channel:email"),
        driver.check(),
    ):
        with pytest.raises(DriverUnavailable):
            await call
    await server.start()
    try:
        await driver.start(ref(run_id))
    finally:
        await server.stop()
    with pytest.raises(DriverUnavailable):
        await driver.signal(ref(run_id), Nudge("event"))


def test_an_address_that_is_set_wins_over_the_embedded_one(tmp_path: Path) -> None:
    record(tmp_path / "temporal.json", Recorded("127.0.0.1:7999", os.getpid()))
    assert address_of(Settings(data_dir=tmp_path, temporal_address="temporal.internal:7233")) == (
        "temporal.internal:7233"
    )
    assert address_of(Settings(data_dir=tmp_path, temporal_address=None)) == "127.0.0.1:7999"


@pytest.mark.parametrize(
    "note", [None, "", "{", "[]", '{"pid": 1}', '{"address": "127.0.0.1:7233", "pid": 99999999}']
)
def test_without_an_embedded_server_of_ones_own_no_address_is_guessed(
    tmp_path: Path, note: str | None
) -> None:
    if note is not None:
        (tmp_path / "temporal.json").write_text(note)
    with pytest.raises(DriverUnavailable, match="start `wayline up`, or set WAYLINE_TEMPORAL_ADDRESS"):
        address_of(Settings(data_dir=tmp_path, temporal_address=None))
