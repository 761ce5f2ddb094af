"""One process of many that deliver the same messages at once.

Run as `python -m tests.delivery.hammer URL SEED HOURS [ORIGIN]`: with an odd seed it tries every message
there is, in an order of its own; and then whatever is due or was left lying. With an origin its clock runs.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlmodel import col

from engine.clock import Clock, FixedClock
from engine.delivery.service import Delivery
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import load_registry
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import IntentRow
from plugins.generators import template

NOW = datetime(2026, 3, 30, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class SharedClock:
    """One clock for all processes of the machine: it was `NOW` when their monotonic clock showed `origin`."""

    origin: float

    def now(self) -> datetime:
        return NOW + timedelta(seconds=time.monotonic() - self.origin)


async def work(url: str, seed: int, clock: Clock) -> None:
    """Deliver everything as far as it goes by this clock."""
    mail, push = RecordingChannel("mail"), RecordingChannel("push", idempotent=True)
    registry = load_registry(entry_points=False, extra=[mail, push, template])
    with closing(Store(url)) as store:
        shelf = BundleShelf()
        delivery = Delivery(
            store, shelf, registry, clock, public_url="http://here", secret="s" * 32, at_once=8
        )
        with store.read() as session:
            keys = list(session.scalars(select(col(IntentRow.key))))
        random.Random(seed).shuffle(keys)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        if seed % 2:  # the others take them up by the page
            for start in range(0, len(keys), 16):
                await asyncio.gather(*(delivery.deliver(key) for key in keys[start : start + 16]))
        while await delivery.recover(100) + await delivery.deliver_due(100):
            pass
        await delivery.close()
        shelf.close()


if __name__ == "__main__":
    given = sys.argv[1:]
    asyncio.run(
        work(
            given[0],
            int(given[1]),
            SharedClock(float(given[3])) if given[3:] else FixedClock(NOW + timedelta(hours=int(given[2]))),
        )
    )
