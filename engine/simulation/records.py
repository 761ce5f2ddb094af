"""What a simulation leaves behind: the decisions and sends that production would have in its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.changing import frozen


@frozen
class Decided:
    """One decision; the fields mean what those of the decision table mean."""

    at: datetime
    kind: str
    """entry | branch | experiment | message | task | call | run"""
    contact_id: str
    journey: str | None
    stage: str
    verdict: str
    reason: str
    step: str | None = None
    """With messages and tasks: the step that wished it."""
    channel: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    hold_until: datetime | None = None
    would_pass_if: str = ""


@dataclass(frozen=True)
class Unanswered:
    """An answer to a task that was not open at that moment."""

    at: datetime
    contact_id: str
    step: str
    choice: str
    number: int
    """As its giver numbered it."""


@frozen
class Sent:
    """One message that would have left."""

    at: datetime
    contact_id: str
    journey: str
    step: str
    content: str
    channel: str
    address: str
    subject: str = ""
    """What it says, when texts are made; all three are empty when every text passes."""
    body: str = ""
    call_to_action: str = ""
