"""Schedules: when a cron expression fires on the clocks of a zone; the only module that knows croniter.

Croniter counts on a plain clock without a zone; what its times mean on a real one is decided by the rule of
`localtime`: a time that a clock change leaves out fires at the first moment after the gap, a time that comes
twice fires once, the first time, and a day that a zone skipped altogether has no firings. Firings that fall
on one moment are one firing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from engine.journeys.calendar import OF_CONTACT, WorkingCalendar
from engine.journeys.localtime import MIDNIGHT, clock_moment, has_day, zone_of

SHORTEST_GAP = timedelta(minutes=15)
"""Between two firings of one schedule: each firing looks at every contact."""

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_WEEKDAYS = "sun|mon|tue|wed|thu|fri|sat"
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_YEARS_AHEAD = 12
"""From one 29 February to the next lie eight years at most."""
_FIRST_YEAR = datetime(2024, 1, 1)  # noqa: DTZ001 - a clock without a zone
_REFUSED = 520
"""Days on which a schedule would fire and may not, looked at one after another: ten years of weeks."""
_FARTHEST_DAY = 40 * 366
"""Days looked at for one that is allowed: one 29 February in seven falls on a given day of the week."""


def _field(value: str) -> re.Pattern[str]:
    part = rf"(\*|({value})(-({value}))?)(/[1-9][0-9]?)?"
    return re.compile(rf"{part}(,{part})*")


_FIELDS = (
    ("minute", _field("[0-9]{1,2}")),
    ("hour", _field("[0-9]{1,2}")),
    ("day of the month", re.compile(rf"l|{_field('[0-9]{1,2}').pattern}")),
    ("month", _field(rf"[0-9]{{1,2}}|{_MONTHS}")),
    (
        "day of the week",
        re.compile(rf"({_WEEKDAYS}|[0-7])#[1-5]|l({_WEEKDAYS}|[0-7])|{_field(f'[0-7]|{_WEEKDAYS}').pattern}"),
    ),
)
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 10 * * *",
    "@midnight": "0 10 * * *",
    "@weekly": "0 10 * * mon",
    "@monthly": "0 10 1 * *",
    "@yearly": "0 10 1 1 *",
    "@annually": "0 10 1 1 *",
}


@dataclass(frozen=True)
class CronFault:
    """Why a cron expression cannot be used, and the way out."""

    kind: str
    """`unreadable`, `never` or `too_often`"""
    message: str
    hint: str


@dataclass(frozen=True)
class Days:
    """A restriction of a schedule to some days, or to all others, by their date on the schedule's clock."""

    calendar: WorkingCalendar
    which: str
    """`workdays` or `holidays`"""
    wanted: bool
    """Whether it fires on these days only, or on these days not."""

    def allow(self, day: date) -> bool:
        calendar = self.calendar
        found = calendar.is_workday(day) if self.which == "workdays" else calendar.is_holiday(day)
        return found is self.wanted


@dataclass(frozen=True)
class Schedule:
    """When contacts enter a journey by themselves."""

    cron: str
    """As `check_cron` accepts it."""
    timezone: str
    """An IANA zone, or `contact`: each contact's own."""
    days: tuple[Days, ...] = ()
    per_second: int = 200
    """How many contacts enter per second of real time at most."""

    @property
    def is_by_contact(self) -> bool:
        return self.timezone == OF_CONTACT

    def zone(self, contact_zone: str | None, default: str) -> ZoneInfo:
        """The zone on whose clock it fires for contacts of this zone; `default` is the workspace's."""
        return zone_of(contact_zone if self.is_by_contact else self.timezone, default)

    def next_after(self, moment: datetime, zone: ZoneInfo) -> datetime | None:
        """The first firing (UTC) after the moment; None when there is none for years."""
        # What the clock shows at `moment`, or earlier, was reached by then at the latest.
        start = moment.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
        for wall in self._walls(start):
            fires_at = self._moment(wall, zone)
            if fires_at is not None and fires_at > moment:
                return fires_at
        return None

    def latest(self, until: datetime, zone: ZoneInfo) -> datetime | None:
        """The last firing (UTC) at or before the moment; None when there is none for years."""
        start = until.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
        if (until - 2 * _DAY).astimezone(zone).utcoffset() != until.astimezone(zone).utcoffset():
            start += _DAY  # the clock may have shown later times already, before it was put back
        for wall in self._walls(start + _MINUTE, back=True):
            fires_at = self._moment(wall, zone)
            if fires_at is not None and fires_at <= until:
                return fires_at
        return None

    def firings(self, after: datetime, until: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """The firings in `(after, until]`, in order."""
        fires_at = self.next_after(after, zone)
        while fires_at is not None and fires_at <= until:
            yield fires_at
            fires_at = self.next_after(fires_at, zone)

    def _moment(self, wall: datetime, zone: ZoneInfo) -> datetime | None:
        day = wall.date()
        return clock_moment(day, wall.time(), zone) if has_day(day, zone) else None

    def _walls(self, start: datetime, *, back: bool = False) -> Iterator[datetime]:
        """Times of a clock without a zone at which it fires, from `start` (not included) on or back."""
        refused = 0
        while refused < _REFUSED:
            wall = _step(self.cron, start, back)
            if wall is None:
                return
            if self._allows(wall.date()):
                yield wall
                start, refused = wall, 0
                continue
            day = self._next_allowed(wall.date(), -_DAY if back else _DAY)
            if day is None:
                return
            # Every time of that day lies between, and none of those that are left out.
            midnight = datetime.combine(day, MIDNIGHT)
            start, refused = midnight + _DAY if back else midnight - _MINUTE, refused + 1

    def _allows(self, day: date) -> bool:
        return all(days.allow(day) for days in self.days)

    def _next_allowed(self, day: date, step: timedelta) -> date | None:
        """The nearest allowed day beyond this one, forwards or back; None when there is none for decades."""
        for _ in range(_FARTHEST_DAY):
            day += step
            if self._allows(day):
                return day
        return None


def check_cron(text: str) -> CronFault | None:
    """What is wrong with a cron expression of five fields; None when it can be used."""
    named = _NICKNAMES.get(text.strip().lower())
    if text.strip().startswith("@"):
        hint = f'as "{named}"' if named else 'as "0 10 * * *" for every day at ten'
        return CronFault("unreadable", f"'{text}' does not say at what time", hint)
    fields = text.lower().split(" ")
    if len(fields) != len(_FIELDS):
        many = (
            "a field for seconds or years is too much" if len(fields) > len(_FIELDS) else "some are missing"
        )
        message = f"'{text}' does not have the five fields that are needed: {many}"
        return CronFault("unreadable", message, 'minute hour day month weekday, as "0 10 * * mon-fri"')
    for (name, pattern), field in zip(_FIELDS, fields, strict=True):
        if pattern.fullmatch(field) is None:
            message = f"'{field}' is not a {name}"
            return CronFault(
                "unreadable", message, 'numbers, lists, ranges and steps, as "0 9-18/3 * * mon,wed"'
            )
    if fields[2] != "*" and fields[4] != "*":
        message = f"'{text}' names days of the month and days of the week: it would fire on either"
        hint = 'keep one of them, as "0 10 * * mon#1" for the first Monday; or write a journey for each'
        return CronFault("unreadable", message, hint)
    try:
        expanded = croniter.expand(text.lower())[0]
    except CroniterBadCronError:
        message = f"'{text}' holds a number that no clock or calendar shows, or a range that runs backwards"
        return CronFault(
            "unreadable", message, "minutes 0-59, hours 0-23, days 1-31, months 1-12, weekdays 0-7"
        )
    minutes = _all(expanded[0], 60)
    hours = _all(expanded[1], 24)
    times = sorted(hour * 60 + minute for hour in hours for minute in minutes)
    gap = min(
        (later - earlier for earlier, later in zip(times, [*times[1:], times[0] + 1440], strict=True)),
        default=1440,
    )
    if gap < SHORTEST_GAP / _MINUTE:
        often = "minute" if gap == 1 else f"{gap} minutes"
        message = f"'{text}' fires every {often}; each time every contact is looked at"
        hint = 'fire every 15 minutes at most, as "*/15 * * * *", or enter by event'
        return CronFault("too_often", message, hint)
    if _step(text, _FIRST_YEAR, False) is None:
        message = f"'{text}' never fires: no month it names has such a day"
        return CronFault("never", message, 'for the last day of a month write "0 10 l * *"')
    return None


def _all(field: Sequence[int | str], size: int) -> list[int]:
    return list(range(size)) if "*" in field else [int(each) for each in field]


@lru_cache(maxsize=4096)
def _step(cron: str, start: datetime, back: bool) -> datetime | None:
    """The next or the last time at which the expression fires, on a clock without a zone; None for years."""
    try:
        clock = croniter(cron.lower(), start, datetime, max_years_between_matches=_YEARS_AHEAD)
        found = clock.get_prev() if back else clock.get_next()
    except CroniterBadDateError:
        return None
    assert isinstance(found, datetime)
    return found
