"""Moments in SQLite: text that SQLAlchemy itself would write, and that sorts as the moments do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from engine.store.columns import Instant

SQLITE = sqlite.dialect()
MOMENTS = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=st.timezones() | st.just(UTC),
)


def written(moment: datetime) -> Any:
    process = Instant().bind_processor(SQLITE)
    assert process is not None
    return process(moment)


@given(MOMENTS)
def test_a_moment_is_the_text_that_sqlalchemy_writes(moment: datetime) -> None:
    plain = sqlite.DATETIME().bind_processor(SQLITE)  # type: ignore[no-untyped-call]
    assert plain is not None
    assert written(moment) == plain(moment.astimezone(UTC).replace(tzinfo=None))


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_moments_do(one: datetime, other: datetime) -> None:
    assert (written(one) < written(other)) == (one.astimezone(UTC) < other.astimezone(UTC))


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        written(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the mistake
