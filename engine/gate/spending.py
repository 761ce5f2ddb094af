"""What a message costs a budget, whether there is room for it, and what becomes of the book; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from engine.gate.budgets import OTHERS, Book, Budget, Refusal, Spending
from engine.gate.model import Intent, Purpose
from engine.gate.pacing import allowance, bounds, next_slot_at, pace_at, rounded_part, slots_in
from engine.rules.evaluator import evaluate
from engine.rules.facts import Facts
from engine.rules.truth import Truth


def possible_budgets(budgets: Sequence[Budget], intent: Intent, purpose: Purpose) -> list[Budget]:
    """The budgets that may have to pay for the intent, on whichever of its channels; in order of ids."""
    found = (
        budget
        for budget in budgets
        if any(cost_of(budget, intent, purpose, channel) for channel in intent.channels)
    )
    return sorted(found, key=lambda budget: budget.id)


def cost_of(budget: Budget, intent: Intent, purpose: Purpose, channel: str) -> int:
    """What the intent costs a budget on a channel; 0 when it pays nothing for it.

    Messages that must reach everybody are not paid from budgets, and no budget holds them back.
    """
    scope = budget.pays_for
    if (
        purpose.is_exempt_from_caps
        or (scope.purposes and intent.purpose not in scope.purposes)
        or (scope.channels and channel not in scope.channels)
        or (scope.journeys and intent.journey not in scope.journeys)
    ):
        return 0
    return budget.cost + budget.channel_costs.get(channel, 0) + budget.content_costs.get(intent.content, 0)


def share_of(budget: Budget, intent: Intent, facts: Facts, now: datetime) -> str:
    """The first share to which the intent belongs; what is not known of a contact puts them in none."""
    for share in budget.shares:
        if share.journeys and intent.journey not in share.journeys:
            continue
        if share.when is None or evaluate(share.when, facts, now) is Truth.TRUE:
            return share.id
    return OTHERS


def refused(spending: Spending, book: Book | None, now: datetime) -> Refusal | None:
    """Why the amount cannot be taken at `now`; None when it can. The book is the current one."""
    budget = spending.budget
    if book is None:
        first, _ = bounds(budget)
        until = first if first is not None and now < first else None
        return Refusal("budget.not_open", until, spending, None)
    purse = book.purses[spending.share]
    if purse.committed + spending.cost <= allowance(budget, book, spending.share):
        return None
    if book.committed + spending.cost > budget.limit:
        return Refusal("budget.spent", _next_window(budget, book), spending, book)
    if purse.committed + spending.cost > purse.allocated:
        # Another share may leave some of its part; that is seen when they are shared out again.
        again = next_slot_at(budget, book)
        until = again if again < book.ends else _next_window(budget, book)
        return Refusal("budget.share_spent", until, spending, book)
    return Refusal("budget.ahead", _turn_at(spending, book), spending, book)


def committed(book: Book, share: str, cost: int, served: int = 0) -> Book:
    """The book with so much more committed; `served` of it had waited."""
    purse = book.purses[share]
    purse = replace(purse, committed=purse.committed + cost, waiting=max(0, purse.waiting - served))
    return replace(book, purses={**book.purses, share: purse})


def released(book: Book, share: str, cost: int) -> Book:
    """The book with so much given back."""
    purse = book.purses[share]
    return replace(
        book, purses={**book.purses, share: replace(purse, committed=max(0, purse.committed - cost))}
    )


def queued(book: Book, share: str, cost: int) -> Book:
    """The book with one more message that waits."""
    purse = book.purses[share]
    return replace(book, purses={**book.purses, share: replace(purse, waiting=purse.waiting + cost)})


def _turn_at(spending: Spending, book: Book) -> datetime:
    """When the pace allows the amount behind all that waits already; each of them comes in its own slot."""
    budget, purse = spending.budget, book.purses[spending.share]
    before = 0 if spending.goes_first else purse.waiting
    wanted = purse.committed + before + spending.cost
    following = _next_window(budget, book)
    if wanted > purse.allocated and following is not None:
        return following
    low, high = book.slot + 1, slots_in(budget, book.starts, book.ends) - 1
    while low < high:
        middle = (low + high) // 2
        if rounded_part(purse.allocated, pace_at(budget, book, middle)) >= wanted:
            high = middle
        else:
            low = middle + 1
    return book.starts + high * budget.every


def _next_window(budget: Budget, book: Book) -> datetime | None:
    if budget.window is None:
        return None
    _, last = bounds(budget)
    return book.ends if last is None or book.ends < last else None
