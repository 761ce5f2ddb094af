"""The stop on unstable return as arithmetic: periods, whose an order is, and when a share is halted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from statistics import mean, stdev

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.gate.budgets import Budget, Halt, Returns
from engine.gate.model import CalendarUnit, CalendarWindow
from engine.gate.returns import (
    NOTHING_KNOWN,
    RULE,
    Course,
    Period,
    Touch,
    judge_ripe,
    judged,
    let_go_on,
    next_judged_at,
    periods_between,
    returned_to,
    revenue,
    steadiness,
    with_period,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RETURNS = Returns("paid", "amount", 6 * HOUR, 4 * HOUR, 4, Fraction(12, 100), Fraction(10, 100), decimals=2)
BUDGET = Budget("all", 480, "UTC", window=CalendarWindow(CalendarUnit.DAY, "UTC"), returns=RETURNS)


def course(*figures: tuple[int, int], returns: Returns = RETURNS) -> Course:
    """Of periods one after the other, each with what was spent and what came back."""
    found = NOTHING_KNOWN
    for number, (spent, returned) in enumerate(figures):
        starts = START + number * returns.period
        found = with_period(returns, found, Period(starts, starts + returns.period, spent, returned))
    return found


figures = st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**9)), min_size=4, max_size=12)


@given(figures)
def test_volatility_is_the_sample_deviation_in_parts_of_the_mean(said: list[tuple[int, int]]) -> None:
    found = steadiness(RETURNS, course(*said))
    assert found is not None
    last = [returned / spent for spent, returned in said[-4:]]
    assume(mean(last) > 0)
    assert found.volatility == pytest.approx(stdev(last) / mean(last), rel=1e-6, abs=1e-6)


@given(figures, st.integers(1, 1000))
def test_in_whatever_unit_it_is_counted_the_verdict_is_the_same(
    said: list[tuple[int, int]], factor: int
) -> None:
    plain = judged(RETURNS, course(*said), START)
    scaled = judged(RETURNS, course(*((spent * factor, returned) for spent, returned in said)), START)
    assert (plain.halt is None) == (scaled.halt is None)


@given(figures)
def test_what_is_halted_goes_on_only_below_the_lower_limit(said: list[tuple[int, int]]) -> None:
    known = course(*said)
    found = steadiness(RETURNS, known)
    assert found is not None
    halted = replace(known, halt=Halt(START, RULE))
    assert (judged(RETURNS, known, START).halt is not None) == found.is_above(RETURNS.unstable_above)
    assert (judged(RETURNS, halted, START).halt is not None) == found.is_above(RETURNS.stable_below)


def test_between_both_limits_everything_stays_as_it_is() -> None:
    # 11 % of the mean: sample deviation of 89, 100, 111 and 100 is 8.98; of 87, 100, 113, 100 it is 10.6.
    between = course((100, 87), (100, 100), (100, 113), (100, 100))
    assert judged(RETURNS, between, START).halt is None
    halted = replace(between, halt=Halt(START, RULE))
    assert judged(RETURNS, halted, START + HOUR) == halted
    steady = course((100, 89), (100, 100), (100, 111), (100, 100))
    assert judged(RETURNS, replace(steady, halt=Halt(START, RULE)), START).halt is None


def test_few_periods_say_nothing_and_neither_do_those_that_spent_little() -> None:
    wild = [(100, 0), (100, 500), (100, 0)]
    assert judged(RETURNS, course(*wild), START).halt is None
    assert judged(RETURNS, course(*wild, (100, 900)), START).halt is not None
    careful = replace(RETURNS, least=100)
    assert judged(careful, course(*wild, (99, 900), returns=careful), START).halt is None


def test_where_nothing_comes_back_nothing_is_unsteady() -> None:
    assert judged(RETURNS, course(*[(100, 0)] * 4), START).halt is None


def test_a_person_lets_go_on_what_they_halted_and_begins_anew() -> None:
    wild = course((100, 0), (100, 500), (100, 0), (100, 900))
    by_hand = replace(course(*[(100, 100)] * 4), halt=Halt(START, "somebody"))
    assert judged(RETURNS, by_hand, START) == by_hand
    resumed = let_go_on(wild, START + 4 * RETURNS.period)
    assert judged(RETURNS, resumed, START + DAY).halt is None
    starts = START + 4 * RETURNS.period
    for number in range(4):
        begins = starts + number * RETURNS.period
        period = Period(begins, begins + RETURNS.period, 100, (number % 2) * 100)
        resumed = with_period(RETURNS, resumed, period)
        assert (judged(RETURNS, resumed, begins).halt is not None) == (number == 3)


moments = st.integers(0, 60 * 24 * 40).map(lambda minutes: START + timedelta(minutes=minutes))


@given(moments, st.integers(0, 60 * 24 * 10).map(lambda minutes: timedelta(minutes=minutes)))
def test_periods_follow_each_other_without_a_gap_from_window_to_window(
    after: datetime, length: timedelta
) -> None:
    budget = replace(BUDGET, returns=replace(RETURNS, period=7 * HOUR))
    found = list(periods_between(budget, after, after + length))
    assert all(one[1] == other[0] for one, other in pairwise(found))
    assert all(after <= starts < ends <= after + length for starts, ends in found)
    assert all(starts.hour in (0, 7, 14, 21) and ends - starts <= 7 * HOUR for starts, ends in found)


def test_the_periods_of_a_budget_of_named_days_end_with_it() -> None:
    budget = replace(BUDGET, window=None, starts=date(2026, 3, 5), ends=date(2026, 3, 5))
    found = list(periods_between(budget, START, START + 30 * DAY))
    assert (found[0][0], found[-1][1], len(found)) == (START + 4 * DAY, START + 5 * DAY, 6)
    over = START + 40 * DAY
    assert next_judged_at(budget, over) == over + RETURNS.period


@given(moments)
def test_the_next_moment_to_judge_is_the_first_at_which_another_period_is_ripe(now: datetime) -> None:
    at = next_judged_at(BUDGET, now)
    since = START - 2 * DAY
    before = len(list(periods_between(BUDGET, since, now - RETURNS.within)))
    assert now < at <= now + RETURNS.period
    assert len(list(periods_between(BUDGET, since, at - RETURNS.within))) == before + 1
    tick = timedelta(microseconds=1)
    assert len(list(periods_between(BUDGET, since, at - tick - RETURNS.within))) == before


@given(st.lists(st.integers(0, 600), min_size=8, max_size=8), st.sets(st.integers(0, 8)))
def test_however_late_and_often_it_is_judged_the_same_is_said(amounts: list[int], looks: set[int]) -> None:
    def close(starts: datetime, ends: datetime) -> dict[str, Period]:
        number = (starts - START) // RETURNS.period
        return {"others": Period(starts, ends, 100, amounts[number])}

    end = START + 8 * RETURNS.period + RETURNS.within
    at_once: dict[str, Course] = {}
    _, said_at_once = judge_ripe(BUDGET, at_once, START, end, close)
    by_steps: dict[str, Course] = {}
    since, said = START, []
    for look in sorted(looks):
        since, turns = judge_ripe(
            BUDGET, by_steps, since, START + look * RETURNS.period + RETURNS.within, close
        )
        said += turns
    _, turns = judge_ripe(BUDGET, by_steps, since, end, close)
    assert (by_steps, [*said, *turns]) == (at_once, said_at_once)


def test_an_order_is_the_return_of_the_latest_message_before_it() -> None:
    first, second = Touch("others", START, 1), Touch("keen", START + HOUR, 1)
    assert returned_to([first, second], START, 6 * HOUR) is None
    assert returned_to([first, second], START + HOUR, 6 * HOUR) is first
    assert returned_to([first, second], START + 7 * HOUR, 6 * HOUR) is second
    assert returned_to([first, second], START + 7 * HOUR + timedelta(seconds=1), 6 * HOUR) is None


@pytest.mark.parametrize(
    ("said", "amount"),
    [(12.5, 1250), (3, 300), (-4, -400), (0.005, 0), (True, 0), ("12", 0), (None, 0), (float("inf"), 0)],
)
def test_only_numbers_bring_something_in(said: object, amount: int) -> None:
    assert revenue(RETURNS, {"amount": said}) == amount
