"""Times commands of Wayline as whole processes, as an installed package runs: with its modules compiled."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter


@dataclass(frozen=True)
class Timed:
    """A command that was run several times."""

    seconds: tuple[float, ...]
    """From the call to the last line, once for every time."""
    busy: tuple[float, ...]
    """What the processor spent on it: says more on a machine that does other things as well."""
    printed: str
    """What the last one wrote to stdout."""

    def __str__(self) -> str:
        return (
            f"median {median(self.seconds):.2f} s of {len(self.seconds)} (best {min(self.seconds):.2f}, "
            f"worst {max(self.seconds):.2f}; processor {median(self.busy):.2f}, best {min(self.busy):.2f}), "
            "start of the command included"
        )


def time_command(arguments: Sequence[str], times: int) -> Timed:
    """Run `wayline` with these arguments: once to compile its modules, then so many times for the figures."""
    command = [sys.executable, "-m", "engine.cli", *arguments]
    seconds: list[float] = []
    busy: list[float] = []
    with tempfile.TemporaryDirectory() as compiled:
        # A folder of its own: whether the caller's settings let Python keep compiled modules must not matter.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
        for _ in range(times + 1):
            spent, begun = _spent(), perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            seconds.append(perf_counter() - begun)
            busy.append(_spent() - spent)
            assert done.returncode == 0, done.stdout + done.stderr
    return Timed(tuple(seconds[1:]), tuple(busy[1:]), done.stdout)


def _spent() -> float:
    """Seconds of processor time of all processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
