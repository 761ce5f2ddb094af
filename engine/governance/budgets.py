"""Budgets as operators see them, and the job that fills them for the next slot when nobody spends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.clock import Clock
from engine.delivery.budgets import book_of, turn
from engine.delivery.returns import courses_of, is_to_be_judged, judge_periods
from engine.delivery.returns import say_of_share as say
from engine.delivery.waking import wake_halted
from engine.errors import CommandError, NotFound
from engine.gate.budgets import OTHERS, Book, Budget, told
from engine.gate.pacing import allowance, bounds, next_slot_at
from engine.gate.returns import NOTHING_KNOWN, Course, next_judged_at, steadiness
from engine.gate.sharing_out import current
from engine.governance.records import Record
from engine.store.bundles import BundleShelf
from engine.store.control import clocks_of, read_control
from engine.store.database import Store
from engine.store.tables import BudgetWindowRow


def list_budgets(session: Session, shelf: BundleShelf, clock: Clock) -> list[Record]:
    """Every budget of the bundle in force, by id, as it stands now; NotFound when none is published.

    Amounts are as `engine.gate.budgets.told` tells them, moments ISO 8601 in UTC, in journey time.
    """
    bundle, now = _in_force(session, shelf, clock)
    return [_record(session, budget, now) for budget in sorted(bundle.budgets, key=lambda each: each.id)]


def budget_record(session: Session, shelf: BundleShelf, clock: Clock, name: str) -> Record:
    """One budget with its shares; NotFound when the bundle in force has none of this name."""
    records = list_budgets(session, shelf, clock)
    for record in records:
        if record["budget"] == name:
            return record
    raise _no_budget(name, [record["budget"] for record in records])


def say_of_share(
    session: Session,
    shelf: BundleShelf,
    clock: Clock,
    name: str,
    share: str,
    *,
    halted: bool,
    by: str,
    reason: str,
) -> bool:
    """Halt a share of a budget by hand, or let it go on; whether that changes anything.

    Who said it, when and why is kept. What a halt holds is looked at again when the share goes on. NotFound
    for a budget or a share that the bundle in force has not, CommandError for a budget without a return.
    """
    bundle, now = _in_force(session, shelf, clock)
    budget = next((each for each in bundle.budgets if each.id == name), None)
    if budget is None:
        raise _no_budget(name, [each.id for each in bundle.budgets])
    if budget.returns is None:
        raise CommandError(f"budget {name!r} does not say what comes back: add 'return' to {budget.file}")
    shares = [*(each.id for each in budget.shares), OTHERS]
    if share not in shares:
        raise NotFound(f"budget {name!r} has no share {share!r}; it has {', '.join(shares)}")
    changed = say(session, budget, share, now, halted=halted, by=by, reason=reason)
    if changed and not halted:
        wake_halted(session, now=clock.now())
    return changed


class BudgetKeeper:
    """Fills budgets when a slot begins, and judges their return, in whatever process dispatches.

    A message that comes first does the same by itself. Whoever does it holds the window's row and finds what
    was committed until then; so it is done once a slot, and the same after a crash.
    """

    def __init__(self, store: Store, shelf: BundleShelf, clock: Clock) -> None:
        self._store = store
        self._shelf = shelf
        self._clock = clock

    async def turn_due(self) -> int:
        """Fill those that are due, and judge the return of those of which a period is ripe; how many."""
        return await self._store.run(self._turn_due)

    def _turn_due(self) -> int:
        with self._store.read() as session:
            control = read_control(session)
            if control.live_bundle is None:
                return 0
            now = clocks_of(control, self._clock).journey_now()
            due = _due(session, now)
            bundle = self._shelf.get(session, control.live_bundle)
            ripe = [budget for budget in bundle.budgets if is_to_be_judged(session, budget, now)]
        for budget in ripe:
            with self._store.begin() as session:
                if judge_periods(session, budget, now):
                    wake_halted(session, now=self._clock.now())
        budgets = {budget.id: budget for budget in bundle.budgets}
        for name, starts in due:
            with self._store.begin() as session:
                known = budgets.get(name)
                book = current(known, None, now) if known is not None else None
                if book is None or book.starts != starts:
                    # Its time is over, or nobody spends from it any more. Windows are locked as they began.
                    _lay_aside(session, name, starts)
                if known is not None and book is not None:
                    turn(session, known, now)
        return len(due) + len(ripe)


def _no_budget(name: str, known: Sequence[str]) -> NotFound:
    names = ", ".join(sorted(known)) or "none"
    return NotFound(f"there is no budget {name!r} in the bundle in force; known are {names}")


def _due(session: Session, now: datetime) -> Sequence[tuple[str, datetime]]:
    query = (
        select(col(BudgetWindowRow.budget_id), col(BudgetWindowRow.starts_at))
        .where(col(BudgetWindowRow.next_at) <= now)
        .order_by(col(BudgetWindowRow.budget_id), col(BudgetWindowRow.starts_at))
    )
    return [(name, starts) for name, starts in session.execute(query)]


def _lay_aside(session: Session, name: str, starts: datetime) -> None:
    session.execute(
        update(BudgetWindowRow)
        .where(col(BudgetWindowRow.budget_id) == name, col(BudgetWindowRow.starts_at) == starts)
        .values(next_at=None)
    )


def _in_force(session: Session, shelf: BundleShelf, clock: Clock) -> tuple[Bundle, datetime]:
    control = read_control(session)
    if control.live_bundle is None:
        raise NotFound("no bundle is published; run `wayline publish`")
    return shelf.get(session, control.live_bundle), clocks_of(control, clock).journey_now()


def _record(session: Session, budget: Budget, now: datetime) -> Record:
    book = current(budget, book_of(session, budget, now), now)
    courses = courses_of(session, budget) if budget.returns is not None else {}
    record: Record = {
        "budget": budget.id,
        "unit": budget.currency or "messages",
        "limit": told(budget, budget.limit),
        "pace": budget.pace.value,
        "place": f"{budget.file}:{budget.line}" if budget.file else "",
        "judged_next_at": next_judged_at(budget, now).isoformat() if budget.returns is not None else None,
    }
    if book is None:
        first, _ = bounds(budget)
        is_coming = first is not None and now < first
        return {
            **record,
            "state": "coming" if is_coming else "over",
            "opens_at": first.isoformat() if first is not None and is_coming else None,
            "shares": [],
        }
    return {
        **record,
        "state": "open",
        "window": {"starts_at": book.starts.isoformat(), "ends_at": book.ends.isoformat()},
        "spent": told(budget, book.committed),
        "held": told(budget, sum(purse.waiting for purse in book.purses.values())),
        "allowed_now": told(budget, sum(allowance(budget, book, name) for name in book.purses)),
        "next_at": next_slot_at(budget, book).isoformat(),
        "shares": [_share(budget, book, name, courses.get(name, NOTHING_KNOWN)) for name in book.purses],
    }


def _share(budget: Budget, book: Book, name: str, course: Course) -> Record:
    purse = book.purses[name]
    declared = {share.id: share for share in budget.shares}
    return {
        "share": name,
        "weight": float(declared[name].weight) if name in declared else 1.0,
        "allocated": told(budget, purse.allocated),
        "spent": told(budget, purse.committed),
        "held": told(budget, purse.waiting),
        "allowed_now": told(budget, allowance(budget, book, name)),
        **_return(budget, course),
    }


def _return(budget: Budget, course: Course) -> Record:
    """What came back of a share's spending, where the budget says by what."""
    if budget.returns is None:
        return {}
    found = steadiness(budget.returns, course)
    unit = 10**budget.decimals / 10**budget.returns.decimals
    return {
        "state": "halted" if course.halt is not None else "going",
        "halted_since": course.halt.since.isoformat() if course.halt is not None else None,
        "halted_by": course.halt.by if course.halt is not None else None,
        "return": round(float(found.mean) * unit, 4) if found is not None else None,
        "volatility": round(found.volatility, 4) if found is not None else None,
        "periods": sum(
            course.counts_from is None or each.starts >= course.counts_from for each in course.periods
        ),
    }
