"""A breaker as the rulesets define it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from engine.risk.metrics import Metric


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
    """Share of probes that are against below which the breaker closes."""
    ramp: tuple[float, ...] = ()
    """Shares of traffic let through one after another before closing for good."""


@dataclass(frozen=True)
class Breaker:
    """Watches one metric in one window for every scope of a kind."""

    id: str
    scope: str
    """workspace | channel | journey | content"""
    metric: Metric
    window: timedelta
    min_samples: int
    levels: tuple[Level, ...]
    recovery: Recovery
    resume_within: timedelta | None
    """Journey time a held intent stays worth sending; None: as long as its purpose allows."""
