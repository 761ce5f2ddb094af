"""How long `wayline test` takes over the shipped rulesets, seen from a terminal.

Run it with `python -m benchmarks.ruletests`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.commands import Timed, time_command
from benchmarks.ground import machine

RULESETS = Path(__file__).parents[1] / "rulesets"
TIMES = 5


def measure(folder: Path = RULESETS, times: int = TIMES) -> tuple[int, Timed]:
    """How many tests there are, and how long they take."""
    timed = time_command(["test", str(folder), "--format", "json"], times)
    return len(json.loads(timed.printed)["tests"]), timed


def main() -> int:
    """Print how long it takes."""
    print(machine())
    tests, timed = measure()
    print(f"{tests} tests of the shipped rulesets: {timed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
