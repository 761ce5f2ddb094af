"""Many processes on one PostgreSQL deliver the same messages at once, and one of them is killed meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from engine.contacts.consent import ConsentEntry, record_consent
from engine.delivery.intents import plan
from engine.gate.model import Intent
from engine.governance.publishing import publish
from engine.store.database import Store
from engine.store.tables import CapPlaceRow, ContactRow, IdentityRow, IntentRow
from tests.delivery.hammer import NOW
from tests.gate.test_schedules import bundle

ROOT = Path(__file__).parents[2]
PROCESSES = 3
EARLIER = NOW - timedelta(minutes=5)


def fill(store: Store, contacts: int) -> None:
    """Contacts with seven messages each: six of marketing on both channels, and one of service."""
    with store.begin() as session:
        publish(session, dict(bundle().files), by="test", now=EARLIER)
        for number in range(contacts):
            name = f"c{number}"
            session.add(ContactRow(id=name, created_at=EARLIER, timezone="Europe/Berlin"))
            for platform in ("email", "app"):
                row = IdentityRow(
                    platform=platform, address=f"{name}-{platform}", contact_id=name, added_at=EARLIER
                )
                session.add(row)
            session.flush()
            record_consent(session, ConsentEntry(name, "marketing", "granted", EARLIER))
            for each in range(7):
                channels = ("app",) if each == 6 else (("email", "app") if each % 2 else ("app", "email"))
                purpose = "service" if each == 6 else "marketing"
                wish = Intent(f"{name}-{each}", name, purpose, 50, "hello", channels, "s", 1, EARLIER)
                plan(session, wish, now=EARLIER)


def hammer(url: str, seed: int, hours: int = 0, origin: float | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.delivery.hammer", url, str(seed), str(hours)]
    command += [] if origin is None else [str(origin)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def hold_out(url: str, contacts: int) -> None:
    """Fill the database, let the processes loose on it, kill one, and look whether every cap has held."""
    with closing(Store(url)) as store:
        fill(store, contacts)
        with ExitStack() as running:
            processes = [running.enter_context(hammer(url, seed)) for seed in range(PROCESSES)]
            victim = processes[0]
            assert victim.stdout is not None
            assert victim.stdout.readline() == "ready\n"
            victim.kill()
            assert [process.wait() for process in processes[1:]] == [0] * (PROCESSES - 1)
        with hammer(url, PROCESSES, hours=1) as last:  # leases are over: what the victim left is taken up
            assert last.wait() == 0
        with store.read() as session:
            intents = {row.key: row for row in session.scalars(select(IntentRow))}
            places = [row for row in session.scalars(select(CapPlaceRow)) if row.state != "released"]
        used = Counter((row.contact_id, row.cap_id) for row in places)
        limits = {"two_in_ten_hours": 2, "emails_a_day": 1, "app_quota": 3}
        over = {key: count for key, count in used.items() if count > limits[key[1]]}
        assert over == {}
        sent = {key for key, row in intents.items() if row.outcome in {"sent", "unknown"}}
        assert {row.intent_key for row in places} == sent
        assert {row.state for row in places} == {"confirmed"}
        # Exactly as many as the caps have room for: two of marketing, and the message of service.
        found = Counter(intents[key].contact_id for key in sent)
        assert set(found.values()) == {3}
        assert len(found) == contacts
        assert {row.state for key, row in intents.items() if key not in sent} <= {"held", "ended"}


def test_no_cap_is_over_run_and_no_place_is_leaked(postgres_url: str) -> None:
    hold_out(postgres_url, contacts=6)


@pytest.mark.long
def test_nor_among_very_many(postgres_url: str) -> None:
    hold_out(postgres_url, contacts=int(os.environ.get("WAYLINE_HAMMERED", "2000")))
