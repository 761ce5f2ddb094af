"""Proves rules in a process of their own before anybody depends on them.

durable_rules can crash a process, or hold the interpreter's lock for ever; then only that process is lost.
"""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache

from engine.rules.condition import Rule

PATIENCE = timedelta(seconds=20)
"""Beside what the rules are given; what takes longer hangs."""
_FOR_EACH_RULE = timedelta(milliseconds=20)
"""Ten times what a rule takes, for machines that are slow or busy."""


class Unproved(Exception):
    """The matcher cannot be trusted with these rules: with `rule`, or one compiled together with it."""

    def __init__(self, rule: str, why: str) -> None:
        self.rule = rule
        self.why = why
        super().__init__(f"{rule}: {why}")


def prove(rules: Sequence[Rule], patience: timedelta = PATIENCE) -> None:
    """Return when a process of its own compiled the rules and decided them as the reference evaluator does.

    Raises Unproved when it crashed, was not done in time (`patience`, and a little for each rule), or found a
    wrong answer. What was proved once is not proved again by the same process.
    """
    if rules:
        _prove(pickle.dumps(tuple(rules)), rules[0].id, patience + len(rules) * _FOR_EACH_RULE)


@lru_cache(maxsize=64)
def _prove(pickled: bytes, first: str, limit: timedelta) -> None:
    command = [sys.executable, "-m", "engine.rules.self_test"]
    try:
        done = subprocess.run(
            command, input=pickled, capture_output=True, timeout=limit.total_seconds(), check=False
        )
    except subprocess.TimeoutExpired as late:
        rule, _ = _last(late.stdout or b"", first)
        raise Unproved(rule, f"it was not decided within {limit.total_seconds():.0f} s") from late
    rule, last = _last(done.stdout, first)
    if "wrong" in last:
        raise Unproved(last["wrong"], last["why"])
    if done.returncode < 0:
        raise Unproved(rule, f"the matcher crashed ({signal.Signals(-done.returncode).name})")
    if done.returncode or "done" not in last:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing was said"]
        raise Unproved(rule, f"the matcher failed ({said[0]})")


def _last(told: bytes, first: str) -> tuple[str, dict[str, str]]:
    """The rule it was at when it last said so, and the last it said."""
    lines = [json.loads(line) for line in told.splitlines(keepends=True) if line.endswith(b"\n")]
    rule = next((line["at"] for line in reversed(lines) if "at" in line), first)
    return rule, lines[-1] if lines else {}
