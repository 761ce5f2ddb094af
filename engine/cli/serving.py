"""The parts of an installation as coroutines that run side by side until one stop event is set."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

import structlog
import uvicorn

from engine.api.app import create_app
from engine.errors import CommandError, DriverUnavailable
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


def api_part(services: Services) -> Part:
    """The HTTP server on the address in the settings; CommandError at once when the port is taken."""
    listening = listen(services.settings.host, services.settings.port)

    async def serve(stop: asyncio.Event) -> None:
        config = uvicorn.Config(
            create_app(services),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
        server = _Server(config)
        stopping = asyncio.create_task(_stop_server(server, stop))
        try:
            await server.serve(sockets=[listening])
        finally:
            stopping.cancel()
            listening.close()

    return serve


def dispatch_part(services: Services) -> Part:
    """The dispatcher."""
    return services.dispatcher.run


def worker_part(services: Services) -> Part:
    """The worker of the installed driver."""
    module = load_driver_module()
    return lambda stop: module.run_worker(services, stop)


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
    """An event that Ctrl-C or SIGTERM sets; a second signal ends the process at once, as usual."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

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


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: several parts stop together here."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _stop_server(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A socket bound there; CommandError, naming the setting, when it cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise CommandError(
            f"cannot listen on {host}:{port} ({error.strerror}); set WAYLINE_PORT to another port"
        ) from error
    return listening
