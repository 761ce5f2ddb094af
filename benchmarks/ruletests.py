"""How long `wayline test` takes over the shipped rulesets, seen from a terminal.

Run it with `python -m benchmarks.ruletests`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.ground import machine

RULESETS = Path(__file__).parents[1] / "rulesets"
TIMES = 5


def measure(folder: Path = RULESETS, times: int = TIMES) -> tuple[int, list[float]]:
    """How many tests there are, and the seconds of the whole command, once for every time."""
    command = [sys.executable, "-m", "engine.cli", "test", str(folder), "--format", "json"]
    seconds: list[float] = []
    tests = 0
    for _ in range(times):
        begun = perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds.append(perf_counter() - begun)
        assert done.returncode == 0, done.stdout + done.stderr
        tests = len(json.loads(done.stdout)["tests"])
    return tests, seconds


def main() -> int:
    """Print how long it takes, and how many tests that is a second."""
    print(machine())
    tests, seconds = measure()
    print(
        f"{tests} tests of the shipped rulesets: median {median(seconds):.2f} s of {TIMES} (best "
        f"{min(seconds):.2f}, worst {max(seconds):.2f}), start of the command included"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
