"""Two messages read the same budget before either takes from it: what the first took is not given twice."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import event, func, select
from sqlmodel import col

from engine.delivery.budgets import take_spendings, turn
from engine.delivery.purses import STRIPES
from engine.gate.budgets import OTHERS, Budget, Pace, Refusal, Spending
from engine.gate.model import CalendarUnit, CalendarWindow, Intent, WhenFull
from engine.gate.stages import share_of
from engine.store.database import Store
from engine.store.tables import BudgetPlaceRow, BudgetPurseRow

NOW = datetime(2026, 6, 3, 12, tzinfo=UTC)
BUDGET = Budget(
    "one",
    limit=1,
    zone="UTC",
    window=CalendarWindow(CalendarUnit.MONTH, "UTC"),
    pace=Pace.FREE,
    when_spent=WhenFull.SKIP,
)


def wish(key: str) -> Intent:
    return Intent(key, f"contact of {key}", "marketing", 50, "hello", ("email",), "s", 1, NOW)


def take(store: Store, key: str) -> list[Refusal]:
    with store.begin() as session:
        return take_spendings(session, wish(key), [Spending(BUDGET, OTHERS, 1)], NOW, waited=False)


def test_what_another_took_since_the_budget_was_read_is_not_there_any_more(postgres_store: Store) -> None:
    # Both in the stripe in which so small a purse lies.
    first, second = [key for key in map(str, range(1000)) if int(share_of(key) * STRIPES) == 0][:2]
    with postgres_store.begin() as session:
        assert turn(session, BUDGET, NOW)
    overtaken: list[list[Refusal]] = []

    def overtake(*seen: object) -> None:
        """The other one takes and commits, just before the statement that takes is sent."""
        if not overtaken and str(seen[2]).startswith("UPDATE budget_purse"):
            overtaken.append([])
            overtaken[0] = take(postgres_store, second)

    event.listen(postgres_store.engine, "before_cursor_execute", overtake)
    try:
        refused = take(postgres_store, first)
    finally:
        event.remove(postgres_store.engine, "before_cursor_execute", overtake)

    assert overtaken == [[]], "the other one got it"
    assert [refusal.reason for refusal in refused] == ["budget.spent"]
    with postgres_store.read() as session:
        assert session.scalar(select(func.sum(col(BudgetPurseRow.committed)))) == 1
        assert [row.intent_key for row in session.scalars(select(BudgetPlaceRow))] == [second]
