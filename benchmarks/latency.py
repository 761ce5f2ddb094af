"""From the HTTP request with an event to its first message at the receiver, at a steady 20 events per second.

API, dispatcher and worker run as processes of their own over PostgreSQL; the journey waits after its message,
so every event also costs a workflow. Run it with `python -m benchmarks.latency`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Self

import httpx

from benchmarks.ground import WEBHOOK_SECRET, WORKSPACE, databases, journey, machine, set_up
from engine.demo.receivers import WebhookReceiver
from workflows.devserver import EmbeddedServer, free_port

RATE = 20
SECONDS = 30
WARM_UP = 3
"""Seconds at the same rate that are not counted."""
WRITE_KEY = "benchmark-write-key"

FILES = WORKSPACE | journey(
    "greeting",
    "signed_up",
    "- {send: hello, content: hello, channels: [app]}\n- {wait: later, for: 1d}\n"
    "- {send: again, content: hello, channels: [app]}",
)


class Timed(WebhookReceiver):
    """Notes when the message for each address arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: dict[str, float] = {}

    def note(self, headers: dict[str, str], body: bytes) -> None:
        for word in body.split(b'"'):
            if word.startswith(b"device-"):
                self.arrived.setdefault(word.decode(), perf_counter())


class Processes:
    """`wayline` processes with one environment; ended on leaving."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._running: list[asyncio.subprocess.Process] = []

    async def start(self, name: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running.append(
                await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "engine.cli", name, env=self._environment, stdout=log, stderr=log
                )
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running:
            process.terminate()
        await asyncio.gather(*(process.wait() for process in self._running))


async def measure(url: str, folder: Path) -> list[float]:
    """Seconds from request to message, one per event, in order of sending."""
    set_up(url, FILES)
    port = free_port()
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Timed())
        temporal = EmbeddedServer(folder)
        address = await temporal.start()
        stack.push_async_callback(temporal.stop)
        environment = {
            **os.environ,
            "WAYLINE_DATABASE_URL": url,
            "WAYLINE_DATA_DIR": str(folder),
            "WAYLINE_TEMPORAL_ADDRESS": address,
            "WAYLINE_PORT": str(port),
            "WAYLINE_WRITE_KEY": WRITE_KEY,
            "WAYLINE_OPERATOR_TOKEN": "benchmark-operator-token",
            "BENCH_WEBHOOK_URL": f"http://127.0.0.1:{receiver.port}/",
            "BENCH_WEBHOOK_SECRET": WEBHOOK_SECRET,
        }
        processes = await stack.enter_async_context(Processes(environment, folder))
        for name in ("api", "dispatch", "worker"):
            await processes.start(name)
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=(WRITE_KEY, ""), timeout=30)
        )
        await _until_ready(client)
        return await _drive(client, receiver)


async def _until_ready(client: httpx.AsyncClient) -> None:
    for _ in range(300):
        try:
            if (await client.get("/readyz")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise RuntimeError("the API never became ready")


async def _drive(client: httpx.AsyncClient, receiver: Timed) -> list[float]:
    """An open loop: an event leaves each 50 ms, whether or not the last one has been answered."""
    sent: dict[str, float] = {}
    begun = perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(RATE * (WARM_UP + SECONDS)):
            await asyncio.sleep(max(0.0, begun + number / RATE - perf_counter()))
            device = f"device-{number}"
            sent[device] = perf_counter()
            tasks.create_task(_send(client, number, device))
    for _ in range(600):
        if len(receiver.arrived) == len(sent):
            break
        await asyncio.sleep(0.1)
    counted = list(sent)[RATE * WARM_UP :]
    return [receiver.arrived[device] - sent[device] for device in counted]


async def _send(client: httpx.AsyncClient, number: int, device: str) -> None:
    user = f"user-{number}"
    batch = [
        {"type": "identify", "messageId": f"i-{number}", "userId": user, "traits": {"app": device}},
        {"type": "track", "event": "signed_up", "messageId": f"s-{number}", "userId": user},
    ]
    (await client.post("/v1/batch", json={"batch": batch})).raise_for_status()


def main() -> int:
    """Print the percentiles."""
    print(f"event to first message, {RATE} events/s for {SECONDS} s, PostgreSQL ({machine()})")
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as urls:
        took = sorted(asyncio.run(measure(urls["PostgreSQL"], Path(folder))))
        figures = {50: took[len(took) // 2], 99: took[len(took) * 99 // 100], 100: took[-1]}
        print("  " + "   ".join(f"p{share} {value * 1000:,.0f} ms" for share, value in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
