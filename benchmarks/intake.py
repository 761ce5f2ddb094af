"""Events per second into the database: batches of 100, commit included, no runs carried.

Run it with `python -m benchmarks.intake`.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.ground import WORKSPACE, databases, journey, machine, set_up
from engine.intake.accepting import Intake
from engine.intake.incoming import Incoming
from engine.intake.segment import translate
from engine.services import build_services
from engine.settings import Settings

BATCH = 100
BATCHES = 100
CONTACTS = 5_000
SHARES = (0, 10, 100)
"""Percent of events that start a run."""


def batches(share: int, seed: int) -> list[list[Incoming]]:
    """Orders of known and new contacts; `share` percent are large enough to start a run."""
    draw = random.Random(seed)
    return [
        [translate(_order(f"{seed}-{batch}-{place}", share, draw)) for place in range(BATCH)]
        for batch in range(BATCHES)
    ]


def _order(id_: str, share: int, draw: random.Random) -> dict[str, Any]:
    amount = 1000 if draw.random() * 100 < share else draw.randrange(1, 400)
    return {
        "type": "track",
        "event": "order_paid",
        "messageId": f"order-{id_}",
        "userId": f"user-{draw.randrange(CONTACTS)}",
        "properties": {"order_id": id_, "amount": amount},
    }


def measure(intake: Intake, share: int, seed: int) -> float:
    """Events per second; raises AssertionError when one was not accepted."""
    for batch in batches(share, seed + 1)[:10]:
        intake.accept(batch, source="warm-up")
    load = batches(share, seed)
    begun = perf_counter()
    accepted = sum(intake.accept(batch, source="bench").accepted for batch in load)
    took = perf_counter() - begun
    assert accepted == BATCH * BATCHES
    return accepted / took


async def compare(url: str, name: str, folder: Path) -> None:
    """Print the rates on one database."""
    services = build_services(Settings(database_url=url, data_dir=folder))
    try:
        for seed, share in enumerate(SHARES):
            rate = await asyncio.to_thread(measure, services.intake, share, seed * 10)
            print(f"  {name:11} {share:>3} % of events start a run  {rate:>8,.0f} events/s", flush=True)
    finally:
        await services.close()


def main() -> int:
    """Print the rates for both databases."""
    big = journey(
        "big_order",
        "order_paid",
        "- {wait: pause, for: 1d}\n- {send: thanks, content: hello, channels: [app]}",
        when="{event.amount: {gte: 1000}}",
        reentry="{once_per: event.order_id}",
    )
    print(f"intake, batches of {BATCH}, one process, commit included ({machine()})")
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as urls:
        for name, url in urls.items():
            set_up(url, WORKSPACE | big)
            asyncio.run(compare(url, name, Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
