"""Working hours and holidays: whether people are at work at a moment, and when they next are; pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import TypeVar, cast
from zoneinfo import ZoneInfo

from engine.journeys.localtime import MIDNIGHT, clock_moment, has_day
from engine.rules.facts import FactValue

OF_CONTACT = "contact"
"""Stands for each contact's own zone where a zone is named."""

T = TypeVar("T")

_DAY = timedelta(days=1)
_MOST_REMEMBERED = 20_000
SEARCHED_DAYS = 400
"""A calendar that has no working time within this many days is refused by the lint."""


@dataclass(frozen=True)
class Hours:
    """A stretch of working time on some days of the week."""

    weekdays: tuple[int, ...]
    """ISO weekdays, Monday is 1."""
    start: time
    end: time | None
    """None: until the day ends."""


@dataclass(frozen=True)
class WorkingCalendar:
    """One calendar of a workspace. Days are judged by their date, times by the clock of its zone."""

    id: str
    timezone: str
    """An IANA zone, or `contact`."""
    hours: tuple[Hours, ...]
    holidays: tuple[date, ...] = ()
    """Dates without work, whatever their weekday."""
    workdays: Mapping[date, int] = field(default_factory=dict)
    """Dates with work, whatever their weekday -> the ISO weekday whose hours they have."""

    @cached_property
    def _without_work(self) -> frozenset[date]:
        return frozenset(self.holidays)

    @cached_property
    def _remembered(self) -> dict[Hashable, object]:
        return {}

    def remember(self, key: Hashable, find: Callable[[], T]) -> T:
        """What `find` says, found once for a key: thousands of contacts ask the same of one calendar."""
        memory = self._remembered
        known = memory.get(key)
        if known is not None:
            return cast(T, known)
        found = find()
        if len(memory) >= _MOST_REMEMBERED:
            memory.clear()
        memory[key] = found
        return found

    def is_holiday(self, day: date) -> bool:
        """Whether the date is a named holiday; an ordinary Sunday is none."""
        return day in self._without_work

    def is_workday(self, day: date) -> bool:
        """Whether anybody works on the date."""
        return bool(self.hours_on(day))

    def hours_on(self, day: date) -> tuple[Hours, ...]:
        """The working hours of the date."""
        if day in self._without_work:
            return ()
        weekday = self.workdays.get(day, day.isoweekday())
        return tuple(each for each in self.hours if weekday in each.weekdays)

    def zone(self, contact_zone: ZoneInfo) -> ZoneInfo:
        """The zone whose clock counts, for a contact of this zone."""
        return contact_zone if self.timezone == OF_CONTACT else ZoneInfo(self.timezone)

    def is_working(self, moment: datetime, contact_zone: ZoneInfo) -> bool:
        """Whether the moment lies in working hours; their end no longer does."""
        zone = self.zone(contact_zone)
        today = moment.astimezone(zone).date()
        # A jump of the clock may carry the hours of a day into the next date.
        return any(
            start <= moment < end for day in (today - _DAY, today) for start, end in self._spans(day, zone)
        )

    def next_working(self, moment: datetime, contact_zone: ZoneInfo) -> datetime | None:
        """The first moment (UTC) of working time at or after this one; None when there is none for a year."""
        zone = self.zone(contact_zone)
        first = moment.astimezone(zone).date() - _DAY
        for ahead in range(SEARCHED_DAYS):
            spans = [span for span in self._spans(first + ahead * _DAY, zone) if span[1] > moment]
            if spans:
                return max(moment.astimezone(UTC), min(start for start, _ in spans))
        return None

    def after_working(self, moment: datetime, length: timedelta, contact_zone: ZoneInfo) -> datetime | None:
        """The moment (UTC) by which that much working time has gone by since this one.

        None when there is not so much of it within the days that are searched.
        """
        zone = self.zone(contact_zone)
        first = moment.astimezone(zone).date() - _DAY
        counted, left = moment.astimezone(UTC), length
        for ahead in range(SEARCHED_DAYS):
            for start, end in sorted(self._spans(first + ahead * _DAY, zone)):
                # Stretches may overlap where a clock jumps; time counts once.
                begins = max(start, counted)
                if end - begins >= left:
                    return begins + left
                if end > begins:
                    left -= end - begins
                    counted = end
        return None

    def _spans(self, day: date, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
        """The working time of the date as half-open spans in UTC."""
        if not has_day(day, zone):
            return []
        spans = [
            (
                clock_moment(day, each.start, zone),
                clock_moment(day, each.end, zone)
                if each.end is not None
                else clock_moment(day + _DAY, MIDNIGHT, zone),
            )
            for each in self.hours_on(day)
        ]
        return [span for span in spans if span[0] < span[1]]


def working_facts(
    calendars: Mapping[str, WorkingCalendar], moment: datetime, contact_zone: ZoneInfo
) -> dict[str, FactValue | None]:
    """The facts `calendar.<id>`: whether people are at work at the moment, by calendar."""
    return {f"calendar.{name}": each.is_working(moment, contact_zone) for name, each in calendars.items()}
