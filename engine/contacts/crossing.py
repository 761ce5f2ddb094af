"""Entering and leaving audiences as events; pure, the same in production and in simulation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from engine.contacts.computing import Crossing
from engine.contacts.profile import Profile
from engine.journeys.event import AUDIENCE_ENTERED, AUDIENCE_LEFT, Event

SOURCE = "wayline"
BY_EVENT, BY_TIME, BY_RULES = "event", "time", "rules"
"""Why somebody crosses: the property `because` of the event."""


def crossing_events(
    crossings: Sequence[Crossing], contact_id: str, cause: str, because: str, now: datetime
) -> list[Event]:
    """The events that tell of the crossings, in their order; they happen at journey time `now`.

    `cause` names what made the contact be computed anew, and with it these events: told again, they are the
    same.
    """
    return [
        Event(
            event_id=_event_id(cause, crossing),
            type=AUDIENCE_ENTERED if crossing.entered else AUDIENCE_LEFT,
            contact_id=contact_id,
            occurred_at=now,
            received_at=now,
            source=SOURCE,
            properties={"audience": crossing.audience, "because": because},
        )
        for crossing in crossings
    ]


def sweep_cause(profile: Profile) -> str:
    """What names a computing that no event asked for: every crossing moves the contact's latest event on."""
    return f"{profile.id}@{profile.last_event_seq}"


def _event_id(cause: str, crossing: Crossing) -> str:
    way = "+" if crossing.entered else "-"
    return f"audience:{sha256(f'{cause} {way}{crossing.audience}'.encode()).hexdigest()[:32]}"
