"""Gated decisions per second on PostgreSQL, and what a long history costs a cap.

Four processes take up the same planned messages, as dispatchers do: each is claimed, judged, reserved and
handed over to a channel that answers at once, and settled, with every commit durable. Run it with
`python -m benchmarks.gate`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from benchmarks.ground import WORKSPACE, databases, machine, set_up
from benchmarks.spending import database_server, spent
from engine.clock import SystemClock
from engine.contacts.consent import ConsentEntry, record_consent
from engine.delivery.places import read_places
from engine.delivery.service import Delivery
from engine.gate.model import Cap, Counts, Intent, Purpose, RollingWindow, WhenFull
from engine.gate.state import GateRules, Moment
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import load_registry
from engine.store.bulk import insert_rows
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import CapPlaceRow, ContactRow, DecisionRow, IdentityRow, IntentRow
from plugins.generators import template

PROCESSES = 4
CONTACTS = 2_000
EACH = 5
"""Messages for each contact: two are sent, one is capped and two are held."""
PAGE = 200
"""As many as a dispatcher takes up at a time."""
HISTORIES = (10, 1_000, 10_000)
DAY = timedelta(days=1)
FILES = WORKSPACE | {
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: bench
        purposes: [{id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 3d}]
    """,
    "channels.yaml": """
        kind: channels
        id: channels
        title: channels
        owner: bench
        channels:
          - {id: app, plugin: recording, identity: app, settings: {}}
          - {id: email, plugin: recording, identity: email, settings: {}}
    """,
    "caps.yaml": """
        kind: caps
        id: caps
        title: caps
        owner: bench
        caps:
          - {id: app_a_day, counts: {channels: [app]}, limit: 1, window: {rolling: 24h}, when_full: defer}
          - {id: email_a_week, counts: {channels: [email]}, limit: 1, window: {rolling: 7d}, when_full: skip}
          - {id: thirty_a_month, counts: {}, limit: 30, window: {rolling: 30d}, when_full: skip}
    """,
}


def fill(url: str) -> None:
    """Plan all messages: of each contact three on the app and two by e-mail."""
    now = datetime.now(UTC) - timedelta(minutes=5)
    with closing(Store(url)) as store:
        for start in range(0, CONTACTS, 100):
            with store.begin() as session:
                names = [f"c{number}" for number in range(start, start + 100)]
                session.add_all(ContactRow(id=name, created_at=now) for name in names)
                session.add_all(
                    IdentityRow(platform=kind, address=f"{name}-{kind}", contact_id=name, added_at=now)
                    for name in names
                    for kind in ("app", "email")
                )
                session.flush()
                for name in names:
                    record_consent(session, ConsentEntry(name, "marketing", "granted", now))
                session.add_all(
                    IntentRow(
                        key=f"{name}-{number}",
                        step_id="s",
                        contact_id=name,
                        purpose="marketing",
                        content="hello",
                        channels=["app" if number < 3 else "email"],
                        bundle_hash="",
                        created_at=now,
                        updated_at=now,
                    )
                    for name in names
                    for number in range(EACH)
                )


async def work(url: str) -> None:
    """One process: deliver what is due until nothing is."""
    channel = RecordingChannel()
    registry = load_registry(entry_points=False, extra=[channel, template])
    with closing(Store(url)) as store:
        shelf = BundleShelf()
        delivery = Delivery(store, shelf, registry, SystemClock(), public_url="http://bench", secret="s" * 32)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        while await delivery.deliver_due(PAGE):
            pass
        sys.stdout.write("done\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        await delivery.close()
        shelf.close()


def decide(url: str) -> None:
    """Print how fast the processes get through."""
    command = [sys.executable, "-m", "benchmarks.gate", url]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    with closing(Store(url)) as store:
        server = database_server(store)
        _told(processes, "ready")
        pids = [process.pid for process in processes]
        before, before_database = spent(pids), spent(server)
        begun = perf_counter()
        _tell(processes)
        _told(processes, "done")
        took = perf_counter() - begun
        ours, database = spent(pids) - before, spent(server) - before_database
        _tell(processes)
        assert [process.wait() for process in processes] == [0] * PROCESSES
        with store.read() as session:
            reasons = Counter(session.scalars(select(col(DecisionRow.reason))).all())
            states = Counter(session.scalars(select(col(IntentRow.state))).all())
    total, held = sum(reasons.values()), states["held"]
    mix = f"{reasons['sent.accepted']:,} sent, {held:,} held, {reasons['cap.full'] - held:,} capped"
    print(f"  {total / took:,.0f} decisions/s: {total:,} in {took:.1f} s by {PROCESSES} processes ({mix})")
    each, database_each = 1e3 * ours / total, 1e3 * database / total
    print(
        f"  {each:.2f} ms of processor time each and {database_each:.2f} of the database: "
        f"{2e3 / (each + database_each):,.0f}/s is what two cores would do at best"
    )


def _tell(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def _told(processes: Sequence[subprocess.Popen[str]], word: str) -> None:
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{word}\n"


def look_back(name: str, url: str) -> None:
    """Print what it takes to read the places that decide, by how many there are."""
    cap = Cap("many", Counts(), 3, RollingWindow(365 * DAY), None, WhenFull.SKIP)
    purposes = {"marketing": Purpose("marketing", "marketing", "1", "marketing", DAY)}
    rules = GateRules("v", "UTC", purposes, {}, (cap,), {})
    now = datetime.now(UTC)
    with closing(Store(url)) as store:
        for sent in HISTORIES:
            contact = f"history-{sent}"
            rows: list[dict[str, Any]] = [
                {
                    "cap_id": cap.id,
                    "intent_key": f"{contact}-{number}",
                    "contact_id": contact,
                    "state": "confirmed",
                    "at": now - number * timedelta(minutes=30),
                    "purpose": "marketing",
                    "channel": "app",
                    "tags": [],
                }
                for number in range(sent)
            ]
            with store.begin() as session:
                insert_rows(session, CapPlaceRow, rows)
            intent = Intent("k", contact, "marketing", 50, "hello", ("app",), "s", 1, now)
            took = []
            with store.read() as session:
                for _ in range(300):
                    begun = perf_counter()
                    found = read_places(session, intent, rules, Moment(now, now))
                    took.append(perf_counter() - begun)
            print(
                f"  {name:11} {sent:>6,} past sends  {1e6 * median(took):>5.0f} µs  {len(found)} places read"
            )


def main() -> int:
    """Print decisions per second and the price of a history; with a URL be one of the processes."""
    if len(sys.argv) > 1:
        asyncio.run(work(sys.argv[1]))
        return 0
    load = f"load {os.getloadavg()[0]:.1f}"
    print(f"gated decisions, {CONTACTS * EACH:,} messages for {CONTACTS} contacts ({machine()}, {load})")
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as urls:
        url = urls["PostgreSQL"]
        set_up(url, FILES)
        fill(url)
        decide(url)
        print("reading the places of one cap that decide (median of 300)")
        for name, each in urls.items():
            look_back(name, each)
    return 0


if __name__ == "__main__":
    sys.exit(main())
