"""No test is lost or run twice when they are shared out, and those that wait stand between the others."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.spreading import SPREAD_OVER, spread

sizes = st.lists(st.integers(1, 30), max_size=20)


def modules_of(name: str, counts: list[int]) -> list[list[tuple[str, int, int]]]:
    return [[(name, number, test) for test in range(count)] for number, count in enumerate(counts)]


@given(others=sizes, waiting=sizes)
def test_every_test_is_run_once_and_each_module_in_one_piece(others: list[int], waiting: list[int]) -> None:
    plain, slow = modules_of("plain", others), modules_of("slow", waiting)
    ordered = spread(plain, slow)
    assert Counter(ordered) == Counter(test for module in (*plain, *slow) for test in module)
    for module in (*plain, *slow):
        at = ordered.index(module[0])
        assert ordered[at : at + len(module)] == module
    for kind in ("plain", "slow"):
        numbers = [number for name, number, _ in ordered if name == kind]
        assert numbers == sorted(numbers)


def test_what_waits_is_spread_over_the_others_and_begins_at_once() -> None:
    ordered = spread(modules_of("plain", [10] * 40), modules_of("slow", [3] * 4))
    starts = [at for at, (name, _, test) in enumerate(ordered) if name == "slow" and test == 0]
    assert starts[0] == 0
    assert max(starts) < len(ordered) * SPREAD_OVER
    between = [later - earlier for earlier, later in pairwise(starts)]
    assert max(between) - min(between) <= 10
