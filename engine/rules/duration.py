"""Durations as authors write them: a whole number and one of s, m, h, d, w. A day is 24 hours."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_WRITTEN = re.compile(r"(0|[1-9][0-9]{0,9})([smhdw])", re.ASCII)
LONGEST = timedelta(days=36_500)
"""A hundred years: longer ones are slips of the pen, and would run past the calendar's end."""


def parse_duration(text: str) -> timedelta:
    """The duration written as `90s`, `15m`, `2h`, `3d` or `2w`.

    Raises ValueError, with a message for the author, for anything else and for more than a hundred years.
    """
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError(
            f"{text!r} is not a duration; write a whole number and a unit, as 90s, 15m, 2h, 3d or 2w"
        )
    count, unit = int(written[1]), _UNITS[written[2]]
    if count > LONGEST // unit:
        raise ValueError(f"{text!r} is longer than a hundred years")
    return count * unit


def format_duration(duration: timedelta) -> str:
    """A writing that `parse_duration` reads back as the same; parts of a second and the sign are dropped."""
    seconds = int(abs(duration).total_seconds())
    for name in "dhm":  # no weeks: 14d says more than 2w beside 30d
        size = int(_UNITS[name].total_seconds())
        if seconds and seconds % size == 0:
            return f"{seconds // size}{name}"
    return f"{seconds}s"


def format_roughly(duration: timedelta) -> str:
    """How long that is to a reader, in its largest whole unit: 47 days and some hours are `47d`."""
    seconds = int(abs(duration).total_seconds())
    for name in "dhm":
        size = int(_UNITS[name].total_seconds())
        if seconds >= size:
            return f"{seconds // size}{name}"
    return f"{seconds}s"
