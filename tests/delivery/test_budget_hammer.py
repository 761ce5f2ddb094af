"""Many processes spend one budget at once, and one of them is killed: never too much, and nothing lost."""

from __future__ import annotations

import os
import textwrap
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import select

from engine.contacts.consent import ConsentEntry, record_consent
from engine.delivery.intents import plan
from engine.gate.model import Intent
from engine.governance.publishing import publish
from engine.store.database import Store
from engine.store.tables import BudgetPlaceRow, BudgetPurseRow, ContactRow, IdentityRow, IntentRow
from tests.delivery.test_hammer import EARLIER, PROCESSES, hammer
from tests.gate.schedules import FILES

BUDGETS = """
    kind: budgets
    id: budgets
    title: budgets
    owner: us
    budgets:
      - id: all
        unit: messages
        pays_for: {}
        limit: LIMIT
        window: {calendar: month, timezone: workspace}
        pace: free
        when_spent: skip
      - id: another
        unit: messages
        pays_for: {channels: [email]}
        limit: 100000
        window: {calendar: month, timezone: workspace}
        when_spent: skip
"""


def fill(store: Store, contacts: int, each: int, limit: int) -> None:
    files = {name: text for name, text in FILES.items() if name != "caps.yaml"}
    files["budgets.yaml"] = BUDGETS.replace("LIMIT", str(limit))
    with store.begin() as session:
        published = {name: textwrap.dedent(text) for name, text in files.items()}
        publish(session, published, by="test", now=EARLIER)
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
            for wish in range(each):
                intent = Intent(f"{name}-{wish}", name, "marketing", 50, "hello", ("email",), "s", 1, EARLIER)
                plan(session, intent, now=EARLIER)


def hold_out(url: str, contacts: int, each: int, limit: int) -> None:
    """Let the processes loose on the budget, kill one, and look whether the sums are right."""
    with closing(Store(url)) as store:
        fill(store, contacts, each, limit)
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
            places = [row for row in session.scalars(select(BudgetPlaceRow)) if row.state == "taken"]
            purses = list(session.scalars(select(BudgetPurseRow)))
        sent = {key for key, row in intents.items() if row.outcome in {"sent", "unknown"}}
        for budget, amount in (("all", limit), ("another", 100_000)):
            paid = [row for row in places if row.budget_id == budget]
            of_it = [purse for purse in purses if purse.budget_id == budget]
            assert {row.intent_key for row in paid} == sent
            assert sum(row.amount for row in paid) == sum(purse.committed for purse in of_it) == limit
            assert sum(purse.allocated for purse in of_it) == amount
        assert {row.reason for key, row in intents.items() if key not in sent} == {"budget.spent"}


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_no_budget_is_overspent_and_none_of_it_is_lost(
    database: str, tmp_path: Path, request: pytest.FixtureRequest, _sqlite_template: Path
) -> None:
    if database == "sqlite":
        path = tmp_path / "wayline.db"
        path.write_bytes(_sqlite_template.read_bytes())
        url = f"sqlite:///{path}"
    else:
        url = request.getfixturevalue("postgres_url")
    # More than eight stripes are worth splitting for, and less than what is wished.
    contacts, limit = (4, 25) if database == "sqlite" else (20, 140)
    hold_out(url, contacts=contacts, each=8, limit=limit)


@pytest.mark.long
def test_nor_among_very_many(postgres_url: str) -> None:
    contacts = int(os.environ.get("WAYLINE_HAMMERED", "2000"))
    hold_out(postgres_url, contacts=contacts, each=8, limit=contacts * 5)
