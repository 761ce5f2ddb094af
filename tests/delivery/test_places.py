"""Places in caps as rows: what is read of them, and what an edited cap makes of those it took before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from engine.delivery.places import read_places
from engine.gate.model import Cap, Counts, Intent, Purpose, RollingWindow, WhenFull
from engine.gate.state import GateRules, Moment
from engine.store.bulk import insert_rows
from engine.store.database import Store
from engine.store.tables import CapPlaceRow

NOW = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
CAP = Cap("three_a_week", Counts(purpose="marketing"), 3, RollingWindow(7 * DAY), None, WhenFull.SKIP)
PURPOSES = {
    "marketing": Purpose("marketing", "marketing", "1", "marketing", DAY),
    "service": Purpose("service", "service", "1", "transactional", DAY),
}
INTENT = Intent("this", "ann", "marketing", 50, "hello", ("email", "app"), "s", 1, NOW)


def rules(*caps: Cap) -> GateRules:
    return GateRules("v", "UTC", PURPOSES, {}, caps, {})


def fill(store: Store, many: int, *, channel: str = "email", contact: str = "ann") -> None:
    """That many confirmed places, an hour apart, the latest an hour ago."""
    rows = [
        {
            "cap_id": CAP.id,
            "intent_key": f"{contact}-{channel}-{n}",
            "contact_id": contact,
            "state": "confirmed",
            "at": NOW - (n + 1) * timedelta(hours=1),
            "purpose": "marketing",
            "channel": channel,
            "tags": [],
        }
        for n in range(many)
    ]
    with store.begin() as session:
        insert_rows(session, CapPlaceRow, rows)


def read(store: Store, *caps: Cap, intent: Intent = INTENT) -> list[str]:
    with store.read() as session:
        found = read_places(session, intent, rules(*caps), Moment(NOW, NOW))
    return [place.intent_key for place in found]


def test_of_ten_thousand_places_only_the_latest_few_are_read(store: Store) -> None:
    fill(store, 10_000)
    assert read(store, CAP) == [f"ann-email-{n}" for n in range(4)]


def test_one_statement_reads_the_places_of_all_caps(store: Store) -> None:
    fill(store, 5)
    statements: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert len(read(store, CAP, replace(CAP, id="other"), replace(CAP, id="another"))) == 4
    assert sum(each.startswith("SELECT") for each in statements) == 1


def test_a_cap_that_counts_less_by_now_is_decided_by_the_places_it_still_counts(store: Store) -> None:
    fill(store, 9, channel="app")
    fill(store, 40, channel="email")
    only_app = replace(CAP, counts=Counts(purpose="marketing", channels=("app",)))
    assert sorted(read(store, only_app)) == [f"ann-app-{n}" for n in range(4)]


@pytest.mark.parametrize(
    "counts", [Counts(purpose="service"), Counts(channels=("sms",)), Counts(contents=("x",))]
)
def test_caps_that_cannot_apply_are_not_read(store: Store, counts: Counts) -> None:
    fill(store, 3)
    assert read(store, replace(CAP, counts=counts)) == []


def test_another_contacts_places_are_nobody_elses(store: Store) -> None:
    fill(store, 3, contact="bob")
    assert read(store, CAP) == []
