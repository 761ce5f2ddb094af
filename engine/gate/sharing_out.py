"""A budget's book as it is at a moment: of the present window, and what is left shared out again; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from functools import lru_cache

from engine.changing import changed
from engine.gate.budgets import OTHERS, WHOLE, Book, Budget, Purse
from engine.gate.pacing import pace_at, rounded_part, slot_at, span_of


def shared_out(amount: int, weights: Sequence[Fraction | int]) -> list[int]:
    """The amount in parts as the weights say, to the last unit: the largest remainders get what is over.

    Of equal remainders the earlier. The sum is the amount; some weight must be more than 0.
    """
    total = sum(weights)
    exact = [amount * Fraction(weight) / total for weight in weights]
    parts = [part.numerator // part.denominator for part in exact]
    order = sorted(range(len(parts)), key=lambda each: (parts[each] - exact[each], each))
    for each in order[: amount - sum(parts)]:
        parts[each] += 1
    return parts


def current(budget: Budget, book: Book | None, now: datetime) -> Book | None:
    """The book as it is at `now`: of the present window, filled for the present slot; None when not open.

    The same however often it is asked, and whoever asks: it follows from what is committed alone.
    """
    span = span_of(budget, now)
    if span is None:
        return None
    if book is None or book.starts != span[0]:
        return _opened(budget, *span, now)
    present = book if book.ends == span[1] else replace(book, ends=span[1])
    slot = slot_at(budget, present, now)
    if book.declared != budget.declared or book.ends != span[1]:
        return _filled(budget, present, slot)
    return _filled(budget, present, slot) if slot > book.slot else book


def _opened(budget: Budget, starts: datetime, ends: datetime, now: datetime) -> Book:
    purses = _first_purses(budget.limit, tuple(_parts(budget).items()))
    book = Book(starts, ends, 0, budget.declared, dict(purses))
    return changed(book, slot=slot_at(budget, book, now))


@lru_cache(maxsize=1024)
def _first_purses(limit: int, parts: tuple[tuple[str, int], ...]) -> tuple[tuple[str, Purse], ...]:
    """The shares as every window begins with them."""
    allocated = shared_out(limit, [part for _, part in parts])
    return tuple((name, Purse(amount)) for (name, _), amount in zip(parts, allocated, strict=True))


def _filled(budget: Budget, book: Book, slot: int) -> Book:
    """What is left, shared out again for a slot.

    Each share keeps what it would need if it went on as it did so far; what would be left over in the end
    goes to all by part and weight. So a share never falls behind what it has committed, and all together stay
    within the pace.
    """
    parts = _parts(budget)
    weights = {share.id: share.weight for share in budget.shares}
    names = [*parts, *(name for name in book.purses if name not in parts)]
    before = {name: book.purses.get(name, Purse(0)) for name in names}
    elapsed = pace_at(budget, book, slot - 1) if slot > 0 else pace_at(budget, book, 0)
    needed = {name: _needed(purse.committed, elapsed) for name, purse in before.items()}
    if sum(needed.values()) > budget.limit:
        needed = {name: purse.committed for name, purse in before.items()}
    left = max(0, budget.limit - sum(needed.values()))
    more = shared_out(left, [parts.get(name, 0) * weights.get(name, Fraction(1)) for name in names])
    is_later = slot > book.slot
    purses = {
        name: Purse(
            needed[name] + extra,
            before[name].committed,
            _still_waiting(before[name], elapsed) if is_later else before[name].waiting,
        )
        for name, extra in zip(names, more, strict=True)
    }
    return replace(book, slot=slot, declared=budget.declared, purses=purses)


def _still_waiting(purse: Purse, elapsed: Fraction) -> int:
    """What waits behind those whose turn has been: where they left room, they are gone."""
    unused = max(0, rounded_part(purse.allocated, elapsed) - purse.committed)
    return max(0, purse.waiting - unused)


def _needed(committed: int, elapsed: Fraction) -> int:
    """The smallest amount of which `elapsed` is no less than what is committed."""
    exact = committed / elapsed
    return -(-exact.numerator // exact.denominator)


def _parts(budget: Budget) -> dict[str, int]:
    parts = {share.id: share.part for share in budget.shares}
    return {**parts, OTHERS: WHOLE - sum(parts.values())}
