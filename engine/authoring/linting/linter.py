"""Everything that is looked for once files can be read and fit together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from engine.authoring.bundle import Bundle
from engine.authoring.compiling.conditions import Written
from engine.authoring.definitions import Definitions
from engine.authoring.linting.consenting import check_confirming, check_personal
from engine.authoring.linting.leaving import check_leaves
from engine.authoring.linting.limits import check_caps
from engine.authoring.linting.logic import check_conditions
from engine.authoring.linting.repeating import check_repeats
from engine.authoring.linting.spending import check_spending
from engine.authoring.linting.starting import check_starts
from engine.authoring.linting.timing import check_timing
from engine.authoring.linting.unused import check_unused
from engine.authoring.rule_tests.tests import Suite
from engine.errors import Problem


def check_meaning(conditions: Sequence[Written]) -> Iterator[Problem]:
    """What is wrong with the conditions that could be read, however many others could not."""
    yield from check_conditions(conditions)
    yield from check_leaves(conditions)
    yield from check_repeats(conditions)


def check_whole(found: Definitions, bundle: Bundle) -> Iterator[Problem]:
    """What shows only in a workspace without mistakes."""
    yield from check_caps(found, bundle)
    yield from check_spending(found, bundle)
    yield from check_starts(found, bundle)
    yield from check_confirming(found, bundle)
    yield from check_personal(found, bundle)
    yield from check_timing(found, bundle)


def advice(found: Definitions, suites: Sequence[Suite]) -> Iterator[Problem]:
    """What could be tidied up in a workspace without mistakes: RW036, and RW037 for untested journeys."""
    yield from check_unused(found)
    tested = {name for suite in suites for name in suite.about}
    for name, journey in found.journeys.items():
        if name not in tested:
            beside = f"{PurePosixPath(journey.source.file).stem}.test.yaml"
            message = f"no test goes through the journey '{name}'"
            yield journey.problem("RW037", message, f"write one beside it, in {beside}", at=("id",))
