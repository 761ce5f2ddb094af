"""When a wait step is over, and a task due: on the contact's own clock, in the working time of a calendar."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.journeys.calendar import SEARCHED_DAYS, WorkingCalendar
from engine.journeys.localtime import MIDNIGHT, clock_moment, has_day
from engine.journeys.program import Ask, Wait

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_SEARCHED_FOR_WEEKDAY = 60  # more than a week of days and any skipped ones


def wait_is_over_at(wait: Wait, zone: ZoneInfo, now: datetime, *, until: datetime | None = None) -> datetime:
    """When a wait that begins `now` is over, in UTC: `next_moment`, and then working time of its calendar.

    A wait for a time of day stays with it: it goes on to the first such time that is working time. `zone` is
    the contact's.
    """
    first = next_moment(wait, zone, now, until=until)
    calendar = wait.calendar
    if calendar is None:
        return first
    # Where a time of day is waited for, everybody of one zone comes to the same few moments.
    if wait.at is not None:
        key = (wait.at, wait.weekdays, zone, first)
        return calendar.remember(key, lambda: _in_working_time(wait, calendar, zone, first))
    return _in_working_time(wait, calendar, zone, first)


def _in_working_time(wait: Wait, calendar: WorkingCalendar, zone: ZoneInfo, first: datetime) -> datetime:
    """The first moment from `first` on that the wait's other parts and its calendar allow."""
    moment = first
    again = replace(wait, for_=None, days=None, until=None)
    midnight = replace(again, at=MIDNIGHT)
    for _ in range(SEARCHED_DAYS):
        if wait.at is not None:
            following = _unless_working(again, calendar, zone, moment)
            if following is None:
                return moment
            moment = following
            continue
        working = calendar.next_working(moment, zone)
        if working is None:
            break
        if not wait.weekdays or working.astimezone(zone).isoweekday() in wait.weekdays:
            return working
        moment = next_moment(midnight, zone, working + _MINUTE)
    return first  # a calendar without such a time keeps nobody waiting for ever


def _unless_working(
    wait: Wait, calendar: WorkingCalendar, zone: ZoneInfo, moment: datetime
) -> datetime | None:
    """The wait's next time of day after this moment, unless the moment itself is working time."""

    def found() -> tuple[datetime | None]:
        if calendar.is_working(moment, zone):
            return (None,)
        return (next_moment(wait, zone, moment + _MINUTE),)

    # Who waits from one day and who waits from the next look at the same times.
    return calendar.remember(("next", wait.at, wait.weekdays, zone, moment), found)[0]


def task_is_due_at(ask: Ask, zone: ZoneInfo, now: datetime) -> datetime:
    """From when on (UTC) an answer to a task that is given `now` comes too late. `zone` is the contact's."""
    due_at = ask.calendar.after_working(now, ask.deadline, zone) if ask.calendar is not None else None
    return due_at if due_at is not None else now.astimezone(UTC) + ask.deadline


def next_moment(wait: Wait, zone: ZoneInfo, now: datetime, *, until: datetime | None = None) -> datetime:
    """When a wait that begins `now` is over, in UTC; never before `now`.

    The parts apply in the order `until`, `for`, `days`, `at`, `weekdays`. `until` is the value of the wait's
    fact; a missing or past one does not wait. `days` keeps the time of day unless `at` names one.

    A time of day lasts a minute, as clocks show it: a wait with `at` counts from the minute in which it is
    come to. So a run that its work brings here a few seconds after ten is still there at ten o'clock.
    """
    now = now.astimezone(UTC)
    moment = max(now, until.astimezone(UTC)) if until is not None else now
    if wait.at is not None:
        moment = minute_of(moment, zone)
    if wait.for_ is not None:
        moment += wait.for_
    if wait.days is None and wait.at is None and _falls_on(moment.astimezone(zone).date(), wait.weekdays):
        return moment
    local = moment.astimezone(zone)
    clock = wait.at if wait.at is not None else local.time()
    if wait.days:
        first = _nth_day_after(local.date(), wait.days, zone)
    elif wait.at is not None:
        # The day before may still own this time: its 23:30 comes after midnight when a jump leaves it out.
        first = local.date() - 2 * _DAY
    else:
        first = local.date()
    return max(now, _first_on(first, clock, zone, moment, wait.weekdays))


def minute_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """When the zone's clock began to show the minute that it shows at `moment`."""
    local = moment.astimezone(zone)
    return moment - timedelta(seconds=local.second, microseconds=local.microsecond)


def may_be_over_at_once(wait: Wait) -> bool:
    """Whether a wait for a time of day can be over in the minute in which it is come to."""
    return wait.at is not None and wait.days is None and (wait.for_ is None or wait.for_ < _MINUTE)


def next_minute(moment: datetime, zone: ZoneInfo) -> datetime:
    """When the zone's clock will show another minute."""
    return minute_of(moment, zone) + _MINUTE


def _first_on(
    first: date, clock: time, zone: ZoneInfo, earliest: datetime, weekdays: Collection[int]
) -> datetime:
    """The first `clock` at or after `earliest` on an existing, allowed day from `first` on."""
    for ahead in range(_SEARCHED_FOR_WEEKDAY):
        day = first + ahead * _DAY
        if _falls_on(day, weekdays):
            moment = clock_moment(day, clock, zone)
            if moment >= earliest and has_day(day, zone):
                return moment
    raise ValueError(f"no {clock} on weekdays {sorted(weekdays)} within {_SEARCHED_FOR_WEEKDAY} days")


def _nth_day_after(day: date, count: int, zone: ZoneInfo) -> date:
    """The `count`-th day after `day` that the zone has; skipped days do not count."""
    target = day + count * _DAY
    # Only a zone whose offset moved by half a day or more between the two can have skipped a day.
    begins, ends = clock_moment(day, MIDNIGHT, zone), clock_moment(target, MIDNIGHT, zone)
    if abs((ends - begins) - count * _DAY) < timedelta(hours=12):
        return target
    for _ in range(count):
        day += _DAY
        while not has_day(day, zone):
            day += _DAY
    return day


def _falls_on(day: date, weekdays: Collection[int]) -> bool:
    return not weekdays or day.isoweekday() in weekdays
