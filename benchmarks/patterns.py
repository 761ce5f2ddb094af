"""Patterns and counts: 100,000 contacts in memory, and events per second into the database with both.

Run it with `python -m benchmarks.patterns`.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import orjson

from benchmarks.ground import WORKSPACE, databases, journey, machine, set_up
from benchmarks.intake import measure
from engine.authoring.loading import bundle_of
from engine.contacts.counting import count_event
from engine.contacts.profile import Profile
from engine.journeys.event import Event
from engine.journeys.recognising import Recogniser
from engine.rules.matcher import Matcher
from engine.services import build_services
from engine.settings import Settings

CONTACTS = 100_000
EVENTS = 500_000
START = datetime(2026, 3, 1, tzinfo=UTC)

COUNTS = {
    "counts.yaml": """
        kind: tags
        id: counts
        title: counts
        owner: bench
        counts:
          - {id: orders_90d, of: {event: order_paid}, within: 90d}
          - {id: spend_90d, sum: amount, of: {event: order_paid}, within: 90d}
          - {id: active_7d, of: {activity: true}, within: 7d}
    """
}


def pattern(id_: str, lines: str) -> dict[str, str]:
    """A journey that is entered by a pattern."""
    found = journey(id_, "order_paid", "- {wait: pause, for: 365d}", reentry="{once_per: event.order_id}")
    text = found[f"{id_}.yaml"]
    return {f"{id_}.yaml": text.replace("  event: order_paid\n", f"  pattern: {lines}\n")}


PATTERNS = {
    **pattern(
        "row",
        "{count: {event: order_paid, when: {event.amount: {gte: 300}}}, at_least: 3, in_a_row: true,"
        " within: 7d}",
    ),
    **pattern(
        "dearer",
        "{sequence: [{event: order_paid, as: one, when: {event.amount: {gte: 390}}}, {event: order_paid,"
        " as: two, when: {two.amount: {gt: {fact: one.amount}}}}], within: 2d}",
    ),
}


def in_memory() -> None:
    """Events of 100,000 contacts, a tenth of them out of order; what is kept of each at the end."""
    bundle = bundle_of(
        {name: text.replace("\n        ", "\n").lstrip() for name, text in (WORKSPACE | COUNTS).items()}
        | PATTERNS
    )
    matcher = Matcher(bundle.rules)
    recogniser = Recogniser(bundle.patterns, matcher)
    draw = random.Random(1)
    kept = [orjson.dumps(recogniser.begin())] * CONTACTS
    profiles = [Profile(str(number), created_at=START) for number in range(CONTACTS)]
    completed, spent, begun = 0, 0.0, perf_counter()
    for seq in range(1, EVENTS + 1):
        who = draw.randrange(CONTACTS)
        now = START + timedelta(seconds=3 * seq)
        late = timedelta(hours=draw.randrange(1, 48)) if draw.random() < 0.1 else timedelta()
        properties = {"order_id": str(seq), "amount": draw.randrange(1, 400)}
        event = Event(str(seq), "order_paid", str(who), now - late, now, "bench", properties, seq)
        here = perf_counter()
        seen, pasts = recogniser.look(event, orjson.loads(kept[who]))
        kept[who] = orjson.dumps(pasts)
        count_event(profiles[who], event, bundle, matcher)
        profiles[who].last_event_seq = seq
        spent += perf_counter() - here
        completed += sum("/" not in name for name in seen.patterns)
    took = perf_counter() - begun
    sizes = sorted(map(len, kept))
    tallies = sorted(len(orjson.dumps(profile.counts)) for profile in profiles)
    print(f"  {EVENTS:,} events over {CONTACTS:,} contacts in {took:.0f} s, {completed:,} patterns complete")
    print(
        f"  {EVENTS / spent:>8,.0f} events/s, two patterns and three counts each, their JSON read and written"
    )
    for name, found in (("patterns", sizes), ("counts", tallies)):
        mean, most = sum(found) / CONTACTS, found[-1]
        print(f"  kept for {name:8}  {mean:>5,.0f} bytes a contact, {most:,} at most")
    matcher.close()


async def compare(url: str, name: str, folder: Path) -> None:
    """Print the rate on one database."""
    services = build_services(Settings(database_url=url, data_dir=folder))
    try:
        rate = await asyncio.to_thread(measure, services.intake, 0, 70)
        print(f"  {name:11} two patterns and three counts  {rate:>8,.0f} events/s", flush=True)
    finally:
        await services.close()


def main() -> int:
    """Print both."""
    print(f"patterns and counts ({machine()})")
    in_memory()
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as urls:
        for name, url in urls.items():
            set_up(url, WORKSPACE | COUNTS | PATTERNS)
            asyncio.run(compare(url, name, Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
