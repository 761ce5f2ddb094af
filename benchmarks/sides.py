"""One process of either side of the journeys' benchmark: told on stdin what to send, it sends it.

Started by `benchmarks.journeys` as `python -m benchmarks.sides SIDE`, with what it needs in the environment;
it prints a line when it is ready and leaves when stdin ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.handwritten import QUEUE, Handwritten, Sending, Welcome
from engine.intake.carrying import Carrier
from engine.intake.segment import translate
from engine.services import build_services, load_driver_module
from engine.settings import Settings

AT_ONCE = 40
BATCH = 50


@dataclass(frozen=True)
class Share:
    """What one process is to send of a round: so many contacts, each three messages."""

    round: str
    plan: str
    """plain | waiting"""
    pause: float
    """Seconds of each wait, for the workflow by hand; ours stands in its journey."""
    first: int
    count: int

    def order(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


async def ours() -> None:
    """Intake, carrier, dispatcher and worker in one process, as `wayline up` has them."""
    settings = Settings(
        database_url=os.environ["BENCH_DATABASE"],
        temporal_address=os.environ["BENCH_TEMPORAL"],
        data_dir=Path(os.environ["BENCH_FOLDER"]),
    )
    services = build_services(settings)
    stop = asyncio.Event()
    parts = [
        asyncio.create_task(load_driver_module().run_worker(services, stop)),
        asyncio.create_task(services.dispatcher.run(stop)),
    ]
    carrier = Carrier(services.runs.carry, at_once=AT_ONCE)
    try:
        async for share in _shares():
            numbers = range(share.first, share.first + share.count)
            for first in range(0, share.count, BATCH):
                batch = [
                    translate(message)
                    for number in numbers[first : first + BATCH]
                    for message in _arrival(share.round, number, share.plan)
                ]
                receipt = await services.store.run(services.intake.accept, batch, source="bench")
                carrier.hand(receipt.run_ids)
    finally:
        stop.set()
        await carrier.drain(10)
        await asyncio.gather(*parts)
        await services.close()


async def by_hand() -> None:
    """Starts its workflows and works on them."""
    client = await Client.connect(os.environ["BENCH_TEMPORAL"])
    places = asyncio.Semaphore(AT_ONCE)

    async def start(share: Share, number: int) -> None:
        async with places:
            await client.start_workflow(
                Handwritten.run,
                Welcome(f"{share.round}-{number}", share.pause),
                id=f"{share.round}/{number}",
                task_queue=QUEUE,
            )

    async with (
        httpx.AsyncClient(base_url=os.environ["BENCH_WEBHOOK_URL"]) as http,
        Worker(client, task_queue=QUEUE, workflows=[Handwritten], activities=[Sending(http).send]),
    ):
        async for share in _shares():
            numbers = range(share.first, share.first + share.count)
            await asyncio.gather(*(start(share, number) for number in numbers))


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


async def _shares() -> AsyncIterator[Share]:
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield Share(**json.loads(line))


SIDES = {"ours": ours, "by_hand": by_hand}

if __name__ == "__main__":
    asyncio.run(SIDES[sys.argv[1]]())
