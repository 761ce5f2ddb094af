"""The embedded server: quick to start, keeps what sleeps, and is taken over when its owner was killed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from engine.journeys.driver import RunRef
from workflows.connection import connect, recorded
from workflows.devserver import EmbeddedServer, free_port
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
        assert free_port(int(first.address.rpartition(":")[2])) != int(first.address.rpartition(":")[2])
    finally:
        await first.stop()
