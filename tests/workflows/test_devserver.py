"""The embedded server: quick to start, keeps what sleeps, and is taken over when its owner was killed."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from engine.errors import DriverUnavailable
from engine.journeys.driver import RunRef
from tests.ports import free_port
from workflows import devserver
from workflows.connection import connect, recorded
from workflows.devserver import EmbeddedServer
from workflows.driver import TemporalDriver

pytestmark = pytest.mark.temporal

RUN = RunRef("run-1", "welcome", "contact-1", "once", "v1")


def driver_of(server: EmbeddedServer) -> TemporalDriver:
    return TemporalDriver(lambda: connect(server.address, "default"))


async def test_a_sleeping_run_is_still_there_after_the_server_was_killed(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path, port=free_port())
    await server.start()
    await driver_of(server).start(RUN)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert await server.exited() == -signal.SIGKILL
    await server.start()
    try:
        assert await driver_of(server).is_running(RUN)
    finally:
        await server.stop()


async def test_a_server_whose_owner_was_killed_is_taken_over(tmp_path: Path) -> None:
    orphaned = EmbeddedServer(tmp_path, port=free_port())
    await orphaned.start()
    heir = EmbeddedServer(tmp_path)
    await heir.start()
    assert (heir.address, heir.pid) == (orphaned.address, orphaned.pid)
    await asyncio.gather(heir.stop(), orphaned.exited())
    assert heir.pid is None


async def test_a_server_that_does_not_answer_gets_no_second_one_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devserver, "START_WITHIN", timedelta(seconds=3))
    silent = EmbeddedServer(tmp_path, port=free_port())
    await silent.start()
    assert silent.pid is not None
    os.kill(silent.pid, signal.SIGSTOP)
    heir = EmbeddedServer(tmp_path)
    try:
        with pytest.raises(DriverUnavailable, match=f"process {silent.pid}.*does not answer"):
            await heir.start()
    finally:
        os.kill(silent.pid, signal.SIGCONT)
    await heir.start()
    assert heir.pid == silent.pid, "it answers again"
    await asyncio.gather(heir.stop(), silent.exited())


async def test_the_address_is_left_for_other_commands_while_it_runs(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path, port=free_port())
    address = await server.start()
    noted = recorded(tmp_path / "temporal.json")
    await server.stop()
    assert noted is not None
    assert noted.address == address
    assert recorded(tmp_path / "temporal.json") is None


async def test_a_port_in_use_is_avoided_unless_it_was_asked_for(tmp_path: Path) -> None:
    first = EmbeddedServer(tmp_path / "first", port=free_port())
    await first.start()
    try:
        assert devserver.free_port(int(first.address.rpartition(":")[2])) != int(
            first.address.rpartition(":")[2]
        )
    finally:
        await first.stop()


async def test_installations_that_start_at_once_all_start(tmp_path: Path) -> None:
    """Each finds the usual port of the pages free before any of them has taken it."""
    servers = [EmbeddedServer(tmp_path / name, with_ui=True) for name in ("one", "two", "three")]
    try:
        await asyncio.gather(*(server.start() for server in servers))
        assert len({server.address for server in servers}) == 3
        assert len({server.ui_url for server in servers}) == 3
    finally:
        await asyncio.gather(*(server.stop() for server in servers))


async def test_a_server_that_cannot_start_is_said_with_the_place_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "temporal.db").mkdir()
    server = EmbeddedServer(tmp_path)
    with pytest.raises(DriverUnavailable, match=r"did not start; see .*temporal\.log"):
        await server.start()
    assert recorded(tmp_path / "temporal.json") is None
