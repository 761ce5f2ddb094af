"""The parts of an installation as coroutines that run side by side until one stop event is set."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import structlog

from engine.errors import CommandError, DriverUnavailable
from engine.journeys.lanes import Lane
from engine.services import EmbeddedServer, Services, load_driver_module

_log = structlog.get_logger(__name__)

Part = Callable[[asyncio.Event], Awaitable[None]]


async def run_parts(parts: Mapping[str, Part], stop: asyncio.Event) -> None:
    """Run every part until `stop` is set; a part that ends early or fails stops the others as well.

    Raises what the first failing part raised.
    """

    async def run(name: str, part: Part) -> None:
        try:
            await part(stop)
            if not stop.is_set():
                raise CommandError(f"{name} ended by itself")
        finally:
            stop.set()

    tasks = [asyncio.create_task(run(name, part), name=name) for name, part in parts.items()]
    done = await asyncio.gather(*tasks, return_exceptions=True)
    for found in done:
        if isinstance(found, BaseException):
            raise found


def dispatch_part(services: Services) -> Part:
    """The dispatcher."""
    return services.dispatcher.run


def worker_part(services: Services, lanes: Sequence[Lane] = tuple(Lane)) -> Part:
    """The worker of the installed driver, for runs of these lanes."""
    module = load_driver_module()
    return lambda stop: module.run_worker(services, stop, lanes)


def keep_alive_part(server: EmbeddedServer, *, pause: float = 2.0) -> Part:
    """Starts the embedded server again whenever it ends by itself; `pause` seconds after a failed start."""

    async def keep(stop: asyncio.Event) -> None:
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            exited = asyncio.create_task(server.exited())
            await asyncio.wait({exited, stopping}, return_when=asyncio.FIRST_COMPLETED)
            exited.cancel()
            if stop.is_set():
                break
            _log.error("the embedded temporal server ended by itself; starting it again")
            try:
                await server.start()
            except DriverUnavailable as error:
                _log.error("it did not start", error=str(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)

    return keep


@contextlib.asynccontextmanager
async def stopped_by_signals() -> AsyncIterator[asyncio.Event]:
    """An event that Ctrl-C, SIGTERM or a closed terminal sets; a second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def begin_to_stop() -> None:
        _log.info("stopping")
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, begin_to_stop)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
