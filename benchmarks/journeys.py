"""Three-message journeys per second beside a hand-written Temporal workflow that sends the same messages.

Both deliver to the same local webhook receiver in one run, on the same Temporal development server. Run it
with `python -m benchmarks.journeys`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.ground import WEBHOOK_SECRET, WORKSPACE, databases, journey, machine, set_up
from benchmarks.handwritten import QUEUE, Handwritten, Sending, Welcome
from engine.demo.receivers import WebhookReceiver
from engine.intake.carrying import Carrier
from engine.intake.segment import translate
from engine.services import Services, build_services, load_driver_module
from engine.settings import Settings
from workflows.devserver import EmbeddedServer

JOURNEYS = 300
AT_ONCE = 40
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


class Arrivals:
    """Knows when so many messages have been applied at the receiver."""

    def __init__(self, receiver: WebhookReceiver) -> None:
        self._receiver = receiver
        self._before = receiver.applied

    async def count(self, messages: int) -> None:
        while self._receiver.applied - self._before < messages:
            await asyncio.sleep(0.005)


async def ours(services: Services, receiver: WebhookReceiver, plan: str, round_: str) -> float:
    """Journeys per second, from the first event handed to intake to the last message at the receiver."""
    batches = [
        [
            translate(message)
            for number in range(first, first + 50)
            for message in _arrival(round_, number, plan)
        ]
        for first in range(0, JOURNEYS, 50)
    ]
    arrivals = Arrivals(receiver)
    carrier = Carrier(services.runs.carry, at_once=AT_ONCE)
    begun = perf_counter()
    for batch in batches:
        receipt = await services.store.run(services.intake.accept, batch, source="bench")
        carrier.hand(receipt.run_ids)
    await arrivals.count(3 * JOURNEYS)
    took = perf_counter() - begun
    await carrier.drain(10)
    return JOURNEYS / took


def _arrival(round_: str, number: int, plan: str) -> list[dict[str, Any]]:
    user = f"{round_}-{number}"
    return [
        {"type": "identify", "messageId": f"i-{user}", "userId": user, "traits": {"app": f"device-{user}"}},
        {
            "type": "track",
            "event": "signed_up",
            "messageId": f"s-{user}",
            "userId": user,
            "properties": {"plan": plan},
        },
    ]


async def by_hand(client: Client, receiver: WebhookReceiver, pause: float, round_: str) -> float:
    """Workflows per second, from the first start to the last message at the receiver."""
    arrivals = Arrivals(receiver)
    places = asyncio.Semaphore(AT_ONCE)

    async def start(number: int) -> None:
        async with places:
            await client.start_workflow(
                Handwritten.run,
                Welcome(f"{round_}-{number}", pause),
                id=f"{round_}/{number}",
                task_queue=QUEUE,
            )

    begun = perf_counter()
    await asyncio.gather(*(start(number) for number in range(JOURNEYS)))
    await arrivals.count(3 * JOURNEYS)
    return JOURNEYS / (perf_counter() - begun)


async def measure(url: str, name: str, folder: Path) -> None:
    """Print the rates on one database."""
    async with WebhookReceiver() as receiver:
        os.environ["BENCH_WEBHOOK_URL"] = f"http://127.0.0.1:{receiver.port}/"
        os.environ["BENCH_WEBHOOK_SECRET"] = WEBHOOK_SECRET
        temporal = EmbeddedServer(folder / f"temporal-{name}")
        address = await temporal.start()
        settings = Settings(database_url=url, temporal_address=address, data_dir=folder)
        services = build_services(settings)
        stop = asyncio.Event()
        parts = [
            asyncio.create_task(load_driver_module().run_worker(services, stop)),
            asyncio.create_task(services.dispatcher.run(stop)),
        ]
        client = await Client.connect(address)
        try:
            async with (
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{receiver.port}") as http,
                Worker(client, task_queue=QUEUE, workflows=[Handwritten], activities=[Sending(http).send]),
            ):
                await _compare(services, client, receiver, name)
        finally:
            stop.set()
            await asyncio.gather(*parts)
            await services.close()
            await temporal.stop()


async def _compare(services: Services, client: Client, receiver: WebhookReceiver, name: str) -> None:
    for plan, pause in (("plain", 0.0), ("waiting", PAUSE)):
        for number in range(ROUNDS):
            mine = await ours(services, receiver, plan, f"{name}-{plan}-{number}")
            hand = await by_hand(client, receiver, pause, f"hand-{name}-{plan}-{number}")
            waits = f"two waits of {PAUSE:g} s" if pause else "no waits"
            rates = f"wayline {mine:>6.1f}/s   by hand {hand:>6.1f}/s   ratio {mine / hand:.1f}"
            print(f"  {name:11} {waits:18} {rates}", flush=True)


def main() -> int:
    """Print the rates for both databases."""
    print(f"journeys of three messages, {JOURNEYS} at a time, everything on one machine ({machine()})")
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as urls:
        for name, url in urls.items():
            set_up(url, FILES)
            asyncio.run(measure(url, name, Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
