"""Whoever looks on while people live in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from engine.journeys.event import Event
from engine.journeys.interpreter import Advanced
from engine.journeys.run import Cause


class Witness(Protocol):
    """Sees what happens to people and runs, as it happens."""

    def happened(self, event: Event, traits: Mapping[str, Any]) -> None:
        """An event came."""

    def moved(self, before: str | None, cause: Cause, done: Advanced, now: datetime) -> None:
        """A run went from the step it stood at, None before its start, to its next wait or its end."""
