"""A breaker as the rulesets define it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Level:
    """A threshold on the metric, as a share between 0 and 1; the level holds when the metric is greater."""

    name: str
    """yellow | red | black"""
    above: float


@dataclass(frozen=True)
class Recovery:
    probe_after: timedelta
    """Delivery time between opening and the first probes."""
    probes: int
    close_below: float
    """Share of failed probes below which the breaker closes."""
    ramp: tuple[float, ...] = ()
    """Shares of traffic let through one after another before closing for good."""


@dataclass(frozen=True)
class Breaker:
    """Watches one metric in one window for every scope of a kind."""

    id: str
    scope: str
    """channel (the others come with their metrics)"""
    metric: str
    """send_failure_rate"""
    window: timedelta
    min_samples: int
    levels: tuple[Level, ...]
    recovery: Recovery
    resume_within: timedelta | None
    """Journey time a held intent stays worth sending; None: as long as its purpose allows."""
