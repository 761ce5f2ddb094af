"""An event as the core sees it, and the facts it brings to a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.rules.facts import FactValue

SCHEDULE_FIRED, JOURNEY_REQUESTED = "schedule_fired", "journey_requested"
ADDRESSED = frozenset({SCHEDULE_FIRED, JOURNEY_REQUESTED})
"""Types of events that are meant for one journey, which their property `journey` names."""
AUDIENCE_ENTERED, AUDIENCE_LEFT = "audience_entered", "audience_left"
ABOUT_AUDIENCES = frozenset({AUDIENCE_ENTERED, AUDIENCE_LEFT})


@dataclass(frozen=True)
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
