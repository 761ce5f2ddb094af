"""Places in a stratum: exact after every block, near it in between, and with even chances everywhere."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.experiments.balancing import arm_at, largest_gap, lowest_terms

weights = st.lists(st.integers(1, 60), min_size=2, max_size=5).filter(
    lambda each: sum(lowest_terms(each)) <= 200
)


@given(weights=weights, seed=st.text(max_size=10), stratum=st.text(max_size=10))
def test_whoever_comes_the_arms_stay_near_their_shares(weights: list[int], seed: str, stratum: str) -> None:
    terms = lowest_terms(weights)
    length = sum(terms)
    found: Counter[int] = Counter()
    for place in range(2 * length):
        found[arm_at(place, seed, stratum, weights)] += 1
        for arm, term in enumerate(terms):
            gap = abs(found[arm] - (place + 1) * term / length)
            assert gap <= largest_gap(arm, weights) + 1e-9
        if (place + 1) % length == 0:
            assert [found[arm] * length for arm in range(len(terms))] == [
                term * (place + 1) for term in terms
            ]


@pytest.mark.parametrize(
    ("weights", "people"), [((1, 1), 1), ((33, 33, 34), 5), ((499, 501), 5), ((90, 10), 1), ((70, 20, 10), 3)]
)
def test_the_bound_is_a_handful_of_people_also_for_fine_weights(
    weights: tuple[int, ...], people: int
) -> None:
    assert max(largest_gap(arm, weights) for arm in range(len(weights))) <= people


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_at_every_single_place_the_chance_of_an_arm_is_its_share(place: int) -> None:
    draws = 8_000
    found = Counter(arm_at(place, f"seed {number}", '["new"]', (1, 3)) for number in range(draws))

    # Four standard deviations of a share of a quarter.
    assert found[0] / draws == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / draws) ** 0.5)


def test_strata_and_seeds_are_drawn_each_by_itself() -> None:
    def order(seed: str, stratum: str) -> list[int]:
        return [arm_at(place, seed, stratum, (1, 1)) for place in range(60)]

    assert order("a", "x") == order("a", "x")
    assert order("a", "x") != order("b", "x")
    assert order("a", "x") != order("a", "y")


def test_percentages_are_the_same_as_their_lowest_terms() -> None:
    assert lowest_terms((50, 50)) == (1, 1)
    assert [arm_at(place, "s", "x", (50, 25, 25)) for place in range(20)] == [
        arm_at(place, "s", "x", (2, 1, 1)) for place in range(20)
    ]
