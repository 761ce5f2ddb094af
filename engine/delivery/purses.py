"""A budget's window and purses as rows: read, filled for a slot, taken from by the stripe, given back.

A message takes from one stripe of a share in one statement that checks what the stripe may still give; nobody
waits for others there. Only where little is left, where a slot or a window begins, and where a budget was
edited, the window's row is held and its purses are looked at together. Rows are locked in one order: budgets
by their ids, of each its windows by their beginnings, of each the window and then its stripes; all of it
after everything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, bindparam, select, update
from sqlalchemy.orm import Session

from engine.gate.budgets import Book, Budget, Purse
from engine.gate.pacing import next_slot_at, pace_at, span_of
from engine.gate.sharing_out import current
from engine.gate.stages import share_of as place_of
from engine.gate.stripes import Stripe, allowed_in, striped, together
from engine.store.bulk import insert_new, is_postgresql, table_of
from engine.store.prepared import Prepared
from engine.store.tables import BudgetPurseRow, BudgetWindowRow

STRIPES = 8
"""On PostgreSQL; SQLite has one writer at a time anyhow."""

# Built once: putting a statement together costs as much as running it.
_WINDOW = table_of(BudgetWindowRow)
_PURSE = table_of(BudgetPurseRow)

_OF_WINDOW = (_WINDOW.c.budget_id == bindparam("of_budget"), _WINDOW.c.starts_at == bindparam("of_start"))
_READ_WINDOW = select(_WINDOW.c.ends_at, _WINDOW.c.slot, _WINDOW.c.declared).where(*_OF_WINDOW)
_LOCK_WINDOW = Prepared(_READ_WINDOW.with_for_update())
_SAVE_WINDOW = Prepared(update(_WINDOW).where(*_OF_WINDOW))
_OF_PURSES = (_PURSE.c.budget_id == bindparam("of_budget"), _PURSE.c.starts_at == bindparam("of_start"))
_STRIPE_COLUMNS = (
    _PURSE.c.share,
    _PURSE.c.stripe,
    _PURSE.c.allocated,
    _PURSE.c.committed,
    _PURSE.c.waiting,
)
_READ = Prepared(
    select(_WINDOW.c.ends_at, _WINDOW.c.slot, _WINDOW.c.declared, *_STRIPE_COLUMNS)
    .select_from(
        _WINDOW.join(
            _PURSE,
            (_PURSE.c.budget_id == _WINDOW.c.budget_id) & (_PURSE.c.starts_at == _WINDOW.c.starts_at),
        )
    )
    .where(*_OF_WINDOW)
    .order_by(_PURSE.c.share, _PURSE.c.stripe)
)
_LOCK_STRIPES = Prepared(
    select(*_STRIPE_COLUMNS).where(*_OF_PURSES).order_by(_PURSE.c.share, _PURSE.c.stripe).with_for_update()
)
_ONE_STRIPE = (
    *_OF_PURSES,
    _PURSE.c.share == bindparam("of_share"),
    _PURSE.c.stripe == bindparam("of_stripe"),
)
_TAKE = Prepared(
    update(_PURSE)
    .where(
        *_ONE_STRIPE,
        # As it was when its room was worked out: otherwise all of it is looked at under a lock.
        _PURSE.c.allocated == bindparam("seen"),
        _PURSE.c.committed <= bindparam("at_most"),
    )
    .values(
        committed=_PURSE.c.committed + bindparam("more", type_=BigInteger),
        waiting=_PURSE.c.waiting - bindparam("served", type_=BigInteger),
    )
)
_FREE_STRIPE = Prepared(select(_PURSE.c.stripe).where(*_ONE_STRIPE).with_for_update(skip_locked=True))
_GIVE_BACK = Prepared(
    update(_PURSE)
    .where(*_ONE_STRIPE, _PURSE.c.committed >= bindparam("at_least"))
    .values(committed=_PURSE.c.committed - bindparam("less", type_=BigInteger))
)
_QUEUE = Prepared(
    update(_PURSE).where(*_ONE_STRIPE).values(waiting=_PURSE.c.waiting + bindparam("more", type_=BigInteger))
)
_SAVE_STRIPE = Prepared(update(_PURSE).where(*_ONE_STRIPE))


@dataclass(frozen=True)
class Purses:
    """A book as it is stored."""

    book: Book
    stripes: Mapping[str, Sequence[Stripe]]


def read_purses(session: Session, budget: Budget, now: datetime) -> Purses | None:
    """The book of the present window as it is stored; None when there is none, or it is not open."""
    span = span_of(budget, now)
    if span is None:
        return None
    rows = _READ.rows(session, {"of_budget": budget.id, "of_start": span[0]})
    return _rows(span[0], rows[0], rows) if rows else None


def current_purses(session: Session, budget: Budget, now: datetime) -> Purses:
    """The same, filled for the present slot, for which it is held where that is due; the budget is open."""
    purses = read_purses(session, budget, now)
    if purses is None or current(budget, purses.book, now) != purses.book:
        return turned(session, budget, now)
    return purses


def turned(session: Session, budget: Budget, now: datetime) -> Purses:
    """The book of the present window, held by this transaction and filled for the present slot."""
    span = span_of(budget, now)
    assert span is not None, "only open budgets are filled"
    asked = {"of_budget": budget.id, "of_start": span[0]}
    window = _LOCK_WINDOW.row(session, asked)
    if window is None:
        _open(session, budget, now)
        window = _LOCK_WINDOW.row(session, asked)
    assert window is not None, "it was inserted, or somebody else's is there"
    stored = _rows(span[0], window, _LOCK_STRIPES.rows(session, asked))
    book = current(budget, stored.book, now)
    assert book is not None, "it is open"
    if book == stored.book:
        return stored
    save_book(session, budget, book, budget.cost)
    return _rows(span[0], _LOCK_WINDOW.row(session, asked), _LOCK_STRIPES.rows(session, asked))


def lock_window(session: Session, budget_id: str, starts: datetime) -> None:
    """Hold a window: nobody fills it meanwhile, and its stripes may be taken up one after the other."""
    _LOCK_WINDOW.row(session, {"of_budget": budget_id, "of_start": starts})


def lock_stripes(session: Session, budget_id: str, starts: datetime) -> None:
    """Hold all stripes of a window."""
    _LOCK_STRIPES.rows(session, {"of_budget": budget_id, "of_start": starts})


def take_of_one(
    session: Session, budget: Budget, purses: Purses, share: str, stripe: int, more: int, served: int
) -> bool:
    """Whether this stripe had room and gave it; when it had not, its row is not held.

    PostgreSQL locks a row that it waited for before it finds that the row does not fit any more, and keeps
    the lock. Whoever then waits for the window would be waited for by whoever holds it.
    """
    values = _taking(budget, purses, share, stripe, more, served)
    if not is_postgresql(session):
        return bool(_TAKE.run(session, values))
    connection = session.connection()
    connection.exec_driver_sql("SAVEPOINT stripe")
    if _TAKE.run(session, values):
        return True
    connection.exec_driver_sql("ROLLBACK TO SAVEPOINT stripe")
    return False


def take_if_free(
    session: Session, budget: Budget, purses: Purses, share: str, stripe: int, more: int, served: int
) -> bool:
    """As `take_of_one`, but nobody is waited for: a stripe that another transaction holds gives nothing.

    So it may be asked for under whatever locks, in whatever order. When it had no room it is held.
    """
    where = _stripe(budget.id, purses.book.starts, share, stripe)
    if _FREE_STRIPE.row(session, where) is None:
        return False
    return bool(_TAKE.run(session, _taking(budget, purses, share, stripe, more, served)))


def _taking(
    budget: Budget, purses: Purses, share: str, stripe: int, more: int, served: int
) -> dict[str, Any]:
    book, seen = purses.book, purses.stripes[share][stripe]
    return {
        **_stripe(budget.id, book.starts, share, stripe),
        "seen": seen.allocated,
        "at_most": allowed_in(seen, pace_at(budget, book, book.slot)) - more,
        "more": more,
        "served": served,
    }


def give_back(
    session: Session, budget_id: str, starts: datetime, share: str, stripe: int, amount: int
) -> None:
    """Put an amount back that was taken of this stripe, wherever it lies by now."""
    where = _stripe(budget_id, starts, share, stripe)
    if _GIVE_BACK.run(session, {**where, "at_least": amount, "less": amount}):
        return
    for row in _LOCK_STRIPES.rows(session, {"of_budget": budget_id, "of_start": starts}):
        less = min(amount, row.committed) if row.share == share else 0
        if less:
            where = _stripe(budget_id, starts, share, row.stripe)
            _GIVE_BACK.run(session, {**where, "at_least": less, "less": less})
            amount -= less


def count_waiting(
    session: Session, budget: Budget, share: str, stripe: int, cost: int, now: datetime
) -> None:
    """Count what waits until the share allows it; the budget is open."""
    starts = current_purses(session, budget, now).book.starts
    _QUEUE.run(session, {**_stripe(budget.id, starts, share, stripe), "more": cost})


def _open(session: Session, budget: Budget, now: datetime) -> None:
    """Write the present window down, unless somebody else was quicker."""
    book = current(budget, None, now)
    assert book is not None, "it is open"
    window = {"budget_id": budget.id, "starts_at": book.starts, **_window_values(budget, book)}
    insert_new(session, BudgetWindowRow, [window])
    _LOCK_WINDOW.row(session, {"of_budget": budget.id, "of_start": book.starts})
    insert_new(session, BudgetPurseRow, _stripe_rows(session, budget, book, budget.cost))


def save_book(session: Session, budget: Budget, book: Book, cost: int) -> None:
    """Write down a book whose rows are all held, in stripes where that is worth its while."""
    where = {"of_budget": budget.id, "of_start": book.starts}
    _SAVE_WINDOW.run(session, {**where, **_window_values(budget, book)})
    rows = _stripe_rows(session, budget, book, cost)
    insert_new(session, BudgetPurseRow, rows)  # shares that are new
    for row in rows:
        values = {name: row[name] for name in ("allocated", "committed", "waiting")}
        _SAVE_STRIPE.run(session, {**_stripe(budget.id, book.starts, row["share"], row["stripe"]), **values})


def _window_values(budget: Budget, book: Book) -> dict[str, Any]:
    return {
        "ends_at": book.ends,
        "slot": book.slot,
        "declared": book.declared,
        "next_at": next_slot_at(budget, book),
    }


def _stripe_rows(session: Session, budget: Budget, book: Book, cost: int) -> list[dict[str, Any]]:
    pace, count = pace_at(budget, book, book.slot), _count(session)
    return [
        {"budget_id": budget.id, "starts_at": book.starts, "share": name, "stripe": number, **vars(stripe)}
        for name, purse in sorted(book.purses.items())
        for number, stripe in enumerate(striped(purse, pace, count, cost))
    ]


def _rows(starts: datetime, window: Any, rows: Sequence[Any]) -> Purses:
    stripes: dict[str, list[Stripe]] = {}
    for row in rows:
        stripes.setdefault(row.share, []).append(Stripe(row.allocated, row.committed, row.waiting))
    purses: dict[str, Purse] = {name: together(each) for name, each in stripes.items()}
    return Purses(Book(starts, window.ends_at, window.slot, window.declared, purses), stripes)


def _stripe(budget_id: str, starts: datetime, share: str, stripe: int) -> dict[str, Any]:
    return {"of_budget": budget_id, "of_start": starts, "of_share": share, "of_stripe": stripe}


def stripe_of(session: Session, key: str) -> int:
    return int(place_of(key) * _count(session))


def _count(session: Session) -> int:
    return STRIPES if is_postgresql(session) else 1
