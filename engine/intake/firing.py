"""What a firing of a schedule is to one contact: an event, the same whoever makes it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from engine.authoring.bundle import Bundle
from engine.contacts.profile import Profile
from engine.journeys.event import SCHEDULE_FIRED, Event
from engine.journeys.program import Program

SOURCE = "schedule"


def scheduled(bundle: Bundle) -> Mapping[str, Program]:
    """The journeys of a bundle that contacts enter by the clock."""
    return {name: each for name, each in bundle.programs.items() if each.entry.schedule is not None}


def firing_event(
    program: Program, bundle: Bundle, profile: Profile, fires_at: datetime, now: datetime
) -> Event:
    """The event by which a firing reaches a contact. It has one id for all who make it.

    Where each contact's own clock counts, the id names the local time: who travels is not reached twice by
    the ten o'clock of one day.
    """
    schedule = program.entry.schedule
    assert schedule is not None, "only scheduled journeys fire"
    local = fires_at.astimezone(schedule.zone(profile.timezone, bundle.workspace.timezone))
    shown = f"{local:%Y-%m-%dT%H:%M}"
    named = shown if schedule.is_by_contact else f"{fires_at:%Y-%m-%dT%H:%MZ}"
    return Event(
        event_id=f"schedule:{program.journey}:{named}:{profile.id}",
        type=SCHEDULE_FIRED,
        contact_id=profile.id,
        occurred_at=fires_at,
        received_at=now,
        source=SOURCE,
        properties={
            "journey": program.journey,
            "fires_at": fires_at.isoformat(),
            "local_time": shown,
        },
    )
