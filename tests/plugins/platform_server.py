"""A platform on loopback: plain HTTP in a thread and a loop of its own, answered by one function."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    raw_query: str
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What the platform answers; `drop` closes the connection after the request was worked on."""

    data: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False


@contextmanager
def serving(answer: Callable[[Request], Reply]) -> Iterator[str]:
    """The address at which `answer` is asked, one request at a time."""
    ready, stop = threading.Event(), asyncio.Event()
    found: list[Any] = []
    open_: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_.add(task)
        try:
            while True:
                reply = answer(await _read(reader))
                if reply.drop:
                    return
                body = json.dumps(reply.data, ensure_ascii=False).encode()
                headers = {
                    "content-type": "application/json",
                    "content-length": str(len(body)),
                    **reply.headers,
                }
                head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                writer.write(f"HTTP/1.1 {reply.status} Said\r\n{head}\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            open_.discard(task)
            writer.close()

    async def run() -> None:
        found.append(asyncio.get_running_loop())
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        found.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        ready.set()
        await stop.wait()
        server.close()
        for task in list(open_):
            task.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(30)
    try:
        yield found[1]
    finally:
        found[0].call_soon_threadsafe(stop.set)
        thread.join(30)


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *lines = head.split("\r\n")
    method, target, _ = line.split(" ", 2)
    headers = {
        name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines if each)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    split = urlsplit(target)
    return Request(method, split.path, dict(parse_qsl(split.query)), split.query, headers, body)
