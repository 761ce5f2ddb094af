"""Waits and calendar spans on local clocks, against an oracle that knows only when each offset changed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.journeys.localtime import calendar_span, clock_moment, has_day, zone_of
from engine.journeys.program import Wait
from engine.journeys.waiting import next_moment

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
CENTURY = tuple(datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (1965, 2037))


def wait(
    for_: timedelta | None = None,
    days: int | None = None,
    at: time | None = None,
    weekdays: tuple[int, ...] = (),
) -> Wait:
    return Wait(id="w", next=None, for_=for_, days=days, at=at, weekdays=weekdays)


def local(zone: ZoneInfo, *parts: int, fold: int = 0) -> datetime:
    year, month, day, *rest = parts
    hour, minute = [*rest, 0, 0][:2]
    return datetime(year, month, day, hour, minute, tzinfo=zone, fold=fold)


# --- plain days ---


def test_for_is_exact_elapsed_time_even_over_a_clock_change() -> None:
    start = local(BERLIN, 2026, 3, 28, 12)
    assert next_moment(wait(for_=DAY), BERLIN, start) == start.astimezone(UTC) + DAY


def test_days_keeps_the_time_of_day_over_a_clock_change() -> None:
    assert next_moment(wait(days=1), BERLIN, local(BERLIN, 2026, 3, 28, 12)) == local(BERLIN, 2026, 3, 29, 12)


def test_days_with_a_clock_time_is_that_time_on_that_day_even_when_it_is_earlier() -> None:
    start = local(SHANGHAI, 2026, 5, 4, 15)
    assert next_moment(wait(days=1, at=time(10)), SHANGHAI, start) == local(SHANGHAI, 2026, 5, 5, 10)


def test_at_is_today_when_it_is_still_to_come_and_now_when_it_is_now() -> None:
    assert next_moment(wait(at=time(10)), SHANGHAI, local(SHANGHAI, 2026, 5, 4, 9)) == local(
        SHANGHAI, 2026, 5, 4, 10
    )
    assert next_moment(wait(at=time(10)), SHANGHAI, local(SHANGHAI, 2026, 5, 4, 10)) == local(
        SHANGHAI, 2026, 5, 4, 10
    )


def test_at_is_tomorrow_when_it_has_passed() -> None:
    assert next_moment(wait(at=time(10)), SHANGHAI, local(SHANGHAI, 2026, 5, 4, 11)) == local(
        SHANGHAI, 2026, 5, 5, 10
    )


def test_a_time_of_day_lasts_as_long_as_the_clock_shows_it() -> None:
    ten = local(SHANGHAI, 2026, 5, 4, 10)
    for late in (timedelta(microseconds=1), timedelta(seconds=59, microseconds=999_999)):
        assert next_moment(wait(at=time(10)), SHANGHAI, ten + late) == ten + late
        # What begins within the minute is counted from its beginning: a day later it is ten again.
        assert next_moment(wait(for_=DAY, at=time(10)), SHANGHAI, ten + late) == ten + DAY
    assert next_moment(wait(at=time(10)), SHANGHAI, ten + timedelta(minutes=1)) == ten + DAY


@settings(max_examples=200, deadline=None)
@given(
    zone=st.sampled_from(
        ["Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia"]
    ),
    began=st.datetimes(*CENTURY, timezones=st.just(UTC)),
    late=st.timedeltas(timedelta(), timedelta(seconds=59, microseconds=999_999)),
    for_=st.none() | st.integers(1, 3000).map(lambda minutes: timedelta(minutes=minutes)),
    days=st.none() | st.integers(1, 9),
    is_then=st.booleans(),
    weekdays=st.sets(st.integers(1, 7)).map(lambda found: tuple(sorted(found))),
)
def test_whoever_comes_late_by_less_than_a_minute_waits_for_the_same_time_of_day(
    zone: str,
    began: datetime,
    late: timedelta,
    for_: timedelta | None,
    days: int | None,
    is_then: bool,
    weekdays: tuple[int, ...],
) -> None:
    place = ZoneInfo(zone)
    began = began.replace(second=0, microsecond=0)
    clock = (began + (for_ or timedelta())).astimezone(place).time() if is_then else time(10)
    step = wait(for_=for_, days=days, at=clock, weekdays=weekdays)
    over = next_moment(step, place, began)
    assert next_moment(step, place, began + late) == max(over, began + late)


def test_for_comes_before_at() -> None:
    start = local(SHANGHAI, 2026, 5, 4, 11)
    assert next_moment(wait(for_=DAY, at=time(10)), SHANGHAI, start) == local(SHANGHAI, 2026, 5, 6, 10)


def test_weekdays_move_to_the_next_allowed_day() -> None:
    saturday = local(SHANGHAI, 2026, 5, 9, 15)
    assert next_moment(wait(weekdays=(1, 2)), SHANGHAI, saturday) == local(SHANGHAI, 2026, 5, 11, 15)
    assert next_moment(wait(weekdays=(6,)), SHANGHAI, saturday) == saturday
    assert next_moment(wait(at=time(10), weekdays=(6,)), SHANGHAI, saturday) == local(
        SHANGHAI, 2026, 5, 16, 10
    )


def test_until_waits_for_its_moment_and_not_at_all_when_it_is_past_or_missing() -> None:
    now = local(SHANGHAI, 2026, 5, 9, 15)
    step = Wait(id="w", next=None, until="contact.renewal_at")
    assert next_moment(step, SHANGHAI, now, until=now + DAY) == now + DAY
    assert next_moment(step, SHANGHAI, now, until=now - DAY) == now
    assert next_moment(step, SHANGHAI, now) == now


def test_an_unknown_zone_falls_back_to_the_default() -> None:
    assert zone_of("Mars/Olympus", "Asia/Shanghai") == SHANGHAI
    assert zone_of("", "Asia/Shanghai") == SHANGHAI
    assert zone_of(None, "Asia/Shanghai") == SHANGHAI
    assert zone_of("../etc/passwd", "Asia/Shanghai") == SHANGHAI
    assert zone_of("America", "Asia/Shanghai") == SHANGHAI
    assert zone_of("Europe/Berlin", "Asia/Shanghai") == BERLIN


# --- odd days ---


def test_a_time_inside_the_spring_gap_is_the_first_moment_after_it() -> None:
    start = local(BERLIN, 2026, 3, 28, 12)
    assert next_moment(wait(at=time(2, 30)), BERLIN, start) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def test_a_time_that_comes_twice_in_autumn_is_taken_the_first_time_and_never_twice() -> None:
    first = next_moment(wait(at=time(2, 30)), BERLIN, local(BERLIN, 2026, 10, 24, 12))
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    again = next_moment(wait(at=time(2, 30)), BERLIN, first + timedelta(minutes=1))
    assert again == local(BERLIN, 2026, 10, 26, 2, 30)


def test_samoa_has_no_thirtieth_of_december_2011() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert not has_day(date(2011, 12, 30), apia)
    start = local(apia, 2011, 12, 29, 15)
    assert next_moment(wait(days=1), apia, start) == local(apia, 2011, 12, 31, 15)
    assert next_moment(wait(days=2), apia, start) == local(apia, 2012, 1, 1, 15)
    assert next_moment(wait(at=time(10)), apia, start) == local(apia, 2011, 12, 31, 10)
    friday_only = wait(at=time(10), weekdays=(5,))
    assert next_moment(friday_only, apia, start) == local(apia, 2012, 1, 6, 10)


def test_greenland_jumps_over_midnight_and_the_evening_still_has_its_message() -> None:
    nuuk = ZoneInfo("America/Nuuk")
    moment = next_moment(wait(at=time(23, 30)), nuuk, local(nuuk, 2024, 3, 30, 12))
    assert moment == local(nuuk, 2024, 3, 31, 0, 0)


def test_a_half_hour_clock_change_makes_a_day_of_23_hours_and_a_half() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    start, end = calendar_span("day", lord_howe, local(lord_howe, 2026, 10, 4, 12))
    assert end - start == timedelta(hours=23, minutes=30)


def test_weeks_begin_where_they_are_told_to_and_months_on_the_first() -> None:
    wednesday = local(SHANGHAI, 2026, 5, 6, 12)
    assert calendar_span("week", SHANGHAI, wednesday)[0] == local(SHANGHAI, 2026, 5, 4)
    assert calendar_span("week", SHANGHAI, wednesday, week_starts=7)[0] == local(SHANGHAI, 2026, 5, 3)
    december = calendar_span("month", SHANGHAI, local(SHANGHAI, 2026, 12, 31, 23, 59))
    assert december == (local(SHANGHAI, 2026, 12, 1), local(SHANGHAI, 2027, 1, 1))


# --- every zone against an oracle ---


@dataclass(frozen=True)
class Stretch:
    """A stretch of time with one offset: `[start, end)` in naive UTC."""

    start: datetime
    end: datetime
    offset: timedelta


def naive_local(zone: ZoneInfo, utc: datetime) -> datetime:
    return utc.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)


def stretches(zone: ZoneInfo, start: datetime, end: datetime, step: timedelta) -> list[Stretch]:
    """Every offset between two moments, by looking at the clock; changes closer than `step` are missed."""
    found: list[Stretch] = []
    began, offset, at = start, naive_local(zone, start) - start, start
    while at < end:
        following = min(at + step, end)
        if naive_local(zone, following) - following != offset:
            low, high = at, following
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                if naive_local(zone, middle) - middle == offset:
                    low = middle
                else:
                    high = middle
            found.append(Stretch(began, high, offset))
            began, offset = high, naive_local(zone, high) - high
            at = high
        else:
            at = following
    return [*found, Stretch(began, end, offset)]


@cache
def transitions(name: str) -> tuple[datetime, ...]:
    """The zone's clock changes worth a look: the odd ones of the past century, and the latest few."""
    parts = stretches(ZoneInfo(name), CENTURY[0], CENTURY[1], timedelta(days=27))
    changes = [
        (after.start, abs(after.offset - before.offset)) for before, after in itertools.pairwise(parts)
    ]
    odd = [at for at, size in changes if size != timedelta(hours=1)]
    return tuple(dict.fromkeys([*odd[-3:], *(at for at, _ in changes[-2:])]))


class Oracle:
    """What the clock of a zone shows around one moment, from its stretches alone."""

    def __init__(self, zone: ZoneInfo, around: datetime) -> None:
        self.parts = stretches(zone, around - 12 * DAY, around + 25 * DAY, timedelta(hours=1))

    def show(self, utc: datetime) -> datetime:
        return next(utc + part.offset for part in self.parts if part.start <= utc < part.end)

    def first_at_or_past(self, wanted: datetime) -> datetime:
        for part in self.parts:
            reached = max(part.start, wanted - part.offset)
            if reached < part.end:
                return reached
        raise AssertionError("the oracle does not reach that far")

    def has_day(self, day: date) -> bool:
        begins = datetime.combine(day, time(0))
        return any(
            part.start + part.offset < begins + DAY and part.end + part.offset > begins for part in self.parts
        )

    def days_from(self, day: date) -> list[date]:
        return [found for found in (day + n * DAY for n in range(-3, 22)) if self.has_day(found)]

    def wait_over(self, step: Wait, now: datetime) -> datetime:
        shown = self.show(now)
        if step.days is None and step.at is None:
            if not step.weekdays or shown.isoweekday() in step.weekdays:
                return now
            candidates = [day for day in self.days_from(shown.date()) if day >= shown.date()]
        else:
            candidates = self.days_from(shown.date())
            if step.days:
                candidates = [day for day in candidates if day > shown.date()][step.days - 1 :]
        clock = step.at or shown.time()
        allowed = [day for day in candidates if not step.weekdays or day.isoweekday() in step.weekdays]
        moments = (self.first_at_or_past(datetime.combine(day, clock)) for day in allowed)
        begins = now - timedelta(seconds=shown.second) if step.at is not None else now
        return max(now, next(moment for moment in moments if moment >= begins))


ODD_WAITS = [
    wait(days=1),
    wait(days=2, at=time(0)),
    wait(days=1, weekdays=(1, 4)),
    wait(at=time(0)),
    wait(at=time(0, 15)),
    wait(at=time(2, 30)),
    wait(at=time(10), weekdays=(2, 5)),
    wait(at=time(23, 59)),
    wait(weekdays=(3, 7)),
]
ODD_STARTS = [timedelta(hours=hours) for hours in (-49, -25, -9, -1, 0, 1, 9, 30)]


def test_waits_are_right_around_the_odd_days_of_every_zone() -> None:
    seen: set[tuple[object, ...]] = set()
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        for change in transitions(name):
            oracle = Oracle(zone, change)
            shape = (change, tuple((part.start, part.offset) for part in oracle.parts))
            if shape in seen:  # another name of the same place
                continue
            seen.add(shape)
            for ahead in ODD_STARTS:
                now = change + ahead
                step = ODD_WAITS[(len(seen) + ahead // timedelta(hours=1)) % len(ODD_WAITS)]
                for tried in (step, wait(at=oracle.show(change).time())):
                    got = next_moment(tried, zone, now.replace(tzinfo=UTC))
                    want = oracle.wait_over(tried, now)
                    assert got.replace(tzinfo=None) == want, (name, change, ahead, tried)
    assert len(seen) > 300


def test_calendar_spans_tile_the_odd_days_of_every_zone() -> None:
    units = ("day", "week", "month")
    seen: set[tuple[object, ...]] = set()
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        for change in transitions(name)[:3]:
            key = (change, zone.utcoffset(change), zone.utcoffset(change + DAY))
            if key in seen:
                continue
            seen.add(key)
            for number, hours in enumerate((-25, -1, 0, 1, 25)):
                moment = (change + timedelta(hours=hours)).replace(tzinfo=UTC)
                unit = units[number % 3]
                start, end = calendar_span(unit, zone, moment, week_starts=1 + number)  # type: ignore[arg-type]
                assert start <= moment < end
                assert calendar_span(unit, zone, end, week_starts=1 + number)[0] == end  # type: ignore[arg-type]
                before = calendar_span(unit, zone, start - timedelta(seconds=1), week_starts=1 + number)  # type: ignore[arg-type]
                assert before[1] == start


@settings(max_examples=200, deadline=None)
@given(
    zone=st.sampled_from(
        ["Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia"]
    ),
    now=st.datetimes(*CENTURY, timezones=st.just(UTC)),
    days=st.none() | st.integers(1, 40),
    at=st.none() | st.times(),
    weekdays=st.sets(st.integers(1, 7)).map(lambda found: tuple(sorted(found))),
)
def test_a_wait_never_ends_before_it_begins_and_keeps_its_weekday(
    zone: str, now: datetime, days: int | None, at: time | None, weekdays: tuple[int, ...]
) -> None:
    place = ZoneInfo(zone)
    over = next_moment(wait(days=days, at=at, weekdays=weekdays), place, now)
    assert over >= now
    if weekdays:
        assert over.astimezone(place).isoweekday() in weekdays


@pytest.mark.parametrize("zone", ["America/St_Johns", "America/Sao_Paulo", "Asia/Gaza"])
def test_a_repeated_hour_after_midnight_belongs_to_the_day_that_has_begun(zone: str) -> None:
    place = ZoneInfo(zone)
    moment = datetime(2006, 1, 1, tzinfo=UTC)
    for _ in range(366):
        start, end = calendar_span("day", place, moment)
        assert clock_moment(start.astimezone(place).date(), time(0), place) == start
        assert timedelta(hours=22) < end - start < timedelta(hours=26)
        moment = end
