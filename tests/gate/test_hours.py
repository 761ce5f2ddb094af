"""Quiet hours as arithmetic, against an oracle that looks at the clock minute by minute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.gate.hours import (
    SEARCHED,
    Held,
    Hours,
    QuietRule,
    Residence,
    WhenQuiet,
    Window,
    holds_in,
    opening,
    read_wish,
)

MINUTE = timedelta(minutes=1)
ODD = {
    "Europe/Berlin": [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)],
    "America/New_York": [datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 11, 1, 4, tzinfo=UTC)],
    "Australia/Lord_Howe": [datetime(2026, 4, 4, 12, tzinfo=UTC), datetime(2026, 10, 3, 12, tzinfo=UTC)],
    "America/Havana": [datetime(2026, 11, 1, 2, tzinfo=UTC), datetime(2026, 3, 8, 2, tzinfo=UTC)],
    "Pacific/Apia": [datetime(2011, 12, 30, 8, tzinfo=UTC)],
    "Asia/Shanghai": [datetime(2026, 3, 1, tzinfo=UTC)],
    "Asia/Kathmandu": [datetime(2026, 3, 1, tzinfo=UTC)],
    "Africa/Casablanca": [datetime(2026, 2, 14, 20, tzinfo=UTC), datetime(2026, 3, 21, 20, tzinfo=UTC)],
}


def window(hours: Hours, zone: str) -> Window:
    rule = QuietRule("r", "law", Held(), "contact", WhenQuiet.DEFER, hours)
    return Window(rule, hours, ZoneInfo(zone))


class Oracle:
    """One window, by looking at the zone's clock every minute from two days before."""

    def __init__(self, hours: Hours, zone: ZoneInfo, first: datetime) -> None:
        self.hours = hours
        self.zone = zone
        self.before: dict[date, date] = {}
        shown = None
        for minute in range(-2 * 24 * 60, 9 * 24 * 60, 15):
            day = (first + minute * MINUTE).astimezone(zone).date()
            if shown is not None and day > shown:
                self.before[day] = shown
            shown = max(day, shown) if shown is not None else day

    def is_quiet(self, moment: datetime) -> bool:
        shown = moment.astimezone(self.zone)
        start, until = self.hours.start, self.hours.until
        minute = shown.hour * 60 + shown.minute
        first, last = start.hour * 60 + start.minute, until.hour * 60 + until.minute
        if first < last:
            return first <= minute < last and self._is_named(shown.date())
        if minute >= first and self._is_named(shown.date()):
            return True
        return minute < last and self._is_named(self.before[shown.date()])

    def _is_named(self, day: date) -> bool:
        hours = self.hours
        names_none = not hours.weekdays and hours.holidays is None
        return names_none or day.isoweekday() in hours.weekdays or day in (hours.holidays or ())


clocks = st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 45, 59]))
FEASTS = [
    near.date() + timedelta(days=ahead)
    for moments in ODD.values()
    for near in moments
    for ahead in range(-1, 4)
]
spans = st.builds(
    Hours,
    clocks,
    clocks,
    st.frozensets(st.integers(1, 7), max_size=6) | st.just(frozenset[int]()),
    st.none() | st.just(frozenset[date]()) | st.frozensets(st.sampled_from(FEASTS), max_size=9),
).filter(lambda hours: hours.start != hours.until or bool(hours.weekdays) or hours.holidays is not None)


@st.composite
def questions(draw: st.DrawFn) -> tuple[list[tuple[Hours, str]], datetime]:
    zone = draw(st.sampled_from(sorted(ODD)))
    near = draw(st.sampled_from(ODD[zone]))
    now = near + draw(st.integers(-26 * 60, 26 * 60)) * MINUTE
    zones = st.sampled_from([zone, zone, *sorted(ODD)])
    return draw(st.lists(st.tuples(spans, zones), min_size=1, max_size=3)), now


@settings(max_examples=250, deadline=None)
@given(questions())
@example(([(Hours(time(1, 30), time(3)), "Europe/Berlin")], datetime(2026, 10, 24, 23, 40, tzinfo=UTC)))
@example(([(Hours(time(22), time(2, 30)), "Europe/Berlin")], datetime(2026, 10, 25, 1, 10, tzinfo=UTC)))
@example(([(Hours(time(22), time(2, 30)), "Europe/Berlin")], datetime(2026, 3, 29, 0, 10, tzinfo=UTC)))
@example(([(Hours(time(22), time(8)), "Pacific/Apia")], datetime(2011, 12, 30, 9, 0, tzinfo=UTC)))
@example(
    (
        [(Hours(time(1), time(0, 1)), "Asia/Shanghai"), (Hours(time(0), time(1)), "Asia/Shanghai")],
        datetime(2026, 3, 29, 16, 1, tzinfo=UTC),
    )
)
def test_all_leave_off_when_the_clock_says_so(
    question: tuple[Sequence[tuple[Hours, str]], datetime],
) -> None:
    said, now = question
    windows = [window(hours, zone) for hours, zone in said]
    oracles = [Oracle(hours, ZoneInfo(zone), now) for hours, zone in said]

    found = opening(windows, now, open_for=timedelta(hours=3))

    if not any(oracle.is_quiet(now) for oracle in oracles):
        assert found is None
        return
    assert found is not None
    # A week shows everything that hours and weekdays can say.
    minutes = (now + ahead * MINUTE for ahead in range(8 * 24 * 60))
    expected = next((each for each in minutes if not any(o.is_quiet(each) for o in oracles)), None)
    if expected is None:
        assert found.at is None or found.at >= now + timedelta(days=7)
    else:
        assert found.at == expected
        assert found.closes is not None
        assert found.at < found.closes <= found.at + timedelta(hours=3)


def test_hours_that_leave_no_time_are_told() -> None:
    day, night = Hours(time(8), time(20)), Hours(time(19), time(9))
    found = opening(
        [window(day, "Asia/Shanghai"), window(night, "Asia/Shanghai")], datetime(2026, 3, 1, tzinfo=UTC)
    )

    assert found is not None
    assert (found.at, found.closes) == (None, None)


def test_whole_days_are_quiet() -> None:
    sunday = Hours(time(0), time(0), frozenset({7}))
    found = opening([window(sunday, "Asia/Shanghai")], datetime(2026, 3, 1, 2, tzinfo=UTC))

    assert found is not None
    assert found.at == datetime(2026, 3, 1, 16, tzinfo=UTC)  # Monday 00:00 there


def test_the_binding_window_is_the_one_that_ends_last() -> None:
    early, late = (
        window(Hours(time(20), time(7)), "Asia/Shanghai"),
        window(Hours(time(22), time(9)), "Asia/Tokyo"),
    )
    found = opening([early, late], datetime(2026, 3, 1, 13, 30, tzinfo=UTC))

    assert found is not None
    assert found.at == datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
    assert found.binding is late
    assert found.quiet_now == (early, late)


def test_a_search_stays_within_its_bounds() -> None:
    assert timedelta(days=14) <= SEARCHED <= timedelta(days=31)


@pytest.mark.parametrize(
    ("lives_in", "holds"),
    [
        (["US-FL"], True),
        (["US"], True),
        ([], True),
        (["CN", "US"], True),
        (["US-CA"], False),
        (["CN", "GB"], False),
        (["USA"], False),
    ],
)
def test_a_law_holds_where_somebody_lives_or_may_live(lives_in: list[str], holds: bool) -> None:
    assert holds_in(["US-FL"], lives_in) is holds


def test_a_country_s_law_holds_in_its_parts() -> None:
    assert holds_in(["US"], ["US-FL"])
    assert not holds_in(["US"], ["CN"])
    assert holds_in([], ["CN"])


@pytest.mark.parametrize(
    ("stated", "numbers", "known"),
    [
        ("us-fl ", ("CN",), (("US-FL",), "attribute")),
        ("CN", (), (("CN",), "attribute")),
        ("中国", ("CN",), ((), "unreadable")),
        ("", ("CN", "US"), (("CN", "US"), "number")),
        (None, (), (("CN",), "otherwise")),
    ],
)
def test_where_somebody_lives_is_stated_or_told_by_their_numbers_or_supposed(
    stated: str | None, numbers: tuple[str, ...], known: tuple[tuple[str, ...], str]
) -> None:
    assert Residence("country", "CN").of({"country": stated}, numbers) == known


def test_without_any_word_nobody_s_country_is_known() -> None:
    assert Residence().of({"country": "CN"}, ()) == ((), "unknown")


def wishes() -> Iterator[tuple[str, tuple[Hours, ...] | None]]:
    night, noon = Hours(time(22), time(8)), Hours(time(12), time(13, 30))
    yield "22:00-08:00", (night,)
    yield " 22:00 – 8:00 ", (night,)
    yield "22：00至08：00，12:00~13:30", (night, noon)
    yield "", ()
    yield "never", None
    yield "22:00", None
    yield "22:00-22:00", None
    yield "25:00-08:00", None
    yield "22:00-08:00 please", None


@pytest.mark.parametrize(("text", "hours"), list(wishes()))
def test_a_wish_is_read_as_people_write_it(text: str, hours: tuple[Hours, ...] | None) -> None:
    assert read_wish(text) == hours
