"""Shares the tests out among the processes of pytest-xdist so that none of the cores stands idle.

What needs Temporal or kills processes mostly waits: for timers, for leases to end. In the order of their
folders such tests would wait side by side while nothing computes. So those of a module go to one process, one
after another, and these modules stand between the others, the longest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TypeVar

import pytest

_Test = TypeVar("_Test")

SPREAD_OVER = 0.75
"""Of the others, in which the modules that wait stand: whatever begins last should be short."""


def spread(modules: Sequence[list[_Test]], waiting: Sequence[list[_Test]]) -> list[_Test]:
    """The tests of all modules, those of `waiting` evenly between the others, each module in one piece."""
    total = sum(map(len, modules)) * SPREAD_OVER
    ordered: list[_Test] = []
    passed, placed = 0, 0
    for tests in modules:
        while placed < len(waiting) and passed >= placed * total / len(waiting):
            ordered += waiting[placed]
            placed += 1
        ordered += tests
        passed += len(tests)
    for tests in waiting[placed:]:
        ordered += tests
    return ordered


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in this hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):
        return
    modules: list[list[pytest.Item]] = []
    waiting: dict[str, list[pytest.Item]] = {}
    for file, found in groupby(items, key=lambda item: item.nodeid.partition("::")[0]):
        tests = list(found)
        group = next((mark.args[0] for mark in tests[0].iter_markers("xdist_group")), None)
        if group is None and tests[0].get_closest_marker("temporal") is not None:
            group = file
            for test in tests:
                test.add_marker(pytest.mark.xdist_group(file))
        if group is None:
            modules.append(tests)
        else:
            waiting.setdefault(group, []).extend(tests)
    items[:] = spread(modules, sorted(waiting.values(), key=_patience, reverse=True))


def _patience(tests: Sequence[pytest.Item]) -> float:
    """The seconds that the most patient of the tests may take, as it says itself."""
    marks = (mark for test in tests for mark in test.iter_markers("timeout"))
    return max((float(mark.args[0]) for mark in marks), default=0.0)
