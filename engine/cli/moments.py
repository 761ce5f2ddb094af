"""Moments as people name them on the command line: a day in the workspace's zone, or a moment."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.errors import CommandError


def named_moment(text: str, timezone: str, option: str, *, is_end: bool = False) -> datetime:
    """A day's first moment in that zone, of an end the next day's; or the moment that is named, in UTC.

    CommandError naming the option for a text that is neither.
    """
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return midnight(date.fromisoformat(text) + timedelta(days=int(is_end)), timezone)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise CommandError(f"{option}: {text!r} is no date, as 2026-03-01, and no moment") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(timezone))
    return moment.astimezone(UTC)


def midnight(day: date, timezone: str) -> datetime:
    """When a day begins on the clocks of that zone."""
    # Not before a command really works with bundles: `wayline lint` must stay quick.
    from engine.journeys.localtime import clock_moment

    return clock_moment(day, time(0), ZoneInfo(timezone))
