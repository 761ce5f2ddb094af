"""Local-time arithmetic: when a wait ends on a contact's own clock, and where calendar days and weeks begin.

One rule covers every odd day of every zone: a clock time of a day is the *first* moment at which the local
clock shows it or something later. So a time that a clock change leaves out becomes the first moment after the
gap, a time that comes twice counts once, the first time, and a day that a zone skipped altogether is no day.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from engine.journeys.program import Wait

MIDNIGHT = time(0)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_SEARCHED_DAYS = 60  # more than a week of days and any skipped ones


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    # ValueError: not a zone name at all; OSError: a directory of the zone data, such as `America`.
    except (KeyError, ValueError, OSError):
        return None


def zone_of(name: str | None, default: str) -> ZoneInfo:
    """The zone called `name`, or the `default` one when it is missing or unknown to the zone data."""
    found = _zone(name) if name else None
    return found if found is not None else ZoneInfo(default)


def clock_moment(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """The first moment (UTC) at which the zone's clock shows `clock` of `day` or later."""
    wanted = datetime.combine(day, clock)
    earlier = wanted.replace(tzinfo=zone).astimezone(UTC)
    if earlier.astimezone(zone).replace(tzinfo=None) == wanted:
        return earlier
    # The clock jumps over `wanted`: read with the offset after the jump it lies before it, and conversely.
    before, after = wanted.replace(tzinfo=zone, fold=1).astimezone(UTC), earlier
    while after - before > _SECOND:
        middle = before + _SECOND * ((after - before) // _SECOND // 2)
        if middle.astimezone(zone).replace(tzinfo=None) >= wanted:
            after = middle
        else:
            before = middle
    return after


def has_day(day: date, zone: ZoneInfo) -> bool:
    """Whether the zone's clock ever showed `day`; Samoa had no 30 December 2011."""
    return clock_moment(day, MIDNIGHT, zone).astimezone(zone).date() <= day


def next_moment(wait: Wait, zone: ZoneInfo, now: datetime, *, until: datetime | None = None) -> datetime:
    """When a wait that begins `now` is over, in UTC; never before `now`.

    The parts apply in the order `until`, `for`, `days`, `at`, `weekdays`. `until` is the value of the wait's
    fact; a missing or past one does not wait. `days` keeps the time of day unless `at` names one.
    """
    moment = max(now, until) if until is not None else now
    moment = moment.astimezone(UTC)
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
    return _first_on(first, clock, zone, moment, wait.weekdays)


def _first_on(
    first: date, clock: time, zone: ZoneInfo, earliest: datetime, weekdays: Collection[int]
) -> datetime:
    """The first `clock` at or after `earliest` on an existing, allowed day from `first` on."""
    for ahead in range(_SEARCHED_DAYS):
        day = first + ahead * _DAY
        if _falls_on(day, weekdays):
            moment = clock_moment(day, clock, zone)
            if moment >= earliest and has_day(day, zone):
                return moment
    raise ValueError(f"no {clock} on weekdays {sorted(weekdays)} within {_SEARCHED_DAYS} days")


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


def calendar_span(
    unit: Literal["day", "week", "month"], zone: ZoneInfo, moment: datetime, week_starts: int = 1
) -> tuple[datetime, datetime]:
    """The calendar day, week or month that `moment` lies in, as a half-open span `[start, end)` in UTC.

    Spans of one unit follow each other without gap or overlap. `week_starts` is an ISO weekday, Monday is 1.
    An hour that a clock change repeats after midnight belongs to the day that has already begun.
    """
    moment = moment.astimezone(UTC)
    day = _first_day(unit, moment.astimezone(zone).date(), week_starts)
    start = clock_moment(day, MIDNIGHT, zone)
    while True:
        day = _following(unit, day)
        end = clock_moment(day, MIDNIGHT, zone)
        if end > moment:
            return start, end
        start = end


def _first_day(unit: str, day: date, week_starts: int) -> date:
    if unit == "day":
        return day
    if unit == "week":
        return day - _DAY * ((day.isoweekday() - week_starts) % 7)
    return day.replace(day=1)


def _following(unit: str, day: date) -> date:
    if unit == "day":
        return day + _DAY
    if unit == "week":
        return day + 7 * _DAY
    return (day.replace(day=28) + 4 * _DAY).replace(day=1)
