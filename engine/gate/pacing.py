"""When a budget is open, and how much of it its pace allows by when; pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction

from engine.gate.budgets import Book, Budget, Pace
from engine.journeys.localtime import MIDNIGHT, calendar_span, clock_moment, zone_of


def span_of(budget: Budget, now: datetime) -> tuple[datetime, datetime] | None:
    """The window in which `now` lies, cut to the budget's own days; None when it is not open."""
    first, last = bounds(budget)
    if (first is not None and now < first) or (last is not None and now >= last):
        return None
    if budget.window is None:
        assert first is not None and last is not None, "a budget has a window, or a first and a last day"
        return first, last
    zone = zone_of(budget.zone, budget.zone)
    starts, ends = calendar_span(budget.window.unit.value, zone, now, budget.window.week_starts)
    return max(starts, first or starts), min(ends, last or ends)


def bounds(budget: Budget) -> tuple[datetime | None, datetime | None]:
    """From when and until when the budget can be spent at all; None: without end there."""
    zone = zone_of(budget.zone, budget.zone)
    first = clock_moment(budget.starts, MIDNIGHT, zone) if budget.starts is not None else None
    last = clock_moment(budget.ends + timedelta(days=1), MIDNIGHT, zone) if budget.ends is not None else None
    return first, last


def slots_in(budget: Budget, starts: datetime, ends: datetime) -> int:
    """Into how many slots of `every` a window is cut; the last may be shorter."""
    return max(1, -((starts - ends) // budget.every))


def slot_at(budget: Budget, book: Book, now: datetime) -> int:
    """The slot in which `now` lies, from 0."""
    return min(slots_in(budget, book.starts, book.ends) - 1, max(0, (now - book.starts) // budget.every))


def next_slot_at(budget: Budget, book: Book) -> datetime:
    """When the slot after the book's begins, or the next window."""
    return min(book.ends, book.starts + (book.slot + 1) * budget.every)


def pace_at(budget: Budget, book: Book, slot: int) -> Fraction:
    """The part of what is allocated that may be committed in a slot; 0 before the first, 1 in the last."""
    slots = slots_in(budget, book.starts, book.ends)
    match budget.pace:
        case Pace.FREE:
            return Fraction(1)
        case Pace.EVEN:
            return Fraction(slot + 1, slots)
        case Pace.FRONT:
            return 1 - Fraction(slots - slot - 1, slots) ** 2


def allowance(budget: Budget, book: Book, share: str) -> int:
    """How much of a share may be committed in the book's slot."""
    return rounded_part(book.purses[share].allocated, pace_at(budget, book, book.slot))


def rounded_part(amount: int, part: Fraction) -> int:
    """The part of an amount in whole units, rounded down."""
    return amount * part.numerator // part.denominator
