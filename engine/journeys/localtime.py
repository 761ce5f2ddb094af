"""Local-time arithmetic: when a clock shows a time, and where calendar days, weeks and months begin.

One rule covers every odd day of every zone: a clock time of a day is the *first* moment at which the local
clock shows it or something later. So a time that a clock change leaves out becomes the first moment after the
gap, a time that comes twice counts once, the first time, and a day that a zone skipped altogether is no day.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

MIDNIGHT = time(0)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    # ValueError: not a zone name at all; OSError: a directory of the zone data, such as `America`.
    except (KeyError, ValueError, OSError):
        return None


def is_zone(name: str) -> bool:
    """Whether the zone data knows a zone of this name."""
    return _zone(name) is not None


@lru_cache(maxsize=1024)
def zone_of(name: str | None, default: str) -> ZoneInfo:
    """The zone called `name`, or the `default` one when it is missing or unknown to the zone data."""
    found = _zone(name) if name else None
    return found if found is not None else ZoneInfo(default)


@lru_cache(maxsize=65_536)
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


@lru_cache(maxsize=16_384)
def has_day(day: date, zone: ZoneInfo) -> bool:
    """Whether the zone's clock ever showed `day`; Samoa had no 30 December 2011."""
    return clock_moment(day, MIDNIGHT, zone).astimezone(zone).date() <= day


def calendar_span(
    unit: Literal["day", "week", "month"], zone: ZoneInfo, moment: datetime, week_starts: int = 1
) -> tuple[datetime, datetime]:
    """The calendar day, week or month that `moment` lies in, as a half-open span `[start, end)` in UTC.

    Spans of one unit follow each other without gap or overlap. `week_starts` is an ISO weekday, Monday is 1.
    An hour that a clock change repeats after midnight belongs to the day that has already begun.
    """
    moment = moment.astimezone(UTC)
    start, end, day = _span_around(unit, moment.astimezone(zone).date(), zone, week_starts)
    while end <= moment:
        day = _following(unit, day)
        start, end = end, clock_moment(day, MIDNIGHT, zone)
    return start, end


@lru_cache(maxsize=16_384)
def _span_around(unit: str, day: date, zone: ZoneInfo, week_starts: int) -> tuple[datetime, datetime, date]:
    """The day, week or month around the date, and the first date after it."""
    first = _first_day(unit, day, week_starts)
    following = _following(unit, first)
    return clock_moment(first, MIDNIGHT, zone), clock_moment(following, MIDNIGHT, zone), following


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
