"""Every benchmark, one after another."""

from __future__ import annotations

import sys

from benchmarks import (
    checks,
    decisions,
    gate,
    intake,
    journeys,
    latency,
    lint,
    patterns,
    rules,
    ruletests,
    virtual,
)

for benchmark in (
    rules,
    lint,
    checks,
    ruletests,
    virtual,
    gate,
    intake,
    patterns,
    latency,
    journeys,
    decisions,
):
    if status := benchmark.main():
        sys.exit(status)
    print()
