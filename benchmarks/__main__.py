"""Every benchmark, one after another."""

from __future__ import annotations

import sys

from benchmarks import intake, journeys, latency, rules

for benchmark in (rules, intake, latency, journeys):
    if status := benchmark.main():
        sys.exit(status)
    print()
