"""Counts over a moving window: exact for a hundred events, near beyond, whatever the order of arrival."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules.counting import (
    MOST_EXACT,
    PORTIONS,
    Count,
    is_current,
    next_change_at,
    next_turn_at,
    nothing_yet,
    tallied,
    turns_ahead,
    value_at,
)
from engine.rules.timing import place_among

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ORDERS = Count("orders_7d", "", frozenset({"paid"}), 7 * DAY, version="a")
SPENT = Count("spent_7d", "", frozenset({"paid"}), 7 * DAY, sums="amount", version="b")

# (how long it takes to arrive, when it happened before that, amount)
arrivals = st.lists(
    st.tuples(
        st.integers(0, 40).map(lambda hours: hours * HOUR),
        st.integers(0, 200).map(lambda hours: hours * HOUR),
        st.sampled_from([0, 1, 0.1, 19.99, 250]),
    ),
    max_size=60,
)


def kept(count: Count, life: list[tuple[timedelta, timedelta, float]]) -> tuple[dict[str, Any], datetime]:
    """The tally after these arrivals, and the moment of the last one."""
    tally, now = nothing_yet(count), START
    for pause, age, amount in life:
        now += pause
        tally = tallied(count, tally, now - age, amount, now)
    return tally, now


@settings(max_examples=60)
@given(life=arrivals, later=st.integers(0, 200))
def test_a_count_says_what_counting_the_events_says(
    life: list[tuple[timedelta, timedelta, float]], later: int
) -> None:
    now = START
    happened = []
    for pause, age, amount in life:
        now += pause
        happened.append((now - age, amount))
    asked_at = now + later * HOUR
    inside = [amount for at, amount in happened if asked_at - at < 7 * DAY]

    assert value_at(ORDERS, kept(ORDERS, life)[0], asked_at) == len(inside)
    assert value_at(SPENT, kept(SPENT, life)[0], asked_at) == round(sum(inside), 6)


@settings(max_examples=60)
@given(life=arrivals)
def test_a_count_changes_exactly_at_the_moments_it_names(
    life: list[tuple[timedelta, timedelta, float]],
) -> None:
    tally, now = kept(ORDERS, life)
    value = value_at(ORDERS, tally, now)
    changes = 0
    while (change := next_change_at(ORDERS, tally, now)) is not None:
        assert value_at(ORDERS, tally, change - timedelta(microseconds=1)) == value
        assert (value_at(ORDERS, tally, change) < value) and change > now
        value, now = value_at(ORDERS, tally, change), change
        changes += 1
    assert value == 0
    assert changes <= len(life)


@settings(max_examples=60)
@given(
    life=arrivals,
    marks=st.lists(st.sampled_from([0, 1, 2, 3, 19.99, 250, 300]), unique=True, max_size=3),
    credit=st.booleans(),
)
def test_the_next_turn_is_the_first_change_that_a_mark_tells_apart(
    life: list[tuple[timedelta, timedelta, float]], marks: list[float], credit: bool
) -> None:
    if credit:
        life = [*life, (HOUR, 2 * HOUR, -20)]  # then the sum may rise when this goes by
    given = tuple(sorted(marks))
    for count in (ORDERS, SPENT):
        tally, now = kept(count, life)
        here = value_at(count, tally, now)
        turn = next_turn_at(count, tally, here, now, given)
        passed, moment = False, next_change_at(count, tally, now)
        while moment is not None and not passed and not (credit and count is SPENT):
            passed = place_among(given, value_at(count, tally, moment)) != place_among(given, here)
            moment = moment if passed else next_change_at(count, tally, moment)
        if credit and count is SPENT:
            assert turn == next_change_at(count, tally, now)
        else:
            assert turn == moment


@settings(max_examples=60)
@given(life=arrivals, marks=st.lists(st.sampled_from([0, 1, 2, 3, 19.99, 250]), unique=True, max_size=3))
def test_the_turns_ahead_are_the_next_turn_and_the_one_after_it_until_there_is_none(
    life: list[tuple[timedelta, timedelta, float]], marks: list[float]
) -> None:
    life = [*life, *[(timedelta(), HOUR, 1)] * 2]  # what happened at one moment leaves together
    given = tuple(sorted(marks))
    for count in (ORDERS, SPENT):
        tally, now = kept(count, life)
        here = value_at(count, tally, now)
        ahead = turns_ahead(count, tally, here, now, given)
        found: list[tuple[datetime, int]] = []
        while (turn := next_turn_at(count, tally, here, now, given)) is not None:
            now, here = turn, value_at(count, tally, turn)
            found.append((turn, place_among(given, here)))
        assert list(ahead) == found


@settings(max_examples=30)
@given(ages=st.lists(st.integers(0, 7 * 24 * 60 - 1), min_size=150, max_size=400), draw=st.randoms())
def test_beyond_a_hundred_a_count_is_near_small_and_the_same_in_any_order(ages: list[int], draw: Any) -> None:
    happened = [START - timedelta(minutes=age) for age in ages]

    def tally() -> dict[str, Any]:
        kept = nothing_yet(SPENT)
        for at in happened:
            kept = tallied(SPENT, kept, at, 0.1, START)
        return kept

    found = tally()
    draw.shuffle(happened)
    assert tally() == found
    assert len(found["exact"]) == MOST_EXACT
    assert len(found["portions"]) <= PORTIONS + 1
    for hours in range(0, 8 * 24, 5):
        now = START + hours * HOUR
        least = sum(now - at < 7 * DAY for at in happened)
        most = sum(now - at < 7 * DAY + 7 * DAY / PORTIONS for at in happened)
        assert round(least * 0.1, 6) <= value_at(SPENT, found, now) <= round(most * 0.1, 6)


def test_an_event_counts_while_it_is_younger_than_the_window() -> None:
    tally = tallied(ORDERS, nothing_yet(ORDERS), START, 0, START)

    assert value_at(ORDERS, tally, START + 7 * DAY - timedelta(microseconds=1)) == 1
    assert value_at(ORDERS, tally, START + 7 * DAY) == 0
    assert next_change_at(ORDERS, tally, START) == START + 7 * DAY
    assert next_change_at(ORDERS, tally, START + 7 * DAY) is None


def test_what_happened_before_the_window_began_leaves_no_trace() -> None:
    assert tallied(ORDERS, nothing_yet(ORDERS), START - 7 * DAY, 0, START) == nothing_yet(ORDERS)


def test_what_has_left_the_window_is_not_kept() -> None:
    tally = tallied(ORDERS, nothing_yet(ORDERS), START, 0, START)

    assert len(tallied(ORDERS, tally, START + 8 * DAY, 0, START + 8 * DAY)["exact"]) == 1


def test_a_tally_of_another_definition_is_not_current() -> None:
    assert is_current(ORDERS, nothing_yet(ORDERS))
    assert not is_current(ORDERS, nothing_yet(SPENT))
    assert not is_current(ORDERS, None)
