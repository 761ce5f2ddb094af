"""Waits on every day around the clock changes of ten years, in every zone, on every set of weekdays.

The oracle walks through UTC minute by minute and looks at the clock on the wall; it never asks
what moment a local time is, which is all that `engine.journeys.localtime` does.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import accumulate, combinations
from zoneinfo import ZoneInfo, available_timezones

import pytest

from engine.journeys.program import Wait
from engine.journeys.waiting import wait_is_over_at

FIRST, LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE, QUARTER = timedelta(minutes=1), timedelta(minutes=15)
BEFORE, AFTER = 4 * DAY, 17 * DAY
WEEKDAYS = [(), *(days for size in range(1, 8) for days in combinations(range(1, 8), size))]
CLOCKS = [None, *(time(hour, minute) for hour in range(24) for minute in (0, 1, 15, 30, 59))]

Change = tuple[str, datetime]


def shown(zone: ZoneInfo, moment: datetime) -> datetime:
    """What the clock on the wall shows."""
    return moment.astimezone(zone).replace(tzinfo=None)


@cache
def changes() -> tuple[Change, ...]:
    """A zone and the day (UTC) of a clock change of it; places whose clocks agree around it count once."""
    found: dict[tuple[object, ...], Change] = {}
    days = [FIRST + number * DAY for number in range((LAST - FIRST) // DAY)]
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        offsets = [zone.utcoffset(day.astimezone(zone)) for day in days]
        for number in range(len(days) - 1):
            if offsets[number] != offsets[number + 1]:
                day = days[number]
                clock = tuple(
                    shown(zone, day + timedelta(hours=hour)) for hour in (-48, 0, 6, 12, 18, 24, 240)
                )
                found.setdefault((day, clock), (name, day))
    return tuple(found.values())


class Wall:
    """A clock on the wall, looked at every minute around one moment."""

    def __init__(self, zone: ZoneInfo, around: datetime) -> None:
        self._moments = [around - BEFORE + number * MINUTE for number in range((BEFORE + AFTER) // MINUTE)]
        showed = [shown(zone, moment) for moment in self._moments]
        self._latest = list(accumulate(showed, max))
        self.days = sorted({each.date() for each in showed})
        """Those that it showed at all."""

    def first_at_or_past(self, wanted: datetime) -> datetime:
        """When it first showed this or something later."""
        return self._moments[bisect_left(self._latest, wanted)]

    def wait_over(self, step: Wait, zone: ZoneInfo, now: datetime) -> datetime:
        begins = shown(zone, now)
        if step.at is None and not step.days and begins.isoweekday() in (step.weekdays or range(1, 8)):
            return now
        days: Sequence[date] = self.days
        if step.days:
            days = [day for day in days if day > begins.date()][step.days - 1 :]
        elif step.at is None:
            days = [day for day in days if day >= begins.date()]
        clock = step.at if step.at is not None else begins.time()
        allowed = (day for day in days if not step.weekdays or day.isoweekday() in step.weekdays)
        moments = (self.first_at_or_past(datetime.combine(day, clock)) for day in allowed)
        return next(moment for moment in moments if moment >= now)


def starts(around: datetime, every: int) -> Iterator[datetime]:
    """Moments of the day of a clock change, of the one before and of the one after."""
    yield from (around - DAY + number * QUARTER for number in range(0, 3 * DAY // QUARTER, every))


def must_agree(name: str, wall: Wall, step: Wait, now: datetime, until: datetime | None = None) -> None:
    zone = ZoneInfo(name)
    begins = max(now, until) if until is not None else now
    found = wait_is_over_at(step, zone, now, until=until)
    assert found == wall.wait_over(step, zone, begins), (name, now, step, until)


def wait_of(days: int | None, at: time | None, weekdays: tuple[int, ...]) -> Wait:
    return Wait("w", None, days=days, at=at, weekdays=weekdays)


def test_a_sample_of_the_odd_days_of_ten_years() -> None:
    chance = random.Random(20260301)
    assert len(changes()) > 500
    for name, day in chance.sample(changes(), 50):
        wall = Wall(ZoneInfo(name), day)
        for now in starts(day, 5):
            step = wait_of(
                chance.choice([None, None, 1, 2, 5]), chance.choice(CLOCKS), chance.choice(WEEKDAYS)
            )
            until = now + chance.choice([-6, 0, 1, 7, 26, 49]) * timedelta(hours=1)
            must_agree(name, wall, step, now, chance.choice([None, until]))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_odd_day_of_ten_years_in_every_zone_on_every_set_of_weekdays() -> None:
    chance = random.Random(7)
    for name, day in changes():
        wall = Wall(ZoneInfo(name), day)
        for now in starts(day, 8):
            for weekdays in chance.sample(WEEKDAYS, 8):
                must_agree(name, wall, wait_of(None, chance.choice(CLOCKS), weekdays), now)
        for weekdays in WEEKDAYS:
            for days in (None, 1, 3):
                now = day - DAY + chance.randrange(3 * DAY // MINUTE) * MINUTE
                until = chance.choice([None, now + chance.randrange(-300, 3000) * MINUTE])
                must_agree(name, wall, wait_of(days, chance.choice(CLOCKS), weekdays), now, until)
