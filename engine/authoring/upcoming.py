"""When the schedules of a workspace fire next, for people who write them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from engine.authoring.bundle import Bundle

MANY = 5


@dataclass(frozen=True)
class Upcoming:
    """The next firings of one journey's schedule."""

    journey: str
    cron: str
    whose: str
    """Whose clock it fires on."""
    zone: ZoneInfo
    """Of that clock; the workspace's, as an example, where each contact's own counts."""
    firings: tuple[datetime, ...]
    """In UTC."""

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "journey": self.journey,
            "cron": self.cron,
            "whose": self.whose,
            "zone": self.zone.key,
            "firings": [
                {"utc": each.isoformat(), "local": each.astimezone(self.zone).isoformat()}
                for each in self.firings
            ],
        }


def upcoming(bundle: Bundle, now: datetime, count: int = MANY) -> list[Upcoming]:
    """The next `count` firings of every schedule after `now`, by journey."""
    found = []
    for name, program in sorted(bundle.programs.items()):
        schedule = program.entry.schedule
        if schedule is None:
            continue
        zone = schedule.zone(None, bundle.workspace.timezone)
        latest = datetime.max.replace(tzinfo=now.tzinfo, year=now.year + 20)
        firings = tuple(islice(schedule.firings(now, latest, zone), count))
        whose = (
            f"on each contact's own clock; shown for the workspace's zone {zone.key}"
            if schedule.is_by_contact
            else f"on the clock of {zone.key}"
        )
        found.append(Upcoming(name, schedule.cron, whose, zone, firings))
    return found
