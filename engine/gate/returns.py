"""The stop on unstable return: what orders bring in beside what was spent for them, period by period; pure.

A budget's time is cut into periods. What a contact orders within `within` of the latest message that the
budget paid for them is that message's return, and belongs to the period and the share from which it was paid.
A period is *ripe* once no order can come to it any more, and only ripe periods are judged: by how much the
return on what was spent varies over the last few of them, as the sample standard deviation in parts of the
mean. A share that varies more than declared is halted until it varies little enough again, or somebody lets
it go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from engine.gate.budgets import Budget, Halt, Returns
from engine.gate.pacing import bounds, span_of

RULE = "rule"
"""Who has halted a share, or let it go on, when it was no person."""
_AHEAD = timedelta(days=10 * 366)


@dataclass(frozen=True)
class Period:
    """What was spent of a share in one period, half-open `[starts, ends)`, and what came of it."""

    starts: datetime
    ends: datetime
    spent: int
    """In the budget's smallest unit."""
    returned: int
    """In the smallest unit of the currency of the orders."""


@dataclass(frozen=True)
class Steadiness:
    """How the return on what was spent was over some periods."""

    periods: int
    mean: Fraction
    """Returned for one spent, in smallest units."""
    variance: Fraction
    """Of the sample."""

    @property
    def volatility(self) -> float:
        """The standard deviation in parts of the mean; 0 where nothing came back at all."""
        return float(self.variance) ** 0.5 / float(abs(self.mean)) if self.mean else 0.0

    def is_above(self, limit: Fraction) -> bool:
        """Whether it varies more than so many parts of the mean, to the last digit."""
        return self.variance > limit**2 * self.mean**2 and self.mean != 0


@dataclass(frozen=True)
class Course:
    """What is known of one share: its ripe periods in their order, and whether it is halted."""

    periods: tuple[Period, ...] = ()
    halt: Halt | None = None
    counts_from: datetime | None = None
    """Periods that begin earlier say nothing any more, for somebody let it go on then."""


NOTHING_KNOWN = Course()


@dataclass(frozen=True)
class Touch:
    """A message that a budget paid for, as orders look for it."""

    share: str
    at: datetime
    amount: int


def periods_between(budget: Budget, after: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The periods that begin no sooner than `after` and are over by `until`, in their order.

    They begin with the budget's windows; the last of a window may be shorter.
    """
    assert budget.returns is not None, "only budgets with a return have periods"
    length, at = budget.returns.period, after
    while at < until:
        span = span_of(budget, at)
        if span is None:
            first, _ = bounds(budget)
            if first is None or at >= first:
                return
            at = first
            continue
        starts, ends = span
        begins = starts + length * max(0, -((starts - at) // length))
        while begins < ends:
            over = min(ends, begins + length)
            if over > until:
                return
            yield begins, over
            begins = over
        at = ends


def period_of(budget: Budget, at: datetime) -> tuple[datetime, datetime] | None:
    """The period in which a moment lies; None when the budget is not open then."""
    assert budget.returns is not None, "only budgets with a return have periods"
    length = budget.returns.period
    near = periods_between(budget, at - length, at + length)
    return next(((starts, ends) for starts, ends in near if starts <= at < ends), None)


def first_judged(budget: Budget, now: datetime) -> datetime:
    """From when on periods are looked at where none was before."""
    assert budget.returns is not None, "only budgets with a return have periods"
    returns = budget.returns
    return now - returns.within - returns.period * (returns.periods + 1)


def next_judged_at(budget: Budget, now: datetime) -> datetime:
    """The first moment after `now` at which another period is ripe; a period later where none is to come."""
    assert budget.returns is not None, "only budgets with a return have periods"
    within, length = budget.returns.within, budget.returns.period
    for _, ends in periods_between(budget, now - within - length, now + _AHEAD):
        if ends + within > now:
            return ends + within
    return now + length


def revenue(returns: Returns, properties: Mapping[str, Any]) -> int:
    """What an order brought in, in smallest units; 0 when it does not say so in a number."""
    value = properties.get(returns.amount)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return 0
    try:
        return int(Decimal(str(value)).scaleb(returns.decimals).to_integral_value())
    except (InvalidOperation, OverflowError, ValueError):
        return 0


def steadiness(returns: Returns, course: Course) -> Steadiness | None:
    """How steady the return was over the last periods that say anything; None while they are too few."""
    telling = [
        Fraction(period.returned, period.spent)
        for period in course.periods
        if period.spent >= max(1, returns.least)
        and (course.counts_from is None or period.starts >= course.counts_from)
    ][-returns.periods :]
    if len(telling) < returns.periods:
        return None
    mean = sum(telling, Fraction(0)) / len(telling)
    variance = sum(((each - mean) ** 2 for each in telling), Fraction(0)) / (len(telling) - 1)
    return Steadiness(len(telling), mean, variance)


def judged(returns: Returns, course: Course, at: datetime) -> Course:
    """The course after another period became ripe at `at`: halted, let go on, or as it was.

    Who was halted by a person is let go on by a person.
    """
    found = steadiness(returns, course)
    if found is None:
        return course
    halt = course.halt
    if halt is None and found.is_above(returns.unstable_above):
        return _with(course, Halt(at, RULE, found.volatility, found.periods))
    if halt is not None and halt.by == RULE and not found.is_above(returns.stable_below):
        return _with(course, None)
    return course


@dataclass(frozen=True)
class Turn:
    """That a share was halted or let go on."""

    share: str
    halted: bool
    said: Halt
    """With the moment and the figures by which that was said."""


def judge_ripe(
    budget: Budget,
    courses: dict[str, Course],
    since: datetime,
    now: datetime,
    close: Callable[[datetime, datetime], Mapping[str, Period]],
) -> tuple[datetime, list[Turn]]:
    """Judge every period behind `since` that is ripe at `now`, one after the other, as if each in its time.

    `close` tells of one what was spent in it and what came of it, by share. The courses are brought up to
    date; returned are the end of the last period and what was said.
    """
    returns = budget.returns
    assert returns is not None, "only budgets with a return are judged"
    turns: list[Turn] = []
    # What was judged and stayed as it was would be judged alike again, until another period says something.
    unsettled = set(courses)
    for starts, ends in periods_between(budget, since, now - returns.within):
        ripe_at = ends + returns.within
        for share, period in close(starts, ends).items():
            courses[share] = with_period(returns, courses.get(share, NOTHING_KNOWN), period)
            unsettled.add(share)
        for share in sorted(unsettled):
            course = courses[share]
            after = courses[share] = judged(returns, course, ripe_at)
            if after is course:
                unsettled.discard(share)
            said = after.halt or course.halt
            if after.halt != course.halt and said is not None:
                turns.append(Turn(share, after.halt is not None, replace(said, since=ripe_at)))
        since = ends
    return since, turns


def with_period(returns: Returns, course: Course, period: Period) -> Course:
    """The course with one more period behind the others; those that are needed no more are forgotten."""
    if period.spent < max(1, returns.least):
        return course
    kept = (*course.periods, period)[-returns.periods :]
    return Course(kept, course.halt, course.counts_from)


def halt_told(returns: Returns, halt: Halt) -> dict[str, Any]:
    """A halt for people: since when, by whom, and with `rule` the figures that led to it."""
    told: dict[str, Any] = {"halted_since": halt.since.isoformat(), "halted_by": halt.by}
    if halt.by == RULE:
        told |= {
            "volatility": round(halt.volatility, 4),
            "unstable_above": float(returns.unstable_above),
            "periods": halt.periods,
        }
    return told


def let_go_on(course: Course, at: datetime) -> Course:
    """The course of a share that a person lets go on: only what is spent from now on says anything."""
    return Course(course.periods, None, at)


def _with(course: Course, halt: Halt | None) -> Course:
    return Course(course.periods, halt, course.counts_from)


def returned_to(touches: Sequence[Touch], order_at: datetime, within: timedelta) -> Touch | None:
    """To which of one contact's messages, in the order of their moments, an order belongs; None: to none.

    To the latest before it, unless that is too long ago.
    """
    latest = next((touch for touch in reversed(touches) if touch.at < order_at), None)
    return latest if latest is not None and order_at <= latest.at + within else None
