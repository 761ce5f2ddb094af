"""Every benchmark, one after another."""

from __future__ import annotations

import sys

from benchmarks import gate, intake, journeys, latency, lint, patterns, rules, ruletests, virtual

for benchmark in (rules, lint, ruletests, virtual, gate, intake, patterns, latency, journeys):
    if status := benchmark.main():
        sys.exit(status)
    print()
