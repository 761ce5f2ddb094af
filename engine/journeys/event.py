"""An event as the core sees it, and the facts it brings to a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from engine.changing import frozen
from engine.rules.facts import FactValue

SCHEDULE_FIRED, JOURNEY_REQUESTED = "schedule_fired", "journey_requested"
ADDRESSED = frozenset({SCHEDULE_FIRED, JOURNEY_REQUESTED})
"""Types of events that are meant for one journey, which their property `journey` names."""
AUDIENCE_ENTERED, AUDIENCE_LEFT = "audience_entered", "audience_left"
ABOUT_AUDIENCES = frozenset({AUDIENCE_ENTERED, AUDIENCE_LEFT})
CONTACT_ADDED = "contact_added"
"""Somebody has come, as by following an account or by becoming a customer of a member."""
MESSAGE_RECEIVED = "message_received"
"""Somebody wrote to us."""
MARKETING_STOPPED, MARKETING_RESUMED = "marketing_stopped", "marketing_resumed"
"""They told the platform of a channel that they want no more marketing of ours there; or do again."""
MESSAGE_BOUNCED, MESSAGE_COMPLAINED = "message_bounced", "message_complained"
"""A message to one of their addresses came back for good; or the contact complained of one."""
CONTACT_MERGED, CONTACT_PARTED = "contact_merged", "contact_parted"
"""Another contact turned out to be the same person, and is part of this one; or that was a mistake."""
ABOUT_MERGES = frozenset({CONTACT_MERGED, CONTACT_PARTED})


@frozen
class Event:
    """An immutable fact about a contact. All moments are journey time."""

    event_id: str
    type: str
    contact_id: str
    occurred_at: datetime
    received_at: datetime
    source: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0
    """Order among the events of one contact."""
    patterns: frozenset[str] = frozenset()
    """Journeys whose pattern it completes; of a pattern that counts and is not complete `<journey> 2/3`."""


def event_facts(event: Event) -> dict[str, FactValue | None]:
    """The `event.` facts; properties that are lists of text become label sets, nested ones are left out.

    A property that is named like one of the event's own facts does not hide it.
    """
    facts: dict[str, FactValue | None] = {
        "event.type": event.type,
        "event.occurred_at": event.occurred_at,
        "event.received_at": event.received_at,
        "event.source": event.source,
        "event.patterns": event.patterns,
    }
    for name, value in event.properties.items():
        if f"event.{name}" in facts:
            continue
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            facts[f"event.{name}"] = frozenset(value)
        elif isinstance(value, (str, int, float, bool)):
            facts[f"event.{name}"] = value
    return facts
