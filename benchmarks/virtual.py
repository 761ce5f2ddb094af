"""Virtual time: 10,000 contacts through a year of the shipped journeys, on one core.

Purchases are those of the CDNOW sample, customer by customer, repeated until there are enough contacts; what
that data does not hold (addresses, zones, consents, browsing, birthdays) is made up from a fixed seed. The
figure that counts is processor time: it does not depend on what else the machine does.

Run it with `python -m benchmarks.virtual [CONTACTS] [DAYS]`.
"""

from __future__ import annotations

import asyncio
import random
import resource
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time

from benchmarks.ground import machine
from engine.authoring.bundle import Bundle
from engine.authoring.loading import load_folder
from engine.demo.histories import FIRST_DAY, Purchase, make_person, read_purchases
from engine.plugin.registry import load_registry
from engine.simulation.histories import Happening, History, live
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld

ROOT = Path(__file__).resolve().parents[1]
START = datetime.combine(FIRST_DAY, datetime.min.time(), UTC)
AIM = 60.0
"""Seconds of processor time for 10,000 contacts through 365 days."""


def histories(days: int) -> list[list[Purchase]]:
    """The purchases of each customer within the first so many days."""
    found: dict[str, list[Purchase]] = {}
    until = FIRST_DAY + timedelta(days=days)
    for purchase in read_purchases(ROOT / "data" / "cdnow" / "CDNOW_sample.txt.gz"):
        if purchase.day < until:
            found.setdefault(purchase.customer, []).append(purchase)
    return list(found.values())


def life(number: int, purchases: list[Purchase]) -> History:
    """One contact and everything that happens to them."""
    made = make_person(str(number), 1)
    dice = random.Random(number)
    birthday = f"{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}"
    person = Person(
        f"c{number}",
        identities={"email": made.email, "app": made.app},
        consents=("marketing",) if made.consents else (),
        timezone=made.timezone,
        locale=made.locale,
        attributes={"birthday": birthday} if dice.random() < 0.5 else {},
    )
    events: list[Happening] = []
    for purchase in purchases:
        bought = datetime.combine(purchase.day, datetime.min.time(), UTC)
        bought += timedelta(minutes=dice.randrange(8 * 60, 22 * 60))
        for before in (50, 20):
            seen = {"product_id": f"p{dice.randrange(500)}", "price": purchase.amount}
            events.append(Happening(bought - timedelta(minutes=before), "product_viewed", seen))
        chosen = {"product_id": seen["product_id"]}
        events.append(Happening(bought - timedelta(minutes=10), "cart_added", chosen))
        order = {
            "order_id": f"o{number}-{purchase.row}",
            "amount": purchase.amount,
            "pieces": purchase.pieces,
        }
        events.append(Happening(bought, "order_paid", order))
    added = events[0].at - made.lead
    events.append(Happening(max(added, START), "contact_added", {"origin": "cdnow"}))
    if dice.random() < 0.3:
        at = added + timedelta(days=dice.randrange(300))
        watched = {"video_id": "v1", "percent": dice.randrange(101)}
        events.append(Happening(max(at, START), "video_watched", watched))
    if dice.random() < 0.1:
        at = added + timedelta(days=dice.randrange(300))
        mood = dice.choice(["positive", "negative"])
        events.append(Happening(max(at, START), "feedback_received", {"sentiment": mood}))
    return History(person, sorted(events, key=lambda event: event.at))


def shipped() -> Bundle:
    """The rulesets that come with Wayline."""
    bundle = load_folder(ROOT / "rulesets", load_registry()).bundle
    assert bundle is not None, "the shipped rulesets are sound"
    return bundle


async def run(bundle: Bundle, contacts: int, days: int) -> tuple[Counter[str], float]:
    """What was counted, and the seconds of processor time it took."""
    known = histories(days)
    lives = [life(number, known[number % len(known)]) for number in range(contacts)]
    counted: Counter[str] = Counter()
    begun = process_time()
    # As in `wayline backtest`: where people live one by one, nobody knows the figures of breakers.
    with closing(VirtualWorld(bundle, START, watches=False)) as world:
        for history in lives:
            await live(world, history, START, START + timedelta(days=days))
            counted["events"] += len(history.happenings)
            counted.update(f"event {each.event}" for each in history.happenings)
            counted["decisions"] += len(world.decisions)
            counted["messages"] += len(world.sends)
            counted["runs"] += sum(each.reason == "entry.entered" for each in world.decisions)
            counted.update(f"{each.kind} {each.reason}" for each in world.decisions)
    return counted, process_time() - begun


def main() -> int:
    """Print what a day holds and what the year costs."""
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    contacts, days = (*numbers, *(10_000, 365)[len(numbers) :])[:2]
    print(f"virtual time ({machine()})")
    counted, took = asyncio.run(run(shipped(), contacts, days))
    per_day = {name: counted[name] / days for name in ("events", "runs", "messages", "decisions")}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    aim = f" (aim: {AIM:.0f} s)" if (contacts, days) == (10_000, 365) else ""
    print(
        f"  {contacts:,} contacts through {days} days: {took:.1f} s of processor time{aim}, {memory:,.0f} MiB"
    )
    print("  a day holds " + ", ".join(f"{count:,.0f} {name}" for name, count in per_day.items()))
    if "-v" in sys.argv:
        for name, count in counted.most_common():
            print(f"    {count:>9,}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
