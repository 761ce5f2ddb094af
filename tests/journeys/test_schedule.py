"""Schedules against an oracle that walks minute by minute and knows neither croniter nor fold."""

from __future__ import annotations

import calendar as months
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.journeys import schedule as schedule_module
from engine.journeys.calendar import Hours, WorkingCalendar
from engine.journeys.schedule import Days, Schedule, check_cron

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
# Zones whose clocks changed in odd ways: half hours, at midnight, across the date line, a day long.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Havana",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Santiago",
    "Asia/Tehran",
    "Africa/Casablanca",
    "Asia/Shanghai",
    "Asia/Pyongyang",
    "Pacific/Chatham",
)
CRONS = (
    "0 10 * * *",
    "30 2 * * *",
    "0 0 * * *",
    "*/15 * * * *",
    "15,45 0-3 * * *",
    "0 */6 * * *",
    "30 1 * * sun",
    "0 2 * * mon-fri",
    "0 3 1,15,31 * *",
    "59 23 l * *",
    "0 12 29 2 *",
    "0 10 * mar,oct,dec 5",
)


def numbers(field: str, low: int, high: int, names: str = "") -> set[int]:
    """What one field of a cron expression names; written for the tests, without croniter."""
    found: set[int] = set()
    words = names.split()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        else:
            ends = [words.index(end) + low if end in words else int(end) for end in span.split("-")]
            first, last = ends[0], ends[-1] if len(ends) > 1 or not step else high
        found |= set(range(first, last + 1, int(step or 1)))
    return found


class Oracle:
    """Whether a cron expression names a minute of a plain clock."""

    def __init__(self, cron: str) -> None:
        minute, hour, day, month, weekday = cron.split()
        self.minutes, self.hours = numbers(minute, 0, 59), numbers(hour, 0, 23)
        self.days = None if day == "l" else numbers(day, 1, 31)
        self.months = numbers(month, 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec")
        self.weekdays = {each % 7 for each in numbers(weekday, 0, 7, "sun mon tue wed thu fri sat")}

    def names(self, wall: datetime) -> bool:
        last = months.monthrange(wall.year, wall.month)[1]
        day_fits = wall.day == last if self.days is None else wall.day in self.days
        return (
            wall.minute in self.minutes
            and wall.hour in self.hours
            and day_fits
            and wall.month in self.months
            and wall.isoweekday() % 7 in self.weekdays
        )


@cache
def odd_moments() -> tuple[tuple[str, datetime], ...]:
    """(zone, moment) of changes of the clock since 1975, found by looking at every day."""
    found = []
    for name in ZONES:
        zone, at = ZoneInfo(name), datetime(1975, 1, 1, tzinfo=UTC)
        while at.year < 2030:
            if at.astimezone(zone).utcoffset() != (at + DAY).astimezone(zone).utcoffset():
                found.append((name, at))
            at += DAY
    return tuple(found)


def firings_by_walking(cron: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Each named minute fires when the clock first shows it or later, unless its whole day is left out."""
    oracle = Oracle(cron)
    clock: list[tuple[datetime, datetime]] = []
    at = start - 3 * DAY
    while at <= end + DAY:
        clock.append((at, at.astimezone(zone).replace(tzinfo=None)))
        at += MINUTE
    days = {wall.date() for _, wall in clock}
    named = sorted({wall for _, wall in clock} | _left_out(clock))
    named = [wall for wall in named if oracle.names(wall) and wall.date() in days]
    found: set[datetime] = set()
    reached, index = clock[0][1], 0
    for at, wall in clock:
        reached = max(reached, wall)
        while index < len(named) and named[index] <= reached:
            found.add(at)
            index += 1
    return sorted(at for at in found if start < at <= end)


def _left_out(clock: list[tuple[datetime, datetime]]) -> set[datetime]:
    missing: set[datetime] = set()
    for (_, one), (_, other) in pairwise(clock):
        wall = one + MINUTE
        while wall < other:
            missing.add(wall)
            wall += MINUTE
    return missing


@settings(max_examples=60)
@given(
    moment=st.sampled_from(odd_moments()),
    cron=st.sampled_from(CRONS),
    begin=st.integers(-2000, 600),
)
def test_firings_on_odd_days_are_those_of_a_walk_over_the_clock(
    moment: tuple[str, datetime], cron: str, begin: int
) -> None:
    name, near = moment
    zone, start = ZoneInfo(name), near + begin * MINUTE
    end = start + 2 * DAY
    schedule = Schedule(cron, name)

    assert list(schedule.firings(start, end, zone)) == firings_by_walking(cron, zone, start, end)


@settings(max_examples=60)
@given(moment=st.sampled_from(odd_moments()), cron=st.sampled_from(CRONS), begin=st.integers(-2000, 2000))
def test_the_latest_firing_is_the_last_of_those_that_came(
    moment: tuple[str, datetime], cron: str, begin: int
) -> None:
    name, near = moment
    schedule, zone, until = Schedule(cron, name), ZoneInfo(name), near + begin * MINUTE
    latest = schedule.latest(until, zone)

    assert latest is not None and latest <= until
    following = schedule.next_after(latest, zone)
    assert following is not None and following > until
    assert schedule.next_after(latest - timedelta(microseconds=1), zone) == latest


def test_a_time_that_the_clock_leaves_out_fires_at_the_first_moment_after_the_gap() -> None:
    found = Schedule("30 2 * * *", "contact").next_after(datetime(2026, 3, 28, 12, tzinfo=UTC), BERLIN)
    assert found == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def test_a_time_that_comes_twice_fires_once_the_first_time() -> None:
    schedule = Schedule("30 2 * * *", "contact")
    first = schedule.next_after(datetime(2026, 10, 24, 12, tzinfo=UTC), BERLIN)
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert schedule.next_after(first, BERLIN) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_ten_in_the_morning_comes_to_each_zone_at_its_own_moment() -> None:
    schedule, start = Schedule("0 10 * * *", "contact"), datetime(2026, 5, 4, tzinfo=UTC)
    assert schedule.next_after(start, schedule.zone("Asia/Shanghai", "UTC")) == start + timedelta(hours=2)
    assert schedule.next_after(start, schedule.zone("Europe/Berlin", "UTC")) == start + timedelta(hours=8)
    assert schedule.next_after(start, schedule.zone(None, "Asia/Tokyo")) == start + timedelta(hours=1)


def test_a_day_that_a_zone_skipped_has_no_firings() -> None:
    apia = ZoneInfo("Pacific/Apia")
    found = list(
        Schedule("0 10 * * *", "contact").firings(
            datetime(2011, 12, 29, tzinfo=UTC), datetime(2012, 1, 1, tzinfo=UTC), apia
        )
    )
    assert [moment.astimezone(apia).day for moment in found] == [29, 31, 1]


# --- days of a calendar ---

OFFICE = WorkingCalendar(
    "office",
    "Asia/Shanghai",
    (Hours((1, 2, 3, 4, 5), time(9), time(18)),),
    holidays=(date(2026, 10, 1), date(2026, 10, 2)),
    workdays={date(2026, 10, 10): 5},
)


def days_of(*filters: Days) -> list[int]:
    schedule = Schedule("0 10 * * *", "Asia/Shanghai", filters)
    start = datetime(2026, 9, 29, 16, tzinfo=UTC)
    return [each.astimezone(SHANGHAI).day for each in schedule.firings(start, start + 12 * DAY, SHANGHAI)]


def test_only_workdays_counts_holidays_out_and_adjusted_workdays_in() -> None:
    assert days_of(Days(OFFICE, "workdays", wanted=True)) == [30, 5, 6, 7, 8, 9, 10]


def test_not_on_holidays_keeps_ordinary_weekends() -> None:
    assert days_of(Days(OFFICE, "holidays", wanted=False)) == [30, 3, 4, 5, 6, 7, 8, 9, 10, 11]


def test_only_holidays_is_none_but_those() -> None:
    assert days_of(Days(OFFICE, "holidays", wanted=True)) == [1, 2]


def test_the_latest_firing_too_is_on_an_allowed_day() -> None:
    schedule = Schedule("0 10 * * *", "Asia/Shanghai", (Days(OFFICE, "workdays", wanted=True),))
    latest = schedule.latest(datetime(2026, 10, 4, tzinfo=UTC), SHANGHAI)
    assert latest == datetime(2026, 9, 30, 2, tzinfo=UTC)


WEEK = WorkingCalendar("week", "Asia/Shanghai", (Hours((1, 2, 3, 4, 5), time(9), time(18)),))


@settings(max_examples=40)
@given(
    cron=st.sampled_from(["0 10 * * sun", "0 10 * * sat,mon", "0 10 l * *", "0 10 13 * *", "0 9-18/3 * * *"]),
    which=st.sampled_from(["workdays", "holidays"]),
    wanted=st.booleans(),
    start=st.integers(-30, 60),
)
def test_days_that_are_left_out_are_those_of_a_plain_walk(
    cron: str, which: str, wanted: bool, start: int
) -> None:
    days = Days(OFFICE, which, wanted)
    plain, strict = Schedule(cron, "Asia/Shanghai"), Schedule(cron, "Asia/Shanghai", (days,))
    begin = datetime(2026, 9, 1, tzinfo=UTC) + start * DAY
    end = begin + 60 * DAY
    expected = [
        each for each in plain.firings(begin, end, SHANGHAI) if days.allow(each.astimezone(SHANGHAI).date())
    ]
    assert list(strict.firings(begin, end, SHANGHAI)) == expected
    if expected:
        assert strict.latest(end, SHANGHAI) == expected[-1]


def test_a_leap_day_at_the_weekend_is_waited_for_however_long_it_takes() -> None:
    schedule = Schedule("0 10 29 2 *", "Asia/Shanghai", (Days(WEEK, "workdays", wanted=False),))
    # 2032 is a Sunday; then come Friday, Wednesday, Monday and at last a Saturday.
    assert schedule.next_after(datetime(2032, 3, 1, tzinfo=UTC), SHANGHAI) == datetime(
        2048, 2, 29, 2, tzinfo=UTC
    )


@pytest.mark.parametrize("cron", ["0 10 * * sun", "*/15 * * * sat,sun", "0 10 * * sun#2"])
def test_a_schedule_without_an_allowed_day_is_known_for_one_after_few_looks(
    cron: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[datetime] = []
    real = schedule_module._step

    def counted(cron: str, start: datetime, back: bool) -> datetime | None:
        looks.append(start)
        return real(cron, start, back)

    monkeypatch.setattr(schedule_module, "_step", counted)
    schedule = Schedule(cron, "Asia/Shanghai", (Days(WEEK, "workdays", wanted=True),))
    assert schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC), SHANGHAI) is None
    assert schedule.latest(datetime(2026, 1, 1, tzinfo=UTC), SHANGHAI) is None
    assert len(looks) <= 1050


# --- what is refused ---


@pytest.mark.parametrize("cron", [*CRONS, "0 10 * * mon#1", "0 10 * * l5", "0 10 * * 7", "10-50/20 8 * * *"])
def test_usual_expressions_are_accepted(cron: str) -> None:
    assert check_cron(cron) is None


@pytest.mark.parametrize(
    ("cron", "kind"),
    [
        ("0 10 30 2 *", "never"),
        ("0 10 31 4,6,9,11 *", "never"),
        ("* * * * *", "too_often"),
        ("*/5 9-18 * * *", "too_often"),
        ("0,50 9,10 * * *", "too_often"),
        ("59 23,0 * * *", None),
        ("0 0 10 * * *", "unreadable"),
        ("10:00", "unreadable"),
        ("@reboot", "unreadable"),
        ("@daily", "unreadable"),
        ("0 25 * * *", "unreadable"),
        ("60 10 * * *", "unreadable"),
        ("0 10 1 * mon", "unreadable"),
        ("h 10 * * *", "unreadable"),
        ("r 10 * * *", "unreadable"),
        ("0 10 ? * *", "unreadable"),
        ("0  10 * * *", "unreadable"),
        ("0 10 * * monday", "unreadable"),
        ("0 10 15w * *", "unreadable"),
        ("", "unreadable"),
    ],
)
def test_what_would_surprise_is_refused(cron: str, kind: str | None) -> None:
    fault = check_cron(cron)
    assert (fault.kind if fault is not None else None) == kind


@settings(max_examples=150)
@given(st.text(alphabet="0123456789*/,-#lLwWhr@?() montuefri\u3000\n", max_size=30))
def test_no_text_whatever_breaks_the_check(text: str) -> None:
    fault = check_cron(text)
    assert fault is None or (fault.message and fault.hint)
