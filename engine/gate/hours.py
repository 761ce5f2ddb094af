"""Quiet hours as arithmetic: what a rule keeps quiet on a zone's clock, and when all of several leave off.

A moment is quiet when the zone's clock *shows* a quiet time: an hour that a clock change repeats is quiet
both times, and one that it leaves out is never reached. So nobody is disturbed by a clock just changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from engine.changing import frozen
from engine.journeys.localtime import clock_moment, has_day

SEARCHED = timedelta(days=15)
"""How far ahead an allowed moment is looked for: two weeks repeat everything that rules can say."""
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class WhenQuiet(StrEnum):
    SKIP = "skip"
    DEFER = "defer"
    NEXT_CHANNEL = "next_channel"


@dataclass(frozen=True)
class Hours:
    """From one time of day to another; `until` not later than `start` means the next day."""

    start: time
    until: time
    weekdays: frozenset[int] = frozenset()
    """ISO weekdays on which it begins, Monday is 1; without these and holidays: every day."""
    holidays: frozenset[date] | None = None
    """Days on which it begins as well, whatever weekday they are; None: holidays are days like others."""

    @property
    def is_of_days(self) -> bool:
        """Whether it begins on some days only."""
        return bool(self.weekdays) or self.holidays is not None

    def begin_on(self, day: date) -> bool:
        """Whether such hours begin on the day."""
        if not self.is_of_days:
            return True
        return day.isoweekday() in self.weekdays or day in (self.holidays or ())

    @property
    def text(self) -> str:
        return f"{self.start:%H:%M}-{self.until:%H:%M}"


@dataclass(frozen=True)
class Held:
    """Which messages a rule is about; an empty field is about all of them."""

    purposes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    """marketing | transactional | legal"""
    channels: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    """Identity platforms whose addresses the channel reaches."""
    journeys: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()

    def concerns(
        self, purpose: str, kind: str, channel: str, platform: str, journey: str | None, content: str
    ) -> bool:
        return (
            (not self.purposes or purpose in self.purposes)
            and (not self.kinds or kind in self.kinds)
            and (not self.channels or channel in self.channels)
            and (not self.platforms or platform in self.platforms)
            and (not self.journeys or journey in self.journeys)
            and (not self.contents or content in self.contents)
        )


@dataclass(frozen=True)
class QuietRule:
    """Hours in which messages wait, and who asks for it."""

    id: str
    because: str
    """law | platform | contact | courtesy"""
    holds_back: Held
    timezone: str
    """`contact`, `workspace` or an IANA name."""
    when_quiet: WhenQuiet
    hours: Hours | None
    """None: what the contact wishes, in the attribute `wish`."""
    wish: str | None = None
    spared: Held | None = None
    """Messages that do not wait all the same."""
    countries: tuple[str, ...] = ()
    """`US` or `US-FL`; empty: everywhere."""
    spread: timedelta = timedelta(0)
    source: str = ""
    as_of: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Residence:
    """How it is known where a contact lives, and so whose law holds: by an attribute, else their numbers."""

    attribute: str | None = None
    """Of the contact; holds `CN`, `US` or `US-FL`."""
    otherwise: str | None = None
    """Where contacts live of whom nothing is known; None: the rules of all countries hold for them."""

    def of(self, attributes: Mapping[str, Any], by_numbers: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        """The countries, with their parts where known, one of which it is; empty: it may be any.

        With how that is known: attribute | number | otherwise | unknown | unreadable.
        """
        stated = attributes.get(self.attribute) if self.attribute is not None else None
        if isinstance(stated, str) and stated.strip():
            code = stated.strip().upper()
            # What cannot be read is not taken for the default: somebody said something about this contact.
            return ((code,), "attribute") if _COUNTRY.fullmatch(code) else ((), "unreadable")
        if by_numbers:
            return by_numbers, "number"
        return ((self.otherwise,), "otherwise") if self.otherwise is not None else ((), "unknown")


NOWHERE_STATED = Residence()
_COUNTRY = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


def holds_in(countries: Sequence[str], lives_in: Sequence[str]) -> bool:
    """Whether a rule of these countries holds, or may hold, for somebody who lives in one of `lives_in`.

    Where that is empty, every rule may; and of a country's parts every one, where the part is not known.
    """
    if not countries or not lives_in:
        return True
    return any(
        home == each or home.startswith(f"{each}-") or each.startswith(f"{home}-")
        for each in countries
        for home in lives_in
    )


_WISH = re.compile(
    r"([01]?[0-9]|2[0-3])[:：]([0-5][0-9])\s*[-–—~～至]\s*([01]?[0-9]|2[0-3])[:：]([0-5][0-9])"
)


def read_wish(text: str) -> tuple[Hours, ...] | None:
    """The hours in which a contact wishes to be left alone, as `22:00-08:00, 12:00-14:00`.

    Nothing for a text that says nothing; None for one that cannot be read.
    """
    parts = [part.strip() for part in re.split(r"[,，;；、]", text)]
    hours = []
    for part in filter(None, parts):
        read = _WISH.fullmatch(part)
        if read is None:
            return None
        first, last = time(int(read[1]), int(read[2])), time(int(read[3]), int(read[4]))
        if first == last:
            return None
        hours.append(Hours(first, last))
    return tuple(hours)


@frozen
class Window:
    """Hours of a rule on one zone's clock."""

    rule: QuietRule
    hours: Hours
    zone: ZoneInfo
    known_by: str = "contact"
    """Whose zone that is: contact | candidate | workspace | named."""

    def is_quiet(self, moment: datetime) -> bool:
        """Whether the clock shows a quiet time."""
        hours, shown = self.hours, moment.astimezone(self.zone)
        clock = shown.time().replace(fold=0)
        if hours.start < hours.until:
            return hours.start <= clock < hours.until and self.hours.begin_on(shown.date())
        if clock >= hours.start and self.hours.begin_on(shown.date()):
            return True
        return clock < hours.until and self.hours.begin_on(self._day_before(shown.date()))

    def end(self, moment: datetime) -> datetime:
        """The first moment (UTC) after a quiet one at which this window is not quiet any more."""
        hours, shown = self.hours, moment.astimezone(self.zone)
        last = shown.date()
        evening = shown.time().replace(fold=0) >= hours.start
        if hours.start >= hours.until and evening and self.hours.begin_on(last):
            last += _DAY
        wanted = datetime.combine(last, hours.until, self.zone)
        again = wanted.replace(fold=1).astimezone(UTC)
        first = clock_moment(last, hours.until, self.zone)
        end = first if first > moment or again <= moment else again
        if end <= moment:
            # No zone has shown a time three times so far; whoever searches goes on all the same.
            end = moment + timedelta(minutes=1)
        changed = self._clock_change(moment, end)
        return changed if changed is not None and not self.is_quiet(changed) else end

    def _day_before(self, day: date) -> date:
        day -= _DAY
        while self.hours.is_of_days and not has_day(day, self.zone):
            day -= _DAY
        return day

    def _clock_change(self, after: datetime, until: datetime) -> datetime | None:
        """The moment between two at which the zone's clock is changed; None when it is not."""
        offset = after.astimezone(self.zone).utcoffset()
        if until.astimezone(self.zone).utcoffset() == offset:
            return None
        while until - after > _SECOND:
            middle = after + _SECOND * ((until - after) // _SECOND // 2)
            if middle.astimezone(self.zone).utcoffset() == offset:
                after = middle
            else:
                until = middle
        return until.replace(microsecond=0)


@dataclass(frozen=True)
class Opening:
    """The first moment at which none of several windows is quiet."""

    at: datetime | None
    """UTC; None when there is none for a fortnight."""
    closes: datetime | None
    """When one of them is quiet again, or the end of what was looked at."""
    binding: Window
    """The window that ends last before it."""
    quiet_now: tuple[Window, ...]
    """All that are quiet at the moment asked for."""


def opening(
    windows: Sequence[Window], now: datetime, *, open_for: timedelta = timedelta(0)
) -> Opening | None:
    """When all windows leave off; None when none of them is quiet `now`.

    `closes` is looked for as far as `open_for` after the opening.
    """
    quiet_now = tuple(window for window in windows if window.is_quiet(now))
    if not quiet_now:
        return None
    moment, latest, binding = now.astimezone(UTC), now + SEARCHED, quiet_now[0]
    while moment < latest:
        quiet = next((window for window in windows if window.is_quiet(moment)), None)
        if quiet is None:
            return Opening(moment, _closing(windows, moment, open_for), binding, quiet_now)
        binding, moment = quiet, quiet.end(moment)
    return Opening(None, None, binding, quiet_now)


def _closing(windows: Sequence[Window], opened: datetime, open_for: timedelta) -> datetime | None:
    """When the first window is quiet again, at the latest after `open_for`; None when nobody asked."""
    closes = opened + open_for
    for window in windows:
        day = opened.astimezone(window.zone).date()
        for ahead in range(open_for // _DAY + 2):
            begins = clock_moment(day + ahead * _DAY, window.hours.start, window.zone)
            if opened < begins < closes and window.is_quiet(begins):
                closes = begins
                break
    return closes
