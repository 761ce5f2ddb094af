"""Two clocks: delivery time, which is real, and journey time, which a demonstration may compress.

Journey time drives waits, caps, ages and calendar days. Delivery time drives deadlines, leases, breakers and
provider limits and is never scaled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the present moment, timezone-aware, in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class FixedClock:
    """A clock that stands still until a test moves it."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def advance(self, by: timedelta) -> None:
        """Move forward by `by`; a clock does not run backwards."""
        if by < timedelta(0):
            raise ValueError("a FixedClock only moves forward")
        self.moment += by


@dataclass(frozen=True)
class JourneyTime:
    """How journey time follows delivery time: `journey = journey_origin + (real - origin) * scale`.

    The three values are stored in the control row, so every process of a workspace agrees.
    """

    origin: datetime = field(default=datetime(1970, 1, 1, tzinfo=UTC))
    journey_origin: datetime = field(default=datetime(1970, 1, 1, tzinfo=UTC))
    scale: float = 1.0

    def at(self, real: datetime) -> datetime:
        """The journey moment at a real moment."""
        since = real - self.origin
        return self.journey_origin + (since if self.scale == 1.0 else since * self.scale)

    def real(self, journey: datetime) -> datetime:
        """The real moment at which journey time reaches `journey`."""
        return self.origin + (journey - self.journey_origin) / self.scale


@dataclass(frozen=True)
class Clocks:
    """Both clocks together, as services receive them."""

    delivery: Clock
    time: JourneyTime = JourneyTime()

    def delivery_now(self) -> datetime:
        return self.delivery.now()

    def journey_now(self) -> datetime:
        return self.time.at(self.delivery.now())
