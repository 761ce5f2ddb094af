"""Messages that two budgets pay for, taken and given back in every order at once: nobody waits for ever."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, text
from sqlmodel import col

from engine.delivery.budgets import Paying, release_spendings, take_at_once, take_spendings, turn
from engine.gate.budgets import OTHERS, Budget, Pace, Spending
from engine.gate.model import CalendarUnit, CalendarWindow, Intent, WhenFull
from engine.store.database import Store
from engine.store.tables import BudgetPlaceRow, BudgetPurseRow

NOW = datetime(2026, 6, 3, 12, tzinfo=UTC)
ROUNDS, PROCESSES = 60, 4


def budget(name: str, limit: int) -> Budget:
    window = CalendarWindow(CalendarUnit.MONTH, "UTC")
    return Budget(name, limit, "UTC", window=window, pace=Pace.FREE, when_spent=WhenFull.SKIP)


# Of one there is plenty, and it lies in stripes; of the other so little that it is looked at as a whole.
BUDGETS = (budget("plenty", 5_000), budget("scarce", 40))


def work(store: Store, seed: int) -> None:
    """Take for one channel, then for another that other budgets pay for, and give back, several at a time."""
    chance = random.Random(seed)
    taken: list[str] = []
    for number in range(ROUNDS):
        key = f"{seed}-{number}"
        wish = Intent(key, key, "marketing", 50, "hello", ("email",), "s", 1, NOW)
        for _ in range(chance.choice((1, 2))):
            wanted = chance.choice((BUDGETS, BUDGETS[:1], BUDGETS[1:]))
            costs = [Spending(each, OTHERS, chance.choice((1, 3))) for each in wanted]
            with store.begin() as session:
                take_spendings(session, wish, costs, NOW, waited=False)
        taken.append(key)
        with store.begin() as session:
            # Under locks of budgets, as when a run goes on in the transaction that gave its message back.
            release_spendings(session, chance.sample(taken, chance.randrange(1, 3) if number else 1))
            paying = [
                Paying(f"{key}+{each}", [Spending(b, OTHERS, 1) for b in BUDGETS], False) for each in "ab"
            ]
            if take_at_once(session, paying, NOW):
                taken += [each.key for each in paying]


def test_whoever_takes_and_gives_back_of_two_budgets_waits_in_no_circle(postgres_store: Store) -> None:
    store = postgres_store
    with store.begin() as session:
        for each in BUDGETS:
            assert turn(session, each, NOW)
    with ThreadPoolExecutor(PROCESSES) as pool:
        for done in [pool.submit(work, store, seed) for seed in range(PROCESSES)]:
            done.result(timeout=timedelta(minutes=2).total_seconds())
    with store.read() as session:
        deadlocks = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert session.execute(deadlocks).scalar_one() == 0
        for each in BUDGETS:
            purses = select(func.sum(col(BudgetPurseRow.committed))).where(
                col(BudgetPurseRow.budget_id) == each.id
            )
            places = select(func.sum(col(BudgetPlaceRow.amount))).where(
                col(BudgetPlaceRow.budget_id) == each.id, col(BudgetPlaceRow.state) == "taken"
            )
            committed = session.scalar(purses)
            assert committed == (session.scalar(places) or 0)
            assert committed <= each.limit
