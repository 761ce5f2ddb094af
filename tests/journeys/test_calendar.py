"""Working time against a walk over the clock, and waits that go on to it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.journeys.calendar import Hours, WorkingCalendar
from engine.journeys.program import Wait
from engine.journeys.waiting import wait_is_over_at

SHANGHAI = ZoneInfo("Asia/Shanghai")
WEEK = (1, 2, 3, 4, 5)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
OFFICE = WorkingCalendar(
    "office",
    "Asia/Shanghai",
    (Hours(WEEK, time(9), time(12)), Hours(WEEK, time(13, 30), time(18)), Hours((6,), time(10), time(16))),
    holidays=(date(2026, 10, 1), date(2026, 10, 2), date(2026, 10, 3)),
    workdays={date(2026, 10, 11): 1},
)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of October 2026 in Shanghai; the 1st is a Thursday."""
    return datetime(2026, 10, day, hour, minute, tzinfo=SHANGHAI).astimezone(UTC)


def working(moment: datetime) -> bool:
    return OFFICE.is_working(moment, SHANGHAI)


def test_working_time_ends_with_its_last_minute() -> None:
    assert not working(at(8, 8, 59))
    assert working(at(8, 9)) and working(at(8, 11, 59))
    assert not working(at(8, 12)) and not working(at(8, 18))


def test_holidays_have_no_hours_and_adjusted_workdays_have_those_of_their_weekday() -> None:
    assert not working(at(1, 10)) and OFFICE.is_holiday(date(2026, 10, 1))
    assert working(at(11, 10)) and working(at(11, 17)), "a Sunday that is worked like a Monday"
    assert not working(at(18, 10)) and not OFFICE.is_holiday(date(2026, 10, 18))


def test_next_working_goes_over_holidays_and_weekends() -> None:
    assert OFFICE.next_working(at(1, 10), SHANGHAI) == at(5, 9)
    assert OFFICE.next_working(at(8, 12, 30), SHANGHAI) == at(8, 13, 30)
    assert OFFICE.next_working(at(8, 10, 5), SHANGHAI) == at(8, 10, 5)
    assert OFFICE.next_working(at(9, 18), SHANGHAI) == at(10, 10)


def test_a_calendar_of_the_contacts_zone_follows_the_contact() -> None:
    own = WorkingCalendar("own", "contact", (Hours(WEEK, time(9), time(18)),))
    moment = datetime(2026, 10, 8, 2, tzinfo=UTC)
    assert own.is_working(moment, SHANGHAI)
    assert own.next_working(moment, ZoneInfo("Europe/Berlin")) == datetime(2026, 10, 8, 7, tzinfo=UTC)


def test_without_hours_ahead_there_is_no_next_working_time() -> None:
    always_off = WorkingCalendar("off", "Asia/Shanghai", ())
    assert always_off.next_working(at(8, 10), SHANGHAI) is None


YEARS = tuple(datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (2008, 2027))
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/Havana", "America/Nuuk", "Pacific/Apia", "Asia/Tehran")


@settings(max_examples=40)
@given(
    zone=st.sampled_from(ZONES),
    start=st.datetimes(*YEARS, timezones=st.just(UTC)),
    weekdays=st.sets(st.integers(1, 7), min_size=1, max_size=3),
    hour=st.integers(0, 22),
    length=st.integers(1, 8),
)
def test_next_working_is_the_first_minute_of_a_walk_that_is_working(
    zone: str, start: datetime, weekdays: set[int], hour: int, length: int
) -> None:
    start = start.replace(second=0, microsecond=0)
    place = ZoneInfo(zone)
    end = time(hour + length) if hour + length < 24 else None
    calendar = WorkingCalendar("c", "contact", (Hours(tuple(sorted(weekdays)), time(hour), end),))
    found = calendar.next_working(start, place)

    assert found is not None and found >= start and calendar.is_working(found, place)
    walk = start
    while walk < min(found, start + 2 * DAY):
        assert not calendar.is_working(walk, place)
        walk += 10 * MINUTE
    shown = found.astimezone(place)
    assert shown.isoweekday() in weekdays or shown.time() == time(0), "or its hours began in a gap"


def test_a_wait_goes_on_to_working_time() -> None:
    assert over(Wait("w", None, calendar=OFFICE), at(1, 10)) == at(5, 9)
    assert over(Wait("w", None, for_=timedelta(hours=2), calendar=OFFICE), at(8, 11)) == at(8, 13, 30)
    assert over(Wait("w", None, for_=timedelta(hours=2), calendar=OFFICE), at(8, 9)) == at(8, 11)
    assert over(Wait("w", None, for_=timedelta(hours=2)), at(8, 11)) == at(8, 13)


def test_a_wait_for_a_time_of_day_stays_with_it() -> None:
    assert over(Wait("w", None, at=time(10), calendar=OFFICE), at(1, 9)) == at(5, 10)
    assert over(Wait("w", None, at=time(15), weekdays=(6, 7), calendar=OFFICE), at(1, 9)) == at(10, 15)


def test_weekdays_and_a_calendar_hold_together() -> None:
    assert over(Wait("w", None, weekdays=(3,), calendar=OFFICE), at(1, 10)) == at(7, 10)
    assert over(Wait("w", None, weekdays=(3,), calendar=OFFICE), at(7, 19)) == at(14, 9)


def test_a_moment_that_has_passed_still_waits_for_working_time() -> None:
    step = Wait("w", None, until="contact.renewal_at", calendar=OFFICE)
    assert wait_is_over_at(step, SHANGHAI, at(3, 10), until=at(2, 10)) == at(5, 9)


def test_a_wait_that_no_working_time_ever_ends_does_not_keep_the_run_for_ever() -> None:
    always_off = WorkingCalendar("off", "Asia/Shanghai", ())
    assert over(Wait("w", None, for_=DAY, calendar=always_off), at(8, 10)) == at(9, 10)


def over(step: Wait, now: datetime) -> datetime:
    return wait_is_over_at(step, SHANGHAI, now)
