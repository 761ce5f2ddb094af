"""Parts that run side by side: stopped together, and none left running when one fails."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from engine.cli.listening import listen
from engine.cli.serving import keep_alive_part, run_parts, stopped_by_signals
from engine.errors import CommandError, DriverUnavailable


def waiting(finished: list[str], name: str) -> Callable[[asyncio.Event], Awaitable[None]]:
    async def part(stop: asyncio.Event) -> None:
        await stop.wait()
        finished.append(name)

    return part


async def test_all_parts_finish_when_asked_to_stop() -> None:
    finished: list[str] = []
    stop = asyncio.Event()
    running = asyncio.create_task(
        run_parts({name: waiting(finished, name) for name in ("api", "worker")}, stop)
    )
    await asyncio.sleep(0)
    stop.set()
    await running
    assert sorted(finished) == ["api", "worker"]


async def test_a_part_that_fails_stops_the_others_and_is_reported() -> None:
    finished: list[str] = []

    async def failing(stop: asyncio.Event) -> None:
        raise CommandError("the port is taken")

    with pytest.raises(CommandError, match="the port is taken"):
        await run_parts({"api": failing, "worker": waiting(finished, "worker")}, asyncio.Event())
    assert finished == ["worker"]


async def test_a_part_that_ends_unasked_is_an_error() -> None:
    async def brief(stop: asyncio.Event) -> None:
        return

    with pytest.raises(CommandError, match="api ended by itself"):
        await run_parts({"api": brief}, asyncio.Event())


async def test_sigterm_asks_to_stop() -> None:
    async with stopped_by_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            await stop.wait()


@dataclass
class FlakyServer:
    """An embedded server that ends by itself a few times, and does not come back at once."""

    ends: int
    failing_starts: int = 0
    starts: int = 0
    ui_url: str | None = None
    stays: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> str:
        self.starts += 1
        if self.starts <= self.failing_starts:
            raise DriverUnavailable("the port is still taken")
        return "127.0.0.1:7233"

    async def exited(self) -> int:
        if self.ends:
            self.ends -= 1
            return 1
        self.stays.set()
        await asyncio.Event().wait()
        return 0

    async def stop(self) -> None:
        return


@pytest.mark.parametrize("failing_starts", [0, 1])
async def test_an_embedded_server_that_ends_is_started_again(failing_starts: int) -> None:
    server = FlakyServer(ends=2, failing_starts=failing_starts)
    stop = asyncio.Event()
    keeping = asyncio.ensure_future(keep_alive_part(server, pause=0)(stop))
    async with asyncio.timeout(10):
        await server.stays.wait()
    stop.set()
    await keeping
    assert server.starts == 2


def test_a_port_that_is_taken_is_said_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CommandError, match="set WAYLINE_PORT"):
            listen("127.0.0.1", taken.getsockname()[1])
