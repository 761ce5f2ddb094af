"""The port to whatever makes waiting durable; Temporal's implementation is `workflows/driver.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from engine.journeys.lanes import Lane, lane_while


@dataclass(frozen=True)
class Standing:
    """Where a run waits at the moment its start is written down; what happens later is told by nudges."""

    revision: int
    waiting: str
    step: str | None
    due_at: datetime | None
    """Delivery time at which to look at it even when nobody nudges."""

    @property
    def lane(self) -> Lane | None:
        """Where it belongs during this wait; None: where it belongs anyway."""
        return lane_while(self.waiting)


@dataclass(frozen=True)
class RunRef:
    """What the durable side needs to know of a run: no program and no personal data."""

    run_id: str
    journey: str
    contact_id: str
    entry_key: str
    version: str
    # How to carry it, not which it is; a start that was lost and is made up for may know less.
    priority: int = field(default=50, compare=False)
    bundle: str = field(default="", compare=False)
    lane: Lane = field(default=Lane.NORMAL, compare=False)
    standing: Standing | None = field(default=None, compare=False)
    """None: look at the run's row first."""

    @property
    def workflow_id(self) -> str:
        """`journey/contact/entry_key`; a key made from an event's value shows as the value's hash.

        Ids stand in clear text in logs and lists, and the value may be a name or an address.
        """
        kind, colon, value = self.entry_key.partition(":")
        if not colon:
            return f"{self.journey}/{self.contact_id}/{self.entry_key}"
        hidden = sha256(f"{self.contact_id}/{value}".encode()).hexdigest()[:32]
        return f"{self.journey}/{self.contact_id}/{kind}:{hidden}"


@dataclass(frozen=True)
class OpenWorkflow:
    """A workflow that carries a run at this moment, as the service lists it."""

    workflow_id: str
    run_id: str
    step: str | None = None
    """Where it waits, and for what; None for one that does not say."""
    waiting: str | None = None


@dataclass(frozen=True)
class Nudge:
    """Why a waiting run should look at its row again; the row, not the nudge, says what happened."""

    reason: str
    reference: str = ""


class Driver(Protocol):
    """Starts, wakes and ends the durable side of runs. Every call may be repeated without harm.

    Each raises `engine.errors.DriverUnavailable` when the service cannot be reached.
    """

    async def start(self, run: RunRef) -> None: ...

    async def signal(self, run: RunRef, nudge: Nudge) -> None:
        """Wake the run; starts it first when its workflow is missing."""

    async def cancel(self, run: RunRef, reason: str) -> None: ...

    async def is_running(self, run: RunRef | OpenWorkflow) -> bool: ...

    async def watch_breaker(self, breaker: str, scope: str) -> None:
        """Have the breaker's own workflow look at its figures now; starts it when missing."""
