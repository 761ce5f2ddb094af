"""What orders bring in beside what budgets spend, in plain memory: judged when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from engine.gate.budgets import Budget, Halt, Returns
from engine.gate.returns import (
    NOTHING_KNOWN,
    Course,
    Period,
    Touch,
    first_judged,
    judge_ripe,
    let_go_on,
    next_judged_at,
    period_of,
    returned_to,
    revenue,
)


@dataclass
class _Known:
    """What is known of one budget."""

    judged_until: datetime
    next_at: datetime
    courses: dict[str, Course] = field(default_factory=dict)


@dataclass(frozen=True)
class _Order:
    contact_id: str
    type: str
    at: datetime
    properties: Mapping[str, Any]


class Returned:
    """What was spent on whom, what they did since, and which shares are halted for it."""

    def __init__(self) -> None:
        self._touches: dict[tuple[str, str], tuple[str, Touch]] = {}
        """Budget and message -> contact, and what was spent on it."""
        self._orders: list[_Order] = []
        self._known: dict[str, _Known] = {}

    def spent(self, budget: Budget, key: str, contact_id: str, touch: Touch) -> None:
        """Note what a message took; what it took before is forgotten."""
        if budget.returns is not None:
            self._touches[budget.id, key] = contact_id, touch

    def gave_back(self, budget: str, key: str) -> None:
        """Forget what a message took."""
        self._touches.pop((budget, key), None)

    def happened(self, contact_id: str, event: str, at: datetime, properties: Mapping[str, Any]) -> None:
        """Note an event that may be the return of a message."""
        self._orders.append(_Order(contact_id, event, at, properties))

    def move(self, gone: str, survivor: str) -> None:
        """Let what one contact got and did be another's, for the two are one."""
        for name, (contact_id, touch) in self._touches.items():
            if contact_id == gone:
                self._touches[name] = survivor, touch
        self._orders = [
            replace(order, contact_id=survivor) if order.contact_id == gone else order
            for order in self._orders
        ]

    def halts(self, budgets: Iterable[Budget], now: datetime) -> Mapping[str, Mapping[str, Halt]]:
        """By budget and share, what is halted at `now`."""
        found = {}
        for budget in budgets:
            if budget.returns is not None:
                courses = self._judged(budget, now).courses
                found[budget.id] = {
                    name: course.halt for name, course in courses.items() if course.halt is not None
                }
        return found

    def say(self, budget: Budget, share: str, now: datetime, by: str, *, halted: bool) -> None:
        """Halt a share by hand, or let it go on."""
        courses = self._judged(budget, now).courses
        course = courses.get(share, NOTHING_KNOWN)
        if halted and course.halt is None:
            courses[share] = replace(course, halt=Halt(now, by))
        elif not halted and course.halt is not None:
            courses[share] = let_go_on(course, now)

    def clear(self) -> None:
        """Let nothing have been spent, done or judged."""
        self._touches.clear()
        self._orders.clear()
        self._known.clear()

    def _judged(self, budget: Budget, now: datetime) -> _Known:
        assert budget.returns is not None, "only budgets with a return are judged"
        known = self._known.get(budget.id)
        if known is None:
            known = self._known[budget.id] = _Known(first_judged(budget, now), now)
        if known.next_at <= now and self._touches:
            # A period in which nobody was reached changes nothing: what is known was judged already.
            for starts, ends in self._reached(budget, known.judged_until, now):
                known.judged_until, _ = judge_ripe(
                    budget,
                    known.courses,
                    starts,
                    ends + budget.returns.within,
                    lambda starts, ends: self._closed(budget, starts, ends),
                )
            known.next_at = next_judged_at(budget, now)
        return known

    def _reached(self, budget: Budget, after: datetime, now: datetime) -> list[tuple[datetime, datetime]]:
        """The periods from `after` on that are ripe by now and in which something was spent, in order."""
        assert budget.returns is not None, "only budgets with a return are judged"
        until = now - budget.returns.within
        periods = {
            period_of(budget, touch.at)
            for (name, _), (_, touch) in self._touches.items()
            if name == budget.id and after <= touch.at < until
        }
        return sorted(period for period in periods if period and after <= period[0] and period[1] <= until)

    def _closed(self, budget: Budget, starts: datetime, ends: datetime) -> dict[str, Period]:
        returns = budget.returns
        assert returns is not None, "only budgets with a return are judged"
        touches: dict[str, list[tuple[Touch, str]]] = {}
        periods: dict[str, Period] = {}
        # An order belongs to a message of the same contact: who got none in this time has no say in it.
        reached = {
            contact_id
            for (name, _), (contact_id, touch) in self._touches.items()
            if starts <= touch.at < ends and name == budget.id
        }
        if not reached:
            return periods
        for (name, key), (contact_id, touch) in self._touches.items():
            if name != budget.id or contact_id not in reached:
                continue
            touches.setdefault(contact_id, []).append((touch, key))
            if starts <= touch.at < ends:
                before = periods.get(touch.share, Period(starts, ends, 0, 0))
                periods[touch.share] = replace(before, spent=before.spent + touch.amount)
        for touch, amount in self._credited(returns, touches):
            if starts <= touch.at < ends:
                before = periods[touch.share]
                periods[touch.share] = replace(before, returned=before.returned + amount)
        return periods

    def _credited(
        self, returns: Returns, touches: Mapping[str, list[tuple[Touch, str]]]
    ) -> Iterable[tuple[Touch, int]]:
        in_order = {
            contact_id: [touch for touch, _ in sorted(theirs, key=lambda each: (each[0].at, each[1]))]
            for contact_id, theirs in touches.items()
        }
        for order in self._orders:
            if order.type == returns.event:
                touch = returned_to(in_order.get(order.contact_id, ()), order.at, returns.within)
                if touch is not None:
                    yield touch, revenue(returns, order.properties)
