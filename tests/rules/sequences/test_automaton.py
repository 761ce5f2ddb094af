"""Patterns in any order of arrival: held against an oracle that keeps and tries everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules.sequences.automaton import Arrival, judge
from engine.rules.sequences.past import Past, recalled, stored
from engine.rules.sequences.pattern import MOST_KEPT, Link, Pattern, Step

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WITHIN, LATE = 6 * HOUR, 12 * HOUR

ONE = Step("1", {"a": "r"})
COUNT = Pattern("j", (ONE,), WITHIN, LATE, at_least=3)
ROW = Pattern("j", (ONE,), WITHIN, LATE, at_least=3, in_a_row=True)
LINKED = Link("same", ((0, "p", "x.p"), (2, "p", "z.p")))
SEQUENCE = Pattern(
    "j", (Step("x", {"a": "r"}), Step("y", {"b": None}), Step("z", {"a": None}, LINKED)), WITHIN, LATE
)


def same(rule: str, facts: Mapping[str, Any]) -> bool:
    assert rule == "same"
    return "x.p" in facts and facts.get("x.p") == facts.get("z.p")


def arrivals(*fits: int) -> st.SearchStrategy[list[Arrival]]:
    """Lives of up to 14 events: each some hours after the other arrived, and with an age of its own."""
    one = st.tuples(
        st.integers(0, 4), st.sampled_from([0, 0, 0, 1, 2, 3, 5, 8, 11, 12, 13, 20]), st.sampled_from(fits)
    )

    def live(drawn: list[tuple[int, int, int]], props: list[str]) -> list[Arrival]:
        now, life = START, []
        for seq, (pause, age, fit) in enumerate(drawn, 1):
            now += pause * HOUR
            life.append(Arrival(now - age * HOUR, now, seq, fit, {"p": props[seq % len(props)]}))
        return life

    return st.builds(
        live, st.lists(one, max_size=14), st.lists(st.sampled_from("pq"), min_size=1, max_size=3)
    )


def incremental(pattern: Pattern, life: Sequence[Arrival]) -> list[tuple[int, ...]]:
    """The numbers of the events that completed the pattern, each time; the past goes through JSON."""
    found: list[tuple[int, ...]] = []
    kept = stored(Past(), "v")
    for arrival in life:
        past = recalled(kept, "v")
        assert past is not None
        judged = judge(pattern, past, arrival, same)
        kept = stored(judged.past, "v")
        if judged.used:
            found.append(tuple(each.seq for each in judged.used))
    return found


def oracle(pattern: Pattern, life: Sequence[Arrival]) -> list[tuple[int, ...]]:
    """The same by brute force: everything is kept for ever and every choice of events is tried."""
    found: list[tuple[int, ...]] = []
    known: list[Arrival] = []
    used: set[int] = set()
    for arrival in life:
        known.append(arrival)
        if not arrival.fits or arrival.received_at - arrival.occurred_at > pattern.late_after:
            continue
        ordered = sorted(known, key=lambda each: (each.occurred_at, each.seq))
        free = [each for each in ordered if each.seq not in used and (each.fits or pattern.in_a_row)]
        size = pattern.at_least or len(pattern.steps)
        for chosen in combinations([each for each in free if each.fits], size):
            if arrival in chosen and _completes(pattern, chosen, free):
                found.append(tuple(each.seq for each in chosen))
                used.update(each.seq for each in chosen)
                break
    return found


def _completes(pattern: Pattern, chosen: Sequence[Arrival], free: Sequence[Arrival]) -> bool:
    if not chosen[-1].occurred_at - chosen[0].occurred_at < pattern.within:
        return False
    if pattern.at_least is None:
        fit = all(each.fits >> step & 1 for step, each in enumerate(chosen))
        return fit and chosen[0].says["p"] == chosen[2].says["p"]
    first, last = free.index(chosen[0]), free.index(chosen[-1])
    between = [each for each in free[first : last + 1] if each.fits or pattern.in_a_row]
    return list(chosen) == between


@settings(max_examples=150)
@given(life=arrivals(1))
def test_counted_events_are_found_like_by_brute_force(life: list[Arrival]) -> None:
    assert incremental(COUNT, life) == oracle(COUNT, life)


@settings(max_examples=150)
@given(life=arrivals(1, 1, 1, 0))
def test_rows_are_found_like_by_brute_force(life: list[Arrival]) -> None:
    assert incremental(ROW, life) == oracle(ROW, life)


@settings(max_examples=200)
@given(life=arrivals(0b101, 0b100, 0b010, 0b111))
def test_sequences_are_found_like_by_brute_force(life: list[Arrival]) -> None:
    assert incremental(SEQUENCE, life) == oracle(SEQUENCE, life)


@settings(max_examples=60)
@given(life=arrivals(1), draw=st.randoms())
def test_whether_enough_happened_does_not_depend_on_the_order_of_arrival(
    life: list[Arrival], draw: Any
) -> None:
    """Nothing late: all arrive at one moment, in one order or another."""
    happened = [each.occurred_at for each in life]

    def found() -> bool:
        arrived = max(happened, default=START)
        lenient = Pattern("j", (ONE,), WITHIN, timedelta(days=90), at_least=3)
        events = [Arrival(at, arrived, seq, 1, {}) for seq, at in enumerate(happened, 1)]
        return bool(incremental(lenient, events))

    before = found()
    draw.shuffle(happened)
    assert found() == before


def at(hour: float, seq: int, fits: int = 1, *, arrives: float | None = None) -> Arrival:
    happened = START + hour * HOUR
    return Arrival(happened, happened if arrives is None else START + arrives * HOUR, seq, fits, {})


def test_an_event_that_does_not_fit_breaks_a_row_and_no_count() -> None:
    life = [at(0, 1), at(1, 2), at(1.5, 3, 0), at(2, 4)]

    assert incremental(ROW, life) == []
    assert incremental(COUNT, life) == [(1, 2, 4)]


def test_a_break_that_arrives_afterwards_still_breaks_the_row_it_fell_into() -> None:
    assert incremental(ROW, [at(0, 1), at(2, 2), at(1, 3, 0, arrives=2), at(3, 4)]) == []


def test_a_completed_pattern_starts_anew() -> None:
    assert incremental(COUNT, [at(0.5 * hour, hour) for hour in range(1, 8)]) == [(1, 2, 3), (4, 5, 6)]


def test_the_window_is_open_at_its_end() -> None:
    assert incremental(COUNT, [at(0, 1), at(1, 2), at(6, 3)]) == []
    assert incremental(COUNT, [at(0, 1), at(1, 2), at(5.9, 3)]) == [(1, 2, 3)]


def test_an_event_out_of_order_completes_what_happened_around_it() -> None:
    assert incremental(COUNT, [at(0, 1), at(4, 2), at(2, 3, arrives=5)]) == [(1, 3, 2)]


def test_what_arrives_too_late_completes_nothing_and_still_counts_for_others() -> None:
    late = [at(0, 1), at(1, 2), at(2, 3, arrives=15)]

    assert incremental(COUNT, late) == []
    assert incremental(COUNT, [*late, at(3, 4, arrives=15)]) == [(2, 3, 4)]


def test_how_far_a_count_has_come_is_told() -> None:
    past = judge(COUNT, Past(), at(0, 1), same)
    assert past.so_far == 1
    assert judge(COUNT, past.past, at(1, 2), same).so_far == 2


@pytest.mark.parametrize("pattern", [COUNT, ROW, SEQUENCE])
def test_what_is_kept_has_a_limit_and_the_latest_count(pattern: Pattern) -> None:
    past = Past()
    breaks = 0 if pattern is ROW else 1
    for seq in range(1, 500):
        fits = breaks if pattern is not SEQUENCE else 0b001
        if pattern is COUNT and seq % 2:
            fits = 0
        past = judge(pattern, past, at(seq / 1000, seq, fits), same).past
        assert len(past.kept) <= MOST_KEPT
    if pattern is ROW:
        row = [at(0.6, 500), at(0.7, 501), at(0.8, 502)]
        judged = [judge(pattern, past, row[0], same)]
        for each in row[1:]:
            judged.append(judge(pattern, judged[-1].past, each, same))
        assert [each.seq for each in judged[-1].used] == [500, 501, 502]
        assert past.forgotten is not None
        # Where breaks may have been forgotten nothing is found complete.
        assert judge(pattern, past, at(0.0005, 503, arrives=1), same).past == past


def test_nothing_is_kept_of_events_that_can_matter_no_more() -> None:
    past = judge(COUNT, Past(), at(0, 1), same).past
    past = judge(COUNT, past, at(100, 2), same).past

    assert [each.seq for each in past.kept] == [2]


def test_a_past_of_another_definition_says_nothing() -> None:
    assert recalled(stored(Past(), "one"), "two") is None
    assert recalled(None, "one") is None


def test_a_sequence_whose_events_all_differ_is_given_up_after_a_while() -> None:
    """Six steps that each ask for the first one's property: trying all would never end."""
    steps = [Step("0", {"a": None})]
    for number in range(1, 6):
        asks = tuple((earlier, "p", f"{earlier}.p") for earlier in range(number + 1))
        steps.append(Step(str(number), {"a": None}, Link("never" if number == 5 else "ever", asks)))
    pattern = Pattern("j", tuple(steps), WITHIN, LATE)
    trials = 0

    def decides(rule: str, facts: Mapping[str, Any]) -> bool:
        nonlocal trials
        trials += 1
        return rule == "ever"

    past = Past()
    for seq in range(1, MOST_KEPT):
        past = judge(pattern, past, at(seq / 1000, seq, 0b111111), decides).past
    trials = 0
    assert judge(pattern, past, at(0.2, 500, 0b111111), decides).used == ()
    assert trials <= 2_000
