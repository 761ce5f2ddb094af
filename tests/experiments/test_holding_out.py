"""Who is held out, when, and of what."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.experiments.holding_out import HoldOut

FIVE = HoldOut("half_year", 0.05, "2026-h1", date(2026, 1, 1), date(2026, 6, 30))
PEOPLE = [f"contact-{number}" for number in range(20_000)]


def test_the_share_is_held_out() -> None:
    held = sum(FIVE.holds(each) for each in PEOPLE)

    assert held / len(PEOPLE) == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / len(PEOPLE)) ** 0.5)


@given(small=st.floats(0.001, 0.5), more=st.floats(0, 0.5), who=st.text(min_size=1, max_size=20))
def test_a_larger_share_keeps_those_who_are_held_out_already(small: float, more: float, who: str) -> None:
    if replace(FIVE, share=small).holds(who):
        assert replace(FIVE, share=small + more).holds(who)


@pytest.mark.parametrize(
    ("day", "is_on"),
    [
        (date(2025, 12, 31), False),
        (date(2026, 1, 1), True),
        (date(2026, 6, 30), True),
        (date(2026, 7, 1), False),
    ],
)
def test_the_first_and_the_last_day_belong_to_it(day: date, is_on: bool) -> None:
    assert FIVE.is_on(day) is is_on


def test_every_key_of_its_scope_narrows_it() -> None:
    assert FIVE.concerns("marketing", "sms", None)
    narrow = replace(FIVE, purposes=("marketing",), channels=("sms",), journeys=("welcome",))
    assert narrow.concerns("marketing", "sms", "welcome")
    assert not narrow.concerns("news", "sms", "welcome")
    assert not narrow.concerns("marketing", "email", "welcome")
    assert not narrow.concerns("marketing", "sms", None)


def test_a_test_says_itself_who_is_held_out() -> None:
    only_ann = replace(FIVE, members=frozenset({"ann"}))

    assert [each for each in ("ann", *PEOPLE) if only_ann.holds(each)] == ["ann"]
