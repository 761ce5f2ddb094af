"""The hash that gives arms: the published one, even, independent between seeds, and leaving nobody out."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.experiments.bucketing import STEPS, arm_in, bucket_of, is_reachable, ranges_of

# From GrowthBook's cases for its client libraries (tests/cases.json of growthbook-python, specification
# 0.7.1, commit c444b7d of 2026-04-23, MIT licence): seed, value, hash of version 2.
PUBLISHED = [
    ("seed", "a", 0.0505),
    ("seed", "b", 0.2696),
    ("foo", "ab", 0.2575),
    ("foo", "def", 0.2019),
    ("89123klj", "8952klfjas09ujkasdf", 0.124),
    ("90850943850283058242805", "123", 0.7516),
    ("()**(%$##$%#$#", '___)((*":&', 0.0128),
]
# From the same file, `getBucketRange` with whole coverage: weights, borders.
BORDERS = [
    ((1, 1), [0, 0.5, 1]),
    ((1, 1, 1, 1), [0, 0.25, 0.5, 0.75, 1]),
    ((4, 6), [0, 0.4, 1]),
    ((2, 3, 5), [0, 0.2, 0.5, 1]),
]
# And `chooseVariation` over halves.
CHOSEN = [(0.0, 0), (0.2, 0), (0.4, 0), (0.5, 1), (0.6, 1), (0.8, 1)]

Group = TypeVar("Group")

weights = st.lists(st.integers(1, 10_000), min_size=2, max_size=12)
PEOPLE = [f"contact-{number}" for number in range(20_000)]


@pytest.mark.parametrize(("seed", "value", "wanted"), PUBLISHED)
def test_the_hash_is_the_published_one(seed: str, value: str, wanted: float) -> None:
    assert bucket_of(seed, value) == wanted


@pytest.mark.parametrize(("given_weights", "borders"), BORDERS)
def test_the_borders_are_the_published_ones(given_weights: tuple[int, ...], borders: list[float]) -> None:
    ranges = ranges_of(given_weights)

    assert [start for start, _ in ranges] == pytest.approx(borders[:-1])
    assert [end for _, end in ranges] == pytest.approx(borders[1:])


@pytest.mark.parametrize(("bucket", "wanted"), CHOSEN)
def test_a_border_belongs_to_the_arm_that_begins_there(bucket: float, wanted: int) -> None:
    assert arm_in(ranges_of([1, 1]), bucket) == wanted


def test_a_letter_outside_of_the_basic_plane_counts_as_two_as_in_javascript() -> None:
    # FNV-1a over the code units D83D DE00 of this letter, worked out by hand.
    found = 0x811C9DC5
    for unit in (0xD83D, 0xDE00):
        found = ((found ^ unit) * 0x01000193) % 2**32
    inner = str(found)
    again = 0x811C9DC5
    for letter in inner:
        again = ((again ^ ord(letter)) * 0x01000193) % 2**32

    assert bucket_of("", "\U0001f600") == again % 10_000 / 10_000


@given(weights=weights, seed=st.text(max_size=20), value=st.text(min_size=1, max_size=40))
def test_everybody_has_exactly_one_arm_and_always_the_same(weights: list[int], seed: str, value: str) -> None:
    ranges, bucket = ranges_of(weights), bucket_of(seed, value)

    assert 0 <= bucket < 1
    holding = [number for number, (start, end) in enumerate(ranges) if start <= bucket < end]
    assert holding in ([arm_in(ranges, bucket)], [])
    assert all(one[1] == other[0] for one, other in pairwise(ranges))
    assert bucket_of(seed, value) == bucket


@given(weights=weights)
def test_an_arm_is_reachable_exactly_if_some_step_of_the_hash_leads_there(weights: list[int]) -> None:
    ranges = ranges_of(weights)
    reached = {arm_in(ranges, step / STEPS) for step in range(STEPS)}

    assert {number for number, part in enumerate(ranges) if is_reachable(part)} == reached


@pytest.mark.parametrize("seed", ["welcome/subject_line", "spring", "", "全局留出"])
def test_people_spread_evenly(seed: str) -> None:
    counts = Counter(int(bucket_of(seed, each) * 50) for each in PEOPLE)

    # 49 degrees of freedom: one in a thousand seeds lies beyond 85.35.
    assert chi_square(counts, {number: len(PEOPLE) / 50 for number in range(50)}) < 85.35


@pytest.mark.parametrize(("one", "other"), [("welcome/a", "welcome/b"), ("1", "2"), ("spring", "spring ")])
def test_draws_under_two_seeds_have_nothing_to_do_with_each_other(one: str, other: str) -> None:
    pairs = Counter((int(bucket_of(one, each) * 5), int(bucket_of(other, each) * 5)) for each in PEOPLE)
    first, second = (
        Counter(pair[0] for pair in pairs.elements()),
        Counter(pair[1] for pair in pairs.elements()),
    )
    expected = {(a, b): first[a] * second[b] / len(PEOPLE) for a in range(5) for b in range(5)}

    # 16 degrees of freedom: one in a thousand pairs of independent draws lies beyond 39.25.
    assert chi_square(pairs, expected) < 39.25


@given(before=st.integers(1, 100), more=st.integers(1, 100), other=st.integers(1, 100))
def test_of_two_arms_the_one_that_grows_takes_from_the_other_and_nobody_else_moves(
    before: int, more: int, other: int
) -> None:
    then, now = ranges_of([other, before]), ranges_of([other, before + more])
    moves = {(arm_in(then, step / STEPS), arm_in(now, step / STEPS)) for step in range(STEPS)}

    assert moves <= {(0, 0), (1, 1), (0, 1)}


def test_of_three_arms_others_move_as_well_which_is_why_assignments_are_kept() -> None:
    then, now = ranges_of([1, 1, 1]), ranges_of([2, 1, 1])
    moves = {(arm_in(then, step / STEPS), arm_in(now, step / STEPS)) for step in range(STEPS)}

    assert (2, 1) in moves  # the first arm grew, and people went from the third to the second


def chi_square(found: Counter[Group], expected: dict[Group, float]) -> float:
    return sum((found[each] - wanted) ** 2 / wanted for each, wanted in expected.items())
