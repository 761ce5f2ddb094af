"""What messages take out of budgets: in the transaction of the reservation, and given back with the places.

`engine.delivery.purses` says in which order rows are locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from engine.delivery.purses import (
    Purses,
    count_waiting,
    current_purses,
    give_back,
    lock_stripes,
    lock_window,
    read_purses,
    save_book,
    stripe_of,
    take_if_free,
    take_of_one,
    turned,
)
from engine.gate.budgets import Book, Budget, Paid, Refusal, Spending
from engine.gate.concerning import budgets_of
from engine.gate.model import Intent, Queue
from engine.gate.pacing import span_of
from engine.gate.sharing_out import current
from engine.gate.spending import committed, refused
from engine.gate.state import GateRules
from engine.store.bulk import insert_new, insert_rows, table_of
from engine.store.prepared import Prepared
from engine.store.tables import BudgetPlaceRow

# Built once: putting a statement together costs as much as running it.
_PLACE = table_of(BudgetPlaceRow)
_PLACES = Prepared(
    select(
        _PLACE.c.budget_id,
        _PLACE.c.intent_key,
        _PLACE.c.share,
        _PLACE.c.starts_at,
        _PLACE.c.stripe,
        _PLACE.c.amount,
    )
    .where(_PLACE.c.intent_key == bindparam("key"), _PLACE.c.state == "taken")
    .order_by(_PLACE.c.budget_id)
)
_OF_PLACE = (_PLACE.c.budget_id == bindparam("of_budget"), _PLACE.c.intent_key == bindparam("key"))
_CHANGE_PLACE = Prepared(update(_PLACE).where(*_OF_PLACE))
_RELEASE_PLACE = Prepared(
    update(_PLACE).where(*_OF_PLACE, _PLACE.c.state == "taken").values(state="released")
)


@dataclass(frozen=True)
class LiningUp:
    """A message that is to wait, from `now` on, until a share of a budget allows it."""

    key: str
    budget: Budget
    queue: Queue
    now: datetime


def lining_up(rules: GateRules, queue: Queue, key: str, now: datetime) -> LiningUp | None:
    """How the message is to wait; None where the budget is gone or not open."""
    budget = next((each for each in rules.budgets if each.id == queue.budget), None)
    if budget is None or span_of(budget, now) is None:
        return None
    return LiningUp(key, budget, queue, now)


def read_books(
    session: Session, intent: Intent, rules: GateRules, now: datetime
) -> tuple[Mapping[str, Book], Mapping[str, Paid]]:
    """What is known of the budgets that may have to pay, and what the intent holds of them already."""
    budgets = budgets_of(intent, rules)
    if not budgets:
        return {}, {}
    found = ((budget.id, read_purses(session, budget, now)) for budget in budgets)
    books = {name: rows.book for name, rows in found if rows is not None}
    held = _PLACES.rows(session, {"key": intent.key})
    return books, {row.budget_id: Paid(row.share, row.starts_at, row.amount) for row in held}


def take_spendings(
    session: Session, intent: Intent, spendings: Sequence[Spending], now: datetime, *, waited: bool
) -> list[Refusal]:
    """Take what the intent costs out of every budget, or nothing; who refuses it, if any.

    What it holds from an earlier channel goes along where it is the same, and is given back elsewhere.
    `waited` says that it was in a budget's line. The caller has locked the intent.
    """
    wanted = {spending.budget.id: spending for spending in spendings}
    held = {row.budget_id: row for row in _PLACES.rows(session, {"key": intent.key})}
    names = sorted({*wanted, *held})
    is_plain = len(names) < 2 and not held
    if not is_plain:
        session.connection().exec_driver_sql("SAVEPOINT budgets")
    for name in names:
        if name not in wanted:
            # Given back once the others have given; held by then, for they come after it.
            lock_window(session, name, held[name].starts_at)
            lock_stripes(session, name, held[name].starts_at)
            continue
        refusal = _take_one(session, intent, wanted[name], held.get(name), now, waited=waited)
        if refusal is not None:
            if not is_plain:
                session.connection().exec_driver_sql("ROLLBACK TO SAVEPOINT budgets")
            return [refusal]
    for name, row in held.items():
        if name not in wanted:
            _release_one(session, row)
    return []


@dataclass(frozen=True)
class Paying:
    """A message that never took anything yet, what it costs, and whether it was in a budget's line."""

    key: str
    spendings: Sequence[Spending]
    waited: bool


def take_at_once(session: Session, messages: Sequence[Paying], now: datetime) -> bool:
    """Take what all these messages cost, without waiting for anybody; whether they have it, or nothing.

    Each share gives it out of one stripe. Where a slot begins, where little is left, and where somebody is
    at that very stripe, nothing is taken: the messages are then brought on one by one.
    """
    wanted: dict[tuple[str, str], list[tuple[Spending, bool]]] = {}
    for message in messages:
        for spending in message.spendings:
            of_share = wanted.setdefault((spending.budget.id, spending.share), [])
            of_share.append((spending, message.waited))
    if not wanted:
        return True
    session.connection().exec_driver_sql("SAVEPOINT at_once")
    stripe = stripe_of(session, messages[0].key)
    known: dict[str, Purses] = {}
    for (name, share), spendings in sorted(wanted.items()):
        budget = spendings[0][0].budget
        purses = known.get(name) or read_purses(session, budget, now)
        if purses is None or current(budget, purses.book, now) != purses.book:
            break
        known[name] = purses
        more = sum(spending.cost for spending, _ in spendings)
        served = sum(spending.cost for spending, waited in spendings if waited and not spending.goes_first)
        if not take_if_free(session, budget, purses, share, stripe, more, served):
            break
    else:
        rows = [
            {
                "budget_id": spending.budget.id,
                "intent_key": message.key,
                "share": spending.share,
                "starts_at": known[spending.budget.id].book.starts,
                "stripe": stripe,
                "amount": spending.cost,
                "at": now,
                "state": "taken",
            }
            for message in messages
            for spending in message.spendings
        ]
        insert_rows(session, BudgetPlaceRow, rows)
        return True
    session.connection().exec_driver_sql("ROLLBACK TO SAVEPOINT at_once")
    return False


def release_spendings(session: Session, keys: Iterable[str], waiting: LiningUp | None = None) -> None:
    """Give back what these intents took, each once however often it is asked for.

    One of them may line up for what it has not got, in the same order of locks.
    """
    rows = [row for key in keys for row in _PLACES.rows(session, {"key": key})]
    rows.sort(key=lambda row: (row.budget_id, row.starts_at))
    for name, of_budget in groupby(rows, key=lambda row: row.budget_id):
        if waiting is not None and waiting.budget.id < name:
            _line_up(session, waiting)
            waiting = None
        for starts, of_window in groupby(of_budget, key=lambda row: row.starts_at):
            lock_window(session, name, starts)
            found = list(of_window)
            if len(found) > 1:
                lock_stripes(session, name, starts)
            for row in found:
                _release_one(session, row)
    if waiting is not None:
        _line_up(session, waiting)


def book_of(session: Session, budget: Budget, now: datetime) -> Book | None:
    """The book of the present window as it is stored; None when nothing was taken from it yet."""
    rows = read_purses(session, budget, now)
    return rows.book if rows is not None else None


def turn(session: Session, budget: Budget, now: datetime) -> bool:
    """Fill the purses for the present slot or window, if that is due; whether it was."""
    rows = read_purses(session, budget, now)
    book = current(budget, rows.book if rows is not None else None, now)
    if book is None or (rows is not None and rows.book == book):
        return False
    turned(session, budget, now)
    return True


def _line_up(session: Session, waiting: LiningUp) -> None:
    budget, queue = waiting.budget, waiting.queue
    stripe = stripe_of(session, waiting.key)
    count_waiting(session, budget, queue.share, stripe, queue.cost, waiting.now)


def _take_one(
    session: Session, intent: Intent, spending: Spending, before: Any, now: datetime, *, waited: bool
) -> Refusal | None:
    budget = spending.budget
    span = span_of(budget, now)
    if span is None:
        return refused(spending, None, now)
    if before is not None and before.starts_at != span[0]:
        lock_window(session, budget.id, before.starts_at)
        lock_stripes(session, budget.id, before.starts_at)
    purses = current_purses(session, budget, now)
    starts = purses.book.starts
    if before is not None and (before.starts_at != starts or before.share != spending.share):
        # Whoever holds a stripe must not wait for its window.
        purses = turned(session, budget, now)
        _release_one(session, before)
        before = None
    more = spending.cost - (before.amount if before is not None else 0)
    stripe = stripe_of(session, intent.key)
    if more > 0:
        served = spending.cost if waited and not spending.goes_first else 0
        if not take_of_one(session, budget, purses, spending.share, stripe, more, served):
            refusal = _take_of_all(session, replace(spending, cost=more), served, now)
            if refusal is not None:
                return refusal
            stripe = 0
    elif more < 0:
        give_back(session, budget.id, starts, spending.share, before.stripe, -more)
    _note(session, intent, spending, starts, stripe, now, known=before is not None)
    return None


def _take_of_all(session: Session, spending: Spending, served: int, now: datetime) -> Refusal | None:
    """Take it out of whatever stripes have room together, all of them held."""
    budget = spending.budget
    book = turned(session, budget, now).book
    refusal = refused(spending, book, now)
    if refusal is None:
        save_book(session, budget, committed(book, spending.share, spending.cost, served), spending.cost)
    return refusal


def _note(
    session: Session,
    intent: Intent,
    spending: Spending,
    starts: datetime,
    stripe: int,
    now: datetime,
    *,
    known: bool,
) -> None:
    values = {
        "share": spending.share,
        "starts_at": starts,
        "stripe": stripe,
        "amount": spending.cost,
        "at": now,
        "state": "taken",
    }
    where = {"of_budget": spending.budget.id, "key": intent.key}
    # One that was given back stands there still.
    if known or not _insert_place(session, intent, spending.budget.id, values):
        _CHANGE_PLACE.run(session, {**where, **values})


def _insert_place(session: Session, intent: Intent, budget_id: str, values: Mapping[str, Any]) -> bool:
    row = {"budget_id": budget_id, "intent_key": intent.key, **values}
    return bool(insert_new(session, BudgetPlaceRow, [row], returning=("budget_id",)))


def _release_one(session: Session, row: Any) -> None:
    if _RELEASE_PLACE.run(session, {"of_budget": row.budget_id, "key": row.intent_key}):
        give_back(session, row.budget_id, row.starts_at, row.share, row.stripe, row.amount)
