"""Caps that can never have a say, because another one is always full first."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from itertools import permutations

from engine.authoring.definitions import Defined
from engine.authoring.models.limits import CalendarEntry, CapEntry, CountsEntry, RollingEntry
from engine.errors import Problem
from engine.rules.duration import format_duration

# The longest a day, a week or a month of the calendar can be: clocks are put back once in it.
_LONGEST = {
    "day": timedelta(hours=25),
    "week": timedelta(days=7, hours=1),
    "month": timedelta(days=31, hours=1),
}
_DAYS = {"week": 7, "month": 31}


def check_caps(caps: Collection[Defined[CapEntry]]) -> Iterator[Problem]:
    """RW034 for every cap that another one makes superfluous; of two that are equal, for the later."""
    needless: set[str] = set()
    for one, other in permutations(caps, 2):
        if one.item.id in needless or other.item.id in needless:
            continue
        if _covers_counts(other.item.counts, one.item.counts) and (
            why := _why_needless(one.item, other.item)
        ):
            needless.add(one.item.id)
            place = other.place()
            message = f"'{one.item.id}' never has a say: {why} ('{other.item.id}', {place.file}:{place.line})"
            yield one.problem("RW034", message, "remove it, or let it allow less than the other")


def _covers_counts(wide: CountsEntry, narrow: CountsEntry) -> bool:
    """Whether `wide` counts every message that `narrow` counts."""
    return (wide.purpose is None or wide.purpose == narrow.purpose) and all(
        not of_wide or (bool(of_narrow) and set(of_narrow) <= set(of_wide))
        for of_wide, of_narrow in (
            (wide.channels, narrow.channels),
            (wide.journeys, narrow.journeys),
            (wide.tags, narrow.tags),
        )
    )


def _why_needless(one: CapEntry, other: CapEntry) -> str:
    """Why `one` is full only when `other` is; "" when it is not so."""
    if one.min_gap is not None:
        if other.min_gap is not None:
            gap = format_duration(other.min_gap)
            return f"another cap asks for a gap of {gap} already" if other.min_gap >= one.min_gap else ""
        is_longer = isinstance(other.window, RollingEntry) and other.window.rolling >= one.min_gap
        if is_longer and other.limit == 1:
            return "another cap allows one message in a window that is no shorter than this gap"
        return ""
    if one.limit is None or one.window is None:
        return ""
    most = _most_in(one.window, other)
    return f"another cap lets no more than {most} into its window" if most and one.limit >= most else ""


def _most_in(window: RollingEntry | CalendarEntry, other: CapEntry) -> int | None:
    """The most messages that `other` lets into a window that ends now; None when that is not looked into."""
    length = window.rolling if isinstance(window, RollingEntry) else _LONGEST[window.calendar]
    if other.min_gap is not None:
        return -(-length // other.min_gap)
    if other.limit is None or other.window is None:
        return None
    if isinstance(other.window, RollingEntry):
        return other.limit * -(-length // other.window.rolling)
    if isinstance(window, CalendarEntry) and window.timezone == other.window.timezone:
        if window.calendar == other.window.calendar:
            same_start = (window.week_starts or "mon") == (other.window.week_starts or "mon")
            return other.limit if same_start else None
        if window.calendar == "day":
            return other.limit
        if other.window.calendar == "day":
            return other.limit * _DAYS[window.calendar]
    if isinstance(window, RollingEntry) and other.window.calendar == "day":
        # A window that begins and ends within a day touches one day more; the shortest day has 23 hours.
        return other.limit * (-(-length // timedelta(hours=23)) + 1)
    return None
