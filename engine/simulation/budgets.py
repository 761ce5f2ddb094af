"""Budgets in plain memory, for virtual time: the same books as in SQL, of everybody in one world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from engine.gate.budgets import Book, Budget, Paid, Refusal, Spending
from engine.gate.model import Intent, Queue
from engine.gate.returns import Touch
from engine.gate.sharing_out import current
from engine.gate.spending import committed, queued, refused, released
from engine.simulation.returns import Returned


class Budgets:
    """What is known of every budget, and which message took what."""

    def __init__(self) -> None:
        self._books: dict[str, Book] = {}
        self._taken: dict[str, dict[str, Paid]] = {}
        self.returned = Returned()
        """What came back of it."""

    @property
    def books(self) -> Mapping[str, Book]:
        """By budget, of the window that was open when it was last asked of anything."""
        return dict(self._books)

    def paid(self, key: str) -> Mapping[str, Paid]:
        """What a message holds already."""
        return dict(self._taken.get(key, {}))

    def take(
        self, intent: Intent, spendings: Sequence[Spending], now: datetime, *, waited: bool
    ) -> list[Refusal]:
        """Take what the message costs out of every budget, or nothing; who refuses it, if any."""
        key = intent.key
        before = (dict(self._books), dict(self._taken.get(key, {})))
        held = dict(before[1])
        for spending in spendings:
            taken = held.pop(spending.budget.id, None)
            refusal = self._take_one(key, spending, taken, now, waited=waited)
            if refusal is not None:
                self._books, self._taken[key] = before
                return [refusal]
        for name, taken in held.items():
            self._give_back(key, name, taken)
            self.returned.gave_back(name, key)
        for spending in spendings:
            touch = Touch(spending.share, now, spending.cost)
            self.returned.spent(spending.budget, key, intent.contact_id, touch)
        return []

    def release(self, key: str) -> None:
        """Give back whatever the message took."""
        for name, taken in dict(self._taken.get(key, {})).items():
            self._give_back(key, name, taken)
            self.returned.gave_back(name, key)
        self._taken.pop(key, None)

    def wait_in_line(self, budget: Budget, queue: Queue, now: datetime) -> None:
        """Count a message that waits until a share allows it."""
        book = current(budget, self._books.get(budget.id), now)
        if book is not None:
            self._books[budget.id] = queued(book, queue.share, queue.cost)

    def clear(self) -> None:
        """Let nothing have been spent."""
        self._books.clear()
        self.returned.clear()
        self._taken.clear()

    def _take_one(
        self, key: str, spending: Spending, held: Paid | None, now: datetime, *, waited: bool
    ) -> Refusal | None:
        budget = spending.budget
        book = current(budget, self._books.get(budget.id), now)
        if book is None:
            return refused(spending, None, now)
        self._books[budget.id] = book
        if held is not None and (held.starts != book.starts or held.share != spending.share):
            self._give_back(key, budget.id, held)
            held, book = None, self._books[budget.id]
        more = spending.cost - (held.amount if held is not None else 0)
        if more > 0:
            refusal = refused(replace(spending, cost=more), book, now)
            if refusal is not None:
                return refusal
            book = committed(
                book, spending.share, more, spending.cost if waited and not spending.goes_first else 0
            )
        elif more < 0:
            book = released(book, spending.share, -more)
        self._books[budget.id] = book
        self._taken.setdefault(key, {})[budget.id] = Paid(spending.share, book.starts, spending.cost)
        return None

    def _give_back(self, key: str, budget: str, taken: Paid) -> None:
        book = self._books[budget]
        if book.starts == taken.starts:
            self._books[budget] = released(book, taken.share, taken.amount)
        self._taken[key].pop(budget, None)
