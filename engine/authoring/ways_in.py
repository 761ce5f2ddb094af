"""The ways into a journey: every one of them is an event, some with a test of their own on it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.authoring.models.journey import EnterEntry
from engine.rules.condition import Test


@dataclass(frozen=True)
class WayIn:
    """What one `enter` listens to."""

    events: tuple[str, ...]
    """Event types, none twice."""
    test: Test | None = None
    """Must hold beside the journey's own condition, as `event.audience eq lapsed`; its `at` is the place of
    the key below `enter`, as `("enter", "audience")`."""


def way_in(enter: EnterEntry) -> WayIn:
    """The event types that let a contact in, and what must be true of the event besides `when`."""
    return WayIn(tuple(dict.fromkeys(enter.event or ())))
