"""Calendars whose named days are over: what the next year brings has to be written into them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from engine.authoring.definitions import Definitions
from engine.errors import Problem


def check_calendars_last(found: Definitions, today: date) -> Iterator[Problem]:
    """RW040 for each calendar that names holidays, none of them in this year or a later one."""
    for name, calendar in found.calendars.items():
        ends = calendar.item.ends
        if ends is not None and ends < today:
            message = f"the calendar '{name}' ends {ends}: no holiday is known after that day"
            hint = f"write the holidays and moved working days of {today.year} into {calendar.source.file}"
            yield calendar.problem("RW040", message, hint, at=("holidays",))
