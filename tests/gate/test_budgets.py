"""Budgets as arithmetic: sums to the last unit, pace, shares, and stripes that never give too much."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.gate.budgets import OTHERS, WHOLE, Book, Budget, Pace, Purse, Share, Spending
from engine.gate.model import CalendarUnit, CalendarWindow
from engine.gate.pacing import allowance, pace_at, slots_in
from engine.gate.sharing_out import current, shared_out
from engine.gate.spending import committed, queued, refused
from engine.gate.stripes import allowed_in, striped, together

DAY = CalendarWindow(CalendarUnit.DAY, "UTC")
START = datetime(2026, 3, 1, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
PLAIN = Budget("all", 480, "UTC", window=DAY)
TWO = replace(
    PLAIN,
    shares=(Share("valued", 300_000, Fraction("1.35")), Share("new", 200_000)),
)

weights = st.lists(st.fractions(min_value=0, max_value=10, max_denominator=100), min_size=1, max_size=6)


def at(slots: int) -> datetime:
    return START + slots * HALF_HOUR


def opened(budget: Budget, slot: int = 0) -> Book:
    book = current(budget, None, at(slot))
    assert book is not None
    return book


@given(st.integers(0, 10**15), weights.filter(lambda each: sum(each) > 0))
def test_what_is_shared_out_is_all_of_it_to_the_last_unit(amount: int, parts: list[Fraction]) -> None:
    shared = shared_out(amount, parts)
    assert sum(shared) == amount
    assert all(abs(each - amount * part / sum(parts)) < 1 for each, part in zip(shared, parts, strict=True))


def test_a_window_of_a_day_allows_its_part_every_half_hour() -> None:
    assert [allowance(PLAIN, opened(PLAIN, slot), OTHERS) for slot in (0, 1, 23, 47)] == [10, 20, 240, 480]
    front = replace(PLAIN, pace=Pace.FRONT)
    assert allowance(front, opened(front, 23), OTHERS) == 360
    free = replace(PLAIN, pace=Pace.FREE)
    assert allowance(free, opened(free), OTHERS) == 480


@given(
    st.sampled_from(Pace),
    st.integers(1, 300).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(1, 10**12),
)
def test_the_pace_never_goes_back_and_ends_with_everything(pace: Pace, every: timedelta, limit: int) -> None:
    budget = replace(PLAIN, pace=pace, every=every, limit=limit)
    book = opened(budget)
    slots = slots_in(budget, book.starts, book.ends)
    allowed = [pace_at(budget, book, slot) for slot in range(slots)]
    assert allowed == sorted(allowed)
    assert allowed[0] > 0
    assert allowed[-1] == 1


def test_what_the_pace_does_not_allow_yet_waits_each_in_its_turn() -> None:
    book = opened(PLAIN)
    for _ in range(10):
        assert refused(Spending(PLAIN, OTHERS, 1), book, START) is None
        book = committed(book, OTHERS, 1)
    turns = []
    for _ in range(21):
        refusal = refused(Spending(PLAIN, OTHERS, 1), book, START)
        assert refusal is not None
        assert refusal.reason == "budget.ahead"
        turns.append(refusal.until)
        book = queued(book, OTHERS, 1)
    assert turns == [at(1)] * 10 + [at(2)] * 10 + [at(3)]


def test_who_did_not_come_in_their_turn_is_waited_for_no_longer() -> None:
    book = committed(opened(PLAIN), OTHERS, 10)
    for _ in range(25):
        book = queued(book, OTHERS, 1)
    later = current(PLAIN, book, at(3))
    assert later is not None
    # Thirty were allowed in the slots that are over, and ten were taken: of twenty-five, five may come yet.
    assert later.purses[OTHERS].waiting == 5


def test_what_is_used_up_says_when_there_is_more() -> None:
    book = committed(opened(PLAIN, 47), OTHERS, 480)
    refusal = refused(Spending(PLAIN, OTHERS, 1), book, at(47))
    assert refusal is not None
    assert (refusal.reason, refusal.until) == ("budget.spent", at(48))
    once = replace(PLAIN, window=None, starts=date(2026, 3, 1), ends=date(2026, 3, 1))
    refusal = refused(Spending(once, OTHERS, 1), committed(opened(once), OTHERS, 480), START)
    assert refusal is not None
    assert (refusal.reason, refusal.until) == ("budget.spent", None)


def test_before_its_first_day_and_after_its_last_nothing_is_paid() -> None:
    march = replace(PLAIN, starts=date(2026, 3, 2), ends=date(2026, 3, 3))
    assert current(march, None, START) is None
    refusal = refused(Spending(march, OTHERS, 1), None, START)
    assert refusal is not None
    assert (refusal.reason, refusal.until) == ("budget.not_open", datetime(2026, 3, 2, tzinfo=UTC))
    after = refused(Spending(march, OTHERS, 1), None, datetime(2026, 3, 4, tzinfo=UTC))
    assert after is not None
    assert after.until is None


def test_a_new_window_begins_anew() -> None:
    book = committed(opened(PLAIN, 47), OTHERS, 480)
    tomorrow = current(PLAIN, book, at(48))
    assert tomorrow is not None
    assert tomorrow.purses[OTHERS] == Purse(480)


def test_shares_begin_as_declared_and_what_one_does_not_need_goes_to_the_others_by_weight() -> None:
    book = opened(TWO)
    assert {name: purse.allocated for name, purse in book.purses.items()} == {
        "valued": 144,
        "new": 96,
        OTHERS: 240,
    }
    # In half of the day `valued` took all it was allowed, the others nothing.
    book = committed(book, "valued", 72)
    later = current(TWO, book, at(24))
    assert later is not None
    # It keeps what it needs if it goes on so, 144, and of the rest, 336, it gets 0.3 x 1.35 of 1.105.
    assert later.purses["valued"].allocated == 144 + 123
    assert sum(purse.allocated for purse in later.purses.values()) == 480


@st.composite
def budgets(draw: st.DrawFn) -> Budget:
    count = draw(st.integers(0, 3))
    parts = shared_out(draw(st.integers(0, WHOLE)), [1] * count) if count else []
    return replace(
        PLAIN,
        limit=draw(st.integers(1, 10_000)),
        pace=draw(st.sampled_from(Pace)),
        every=timedelta(minutes=draw(st.sampled_from([5, 30, 70, 600]))),
        shares=tuple(
            Share(f"s{number}", part, draw(st.sampled_from([Fraction(1), Fraction("1.35"), Fraction("0.5")])))
            for number, part in enumerate(parts)
        ),
    )


@given(
    budgets(),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3), st.integers(1, 400)), max_size=60),
)
def test_nothing_is_overspent_and_all_together_stay_within_the_pace(
    budget: Budget, story: list[tuple[int, int, int]]
) -> None:
    now, book = START, opened(budget)
    names = list(book.purses)
    for minutes, which, cost in story:
        now = min(now + timedelta(minutes=minutes), at(48) - timedelta(seconds=1))
        found = current(budget, book, now)
        assert found is not None
        assert current(budget, found, now) == found, "sharing out again changes nothing"
        book = found
        assert sum(purse.allocated for purse in book.purses.values()) == budget.limit
        name = names[which % len(names)]
        if refused(Spending(budget, name, cost), book, now) is None:
            book = committed(book, name, cost)
        for each, purse in book.purses.items():
            assert purse.committed <= allowance(budget, book, each) <= purse.allocated
        assert book.committed <= budget.limit * pace_at(budget, book, book.slot)


@given(budgets(), budgets(), st.integers(0, 47), st.integers(0, 47), st.data())
def test_an_edited_budget_takes_nothing_back_and_gives_no_more_than_its_limit(
    before: Budget, after: Budget, first: int, then: int, data: st.DataObject
) -> None:
    book = opened(before, min(first, then))
    for name in list(book.purses):
        book = committed(book, name, data.draw(st.integers(0, allowance(before, book, name))))
    edited = current(after, book, at(max(first, then)))
    assert edited is not None
    for name, purse in edited.purses.items():
        assert purse.allocated >= purse.committed == book.purses.get(name, Purse(0)).committed
    total = sum(purse.allocated for purse in edited.purses.values())
    assert total == max(after.limit, book.committed)


def test_a_share_may_still_spend_what_it_has_spent_when_nothing_is_left_over_for_it() -> None:
    budget = replace(
        PLAIN, limit=2, pace=Pace.FRONT, every=timedelta(hours=12), shares=(Share("small", 10_000),)
    )
    before = Book(
        START, START + timedelta(days=1), 0, "another", {"small": Purse(5, committed=1), OTHERS: Purse(5)}
    )
    book = current(budget, before, at(0))
    assert book is not None
    # Three quarters are allowed at first: one of it is no more than that of two, and of one it would be.
    assert {name: purse.allocated for name, purse in book.purses.items()} == {"small": 2, OTHERS: 0}
    assert allowance(budget, book, "small") == 1


@given(
    st.integers(0, 5000),
    st.fractions(min_value=Fraction(1, 100), max_value=1, max_denominator=100),
    st.fractions(min_value=0, max_value=1, max_denominator=100),
    st.integers(1, 8),
    st.integers(1, 30),
    st.data(),
)
def test_stripes_never_give_more_than_the_purse_now_or_later(
    allocated: int, pace: Fraction, more: Fraction, count: int, cost: int, data: st.DataObject
) -> None:
    taken = data.draw(st.integers(0, int(allocated * pace)))
    purse = Purse(allocated, taken, 7)
    stripes = striped(purse, pace, count, cost)
    assert len(stripes) == count
    assert together(stripes) == purse
    for later in (pace, pace + (1 - pace) * more, Fraction(1)):
        most = sum(max(each.committed, allowed_in(each, later)) for each in stripes)
        assert most <= int(allocated * later)


@pytest.mark.parametrize(("room", "split"), [(2000, True), (100, False)])
def test_only_what_is_plenty_is_split(room: int, split: bool) -> None:
    stripes = striped(Purse(5000, 5000 - room), Fraction(1), 8, 1)
    assert all(each.allocated > 0 for each in stripes) is split
