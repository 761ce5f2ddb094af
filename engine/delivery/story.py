"""What there is to tell of an intent: its decisions and its calls to providers, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from engine.delivery.reasoning import Reasons


@dataclass(frozen=True)
class Told:
    """One decision, ready to be shown."""

    at: datetime
    kind: str
    journey: str | None
    intent: str | None
    stage: str
    channel: str | None
    verdict: str
    reason: str
    sentence: str
    changed_by: str
    """Who can change what the reason says."""
    would_pass_if: str
    hold_until: datetime | None
    evidence: Mapping[str, Any]
    bundle: str
    place: str
    """`file:line` of the rule behind it, where one is known."""
    reasons: Sequence[Reasons] = ()
    """The conditions behind it, where conditions decided; those of a branch in their order."""
    plans: Sequence[str] = ()
    """Plans that were on."""


@dataclass(frozen=True)
class Tried:
    """One call to a provider."""

    at: datetime
    """Delivery time."""
    channel: str
    result: str
    code: str
    probe: bool


@dataclass(frozen=True)
class Heard:
    """One receipt."""

    at: datetime
    """Delivery time, as the provider says it."""
    said: str
    code: str


@dataclass(frozen=True)
class Story:
    """Everything that is known of one intent, in the order it happened."""

    intent: str
    contact_id: str
    purpose: str
    content: str
    channels: Sequence[str]
    journey: str | None
    step: str
    state: str
    outcome: str | None
    reason: str | None
    created_at: datetime
    handed_over_at: datetime | None
    content_hash: str | None
    entry: Told | None
    branches: Sequence[Told]
    """Those that its run passed before it, experiments and repeats with a condition among them; of each step
    the latest."""
    tasks: Sequence[Told]
    """What people decided, or did not in time, on its run's way to it."""
    decisions: Sequence[Told]
    attempts: Sequence[Tried]
    receipts: Sequence[Heard] = ()


def as_data(told: Story | Told) -> dict[str, Any]:
    """The same as plain values."""
    return asdict(told)
