"""Three-message journeys per second beside a hand-written Temporal workflow that sends the same messages.

Both sides have as many processes as the machine has cores, send to the same local webhook receiver, and use
the same Temporal development server, one after the other in one run. Beside rates it counts the processor
time that a side's processes, its database and Temporal take for a journey: that ratio holds on a busy machine
too. Run it with `python -m benchmarks.journeys [SQLite|PostgreSQL]`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.ground import WEBHOOK_SECRET, WORKSPACE, databases, journey, machine, set_up
from benchmarks.sides import Share
from benchmarks.spending import database_server, spent
from engine.demo.receivers import WebhookReceiver
from engine.store.database import open_store
from workflows.devserver import EmbeddedServer

JOURNEYS = 400
WARM_UP = 60
PROCESSES = os.cpu_count() or 1
PAUSE = 1.0
"""Seconds of each of the two waits, in the variant that waits."""
ROUNDS = 2

WITHOUT_WAITS = """
    - {send: first, content: hello, channels: [app]}
    - {send: second, content: hello, channels: [app]}
    - {send: third, content: hello, channels: [app]}
"""
WITH_WAITS = """
    - {send: first, content: hello, channels: [app]}
    - {wait: pause, for: 1s}
    - {send: second, content: hello, channels: [app]}
    - {wait: rest, for: 1s}
    - {send: third, content: hello, channels: [app]}
"""
FILES = (
    WORKSPACE
    | journey("plain", "signed_up", WITHOUT_WAITS, when="{event.plan: plain}")
    | journey("waiting", "signed_up", WITH_WAITS, when="{event.plan: waiting}")
)


@dataclass(frozen=True)
class Rate:
    """How fast one side was, and what a journey cost it."""

    journeys: float
    """Per second of the clock on the wall."""
    processes: float
    """Milliseconds of processor time for a journey, of the side's own processes."""
    database: float
    """The same of the database's server; SQLite's work is done in the processes."""
    temporal: float

    @property
    def cost(self) -> float:
        return self.processes + self.database + self.temporal

    def __str__(self) -> str:
        parts = f"{self.processes:.1f} + {self.database:.1f} + {self.temporal:.1f}"
        return f"{self.journeys:>6.1f}/s {self.cost:>5.1f} ms ({parts})"


class Side:
    """The processes of one side, beside the servers that it uses."""

    def __init__(
        self,
        receiver: WebhookReceiver,
        processes: Sequence[asyncio.subprocess.Process],
        database: Sequence[int],
        temporal: Sequence[int],
    ) -> None:
        self._receiver = receiver
        self._processes = processes
        self._pids = ([process.pid for process in processes], database, temporal)

    async def rate(self, plan: str, pause: float, round_: str, journeys: int = JOURNEYS) -> Rate:
        """Measured from the first journey told to a process to the last message at the receiver."""
        before = self._receiver.applied
        each = journeys // len(self._processes)
        spent_before = [spent(pids) for pids in self._pids]
        begun = perf_counter()
        for place, process in enumerate(self._processes):
            assert process.stdin is not None
            process.stdin.write(Share(round_, plan, pause, place * each, each).order())
        while self._receiver.applied - before < 3 * each * len(self._processes):
            gone = [process.returncode for process in self._processes if process.returncode is not None]
            assert not gone, f"a process ended with {gone}"
            await asyncio.sleep(0.02)
        taken = perf_counter() - begun
        done = each * len(self._processes)
        costs = [
            (spent(pids) - before) * 1000 / done
            for pids, before in zip(self._pids, spent_before, strict=True)
        ]
        return Rate(done / taken, *costs)


@asynccontextmanager
async def side(
    name: str,
    receiver: WebhookReceiver,
    environment: dict[str, str],
    database: Sequence[int],
    temporal: Sequence[int],
) -> AsyncIterator[Side]:
    """The processes of this side, ready to be told; beside them the process ids of both servers."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "benchmarks.sides", name),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **environment},
        )
        for _ in range(PROCESSES)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        yield Side(receiver, processes, database, temporal)
    finally:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        await asyncio.gather(*(process.wait() for process in processes))


@dataclass(frozen=True)
class Servers:
    """What both sides use, and where it is found."""

    environment: dict[str, str]
    database: Sequence[int]
    temporal: Sequence[int]


async def measure(url: str, name: str, folder: Path) -> None:
    """Print the rates on one database."""
    temporal = EmbeddedServer(folder / f"temporal-{name}")
    environment = {
        "BENCH_DATABASE": url,
        "BENCH_TEMPORAL": await temporal.start(),
        "BENCH_FOLDER": str(folder),
        "BENCH_WEBHOOK_SECRET": WEBHOOK_SECRET,
    }
    store = open_store(url)
    servers = Servers(environment, database_server(store), [temporal.pid] if temporal.pid else [])
    store.close()
    try:
        for plan, pause in (("plain", 0.0), ("waiting", PAUSE)):
            for number in range(ROUNDS):
                mine = await _rate("ours", servers, plan, pause, f"{name}-{plan}-{number}")
                hand = await _rate("by_hand", servers, plan, pause, f"hand-{name}-{plan}-{number}")
                waits = f"two waits of {PAUSE:g} s" if pause else "no waits"
                print(f"  {name:10} {waits:16} wayline {mine}   by hand {hand}", flush=True)
                rate, cost = mine.journeys / hand.journeys, hand.cost / mine.cost
                print(f"  {'':27} ratio {rate:.1f}, of processor time {cost:.1f}", flush=True)
    finally:
        await temporal.stop()


async def _rate(name: str, servers: Servers, plan: str, pause: float, round_: str) -> Rate:
    """One round of one side, whose processes are there for it alone and have warmed up."""
    async with WebhookReceiver() as receiver:
        environment = servers.environment | {"BENCH_WEBHOOK_URL": f"http://127.0.0.1:{receiver.port}/"}
        async with side(name, receiver, environment, servers.database, servers.temporal) as it:
            await it.rate(plan, pause, f"warm-{round_}", WARM_UP)
            return await it.rate(plan, pause, round_)


def main(only: Sequence[str] = ()) -> int:
    """Print the rates for both databases, or only for those that are named."""
    print(
        f"journeys of three messages, {JOURNEYS} at a time, {PROCESSES} processes a side, "
        f"everything on one machine ({machine()});\n"
        "journeys a second, and milliseconds of processor time for each: processes + database + Temporal"
    )
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as urls:
        for name, url in urls.items():
            if not only or name in only:
                set_up(url, FILES)
                asyncio.run(measure(url, name, Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
