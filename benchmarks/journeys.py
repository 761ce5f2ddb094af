"""Three-message journeys per second beside a hand-written Temporal workflow that sends the same messages.

Both sides have as many processes as the machine has cores, send to the same local webhook receiver, and use
the same Temporal development server, one after the other in one run. Run it with
`python -m benchmarks.journeys`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

from benchmarks.ground import WEBHOOK_SECRET, WORKSPACE, databases, journey, machine, set_up
from benchmarks.sides import Share
from engine.demo.receivers import WebhookReceiver
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


class Side:
    """The processes of one side."""

    def __init__(self, receiver: WebhookReceiver, processes: Sequence[asyncio.subprocess.Process]) -> None:
        self._receiver = receiver
        self._processes = processes

    async def rate(self, plan: str, pause: float, round_: str, journeys: int = JOURNEYS) -> float:
        """Journeys per second, from the first one told to a process to the last message at the receiver."""
        before = self._receiver.applied
        each = journeys // len(self._processes)
        begun = perf_counter()
        for place, process in enumerate(self._processes):
            assert process.stdin is not None
            process.stdin.write(Share(round_, plan, pause, place * each, each).order())
        while self._receiver.applied - before < 3 * each * len(self._processes):
            gone = [process.returncode for process in self._processes if process.returncode is not None]
            assert not gone, f"a process ended with {gone}"
            await asyncio.sleep(0.005)
        return each * len(self._processes) / (perf_counter() - begun)


@asynccontextmanager
async def side(name: str, receiver: WebhookReceiver, environment: dict[str, str]) -> AsyncIterator[Side]:
    """The processes of this side, ready to be told."""
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
        yield Side(receiver, processes)
    finally:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        await asyncio.gather(*(process.wait() for process in processes))


async def measure(url: str, name: str, folder: Path) -> None:
    """Print the rates on one database."""
    temporal = EmbeddedServer(folder / f"temporal-{name}")
    environment = {
        "BENCH_DATABASE": url,
        "BENCH_TEMPORAL": await temporal.start(),
        "BENCH_FOLDER": str(folder),
        "BENCH_WEBHOOK_SECRET": WEBHOOK_SECRET,
    }
    try:
        for plan, pause in (("plain", 0.0), ("waiting", PAUSE)):
            for number in range(ROUNDS):
                mine = await _rate("ours", environment, plan, pause, f"{name}-{plan}-{number}")
                hand = await _rate("by_hand", environment, plan, pause, f"hand-{name}-{plan}-{number}")
                waits = f"two waits of {PAUSE:g} s" if pause else "no waits"
                rates = f"wayline {mine:>6.1f}/s   by hand {hand:>6.1f}/s   ratio {mine / hand:.1f}"
                print(f"  {name:11} {waits:18} {rates}", flush=True)
    finally:
        await temporal.stop()


async def _rate(name: str, environment: dict[str, str], plan: str, pause: float, round_: str) -> float:
    """One round of one side, whose processes are there for it alone and have warmed up."""
    async with WebhookReceiver() as receiver:
        there = {"BENCH_WEBHOOK_URL": f"http://127.0.0.1:{receiver.port}/"}
        async with side(name, receiver, environment | there) as it:
            await it.rate("plain", 0.0, f"warm-{round_}", WARM_UP)
            return await it.rate(plan, pause, round_)


def main() -> int:
    """Print the rates for both databases."""
    print(
        f"journeys of three messages, {JOURNEYS} at a time, {PROCESSES} processes a side, "
        f"everything on one machine ({machine()})"
    )
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as urls:
        for name, url in urls.items():
            set_up(url, FILES)
            asyncio.run(measure(url, name, Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
