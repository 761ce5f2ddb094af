"""Counts how plugins answer this process: for `/metrics`, and as the health that `GET /v1/plugins` shows."""

from __future__ import annotations

import threading
from collections import Counter as Counted
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Counter

FAILURES = Counter(
    "wayline_plugin_failures",
    "Calls of plugins that raised, took too long, answered nonsense, or could not begin.",
    ["kind", "name", "why"],
)


@dataclass
class Tally:
    """What one channel, generator, check or action has done since the process started."""

    calls: int = 0
    failures: Counted[str] = field(default_factory=Counted)
    """raised | slow | nonsense | blocked -> how often"""
    latest: str = ""
    """How it failed last; the line, never a text of its own."""


_turn = threading.Lock()
_tallies: dict[tuple[str, str], Tally] = {}


def tally(kind: str, name: str, why: str = "", told: str = "") -> None:
    """One call, and how it failed if it did."""
    with _turn:
        known = _tallies.get((kind, name))
        if known is None:
            known = _tallies[kind, name] = Tally()
        known.calls += 1
        if why:
            known.failures[why] += 1
            known.latest = told
    if why:
        FAILURES.labels(kind, name, why).inc()


def tallied(kind: str, name: str) -> dict[str, Any] | None:
    """The tally as plain values; None when this process has not called it yet."""
    with _turn:
        known = _tallies.get((kind, name))
        if known is None:
            return None
        return {"calls": known.calls, "failures": dict(known.failures), "latest_failure": known.latest}
