"""The HTTP server as a part of a process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from engine.api.app import create_app, create_health_app
from engine.cli.serving import Part
from engine.errors import CommandError
from engine.services import Services


def api_part(services: Services) -> Part:
    """The HTTP server on the address in the settings; CommandError at once when the port is taken."""
    return _serving(create_app(services), listen(services.settings.host, services.settings.port))


def health_part(services: Services, port: int) -> Part:
    """What watches a process that has no API, on a port of its own; CommandError when that is taken."""
    listening = listen(services.settings.host, port, setting="WAYLINE_HEALTH_PORT")
    return _serving(create_health_app(services), listening)


def _serving(app: Callable[..., Any], listening: socket.socket) -> Part:
    async def serve(stop: asyncio.Event) -> None:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=10
        )
        server = _Server(config)
        stopping = asyncio.create_task(_stop_server(server, stop))
        try:
            await server.serve(sockets=[listening])
        finally:
            stopping.cancel()
            listening.close()

    return serve


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: several parts stop together here."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _stop_server(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True


def listen(host: str, port: int, *, setting: str = "WAYLINE_PORT") -> socket.socket:
    """A socket bound there; CommandError, naming the setting, when it cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise CommandError(
            f"cannot listen on {host}:{port} ({error.strerror}); set {setting} to another port"
        ) from error
    return listening
