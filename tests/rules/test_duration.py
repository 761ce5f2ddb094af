"""Durations: read, written back, and refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.duration import LONGEST, format_duration, format_roughly, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("2w", timedelta(days=14)),
        ("0s", timedelta()),
        ("36500d", LONGEST),
    ],
)
def test_a_number_and_a_unit_are_a_duration(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "3", "d", "3 d", "1.5h", "-3d", "03d", "3D", "1d12h", "٣d", "36501d", "9" * 99 + "w"]
)
def test_anything_else_is_refused_with_what_was_written(text: str) -> None:
    with pytest.raises(ValueError, match=text[:10] or "''"):
        parse_duration(text)


@given(st.integers(0, 3_000_000_000))
def test_what_is_written_is_read_back(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == duration


def test_ages_are_told_in_their_largest_unit() -> None:
    assert format_roughly(timedelta(days=47, hours=5)) == "47d"
    assert format_roughly(-timedelta(hours=30)) == "1d"
    assert format_roughly(timedelta(minutes=59, seconds=59)) == "59m"
    assert format_roughly(timedelta(seconds=3)) == "3s"
