"""What rulesets/LIMITS.md says is what the code does: its numbers, codes and reasons."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from engine.authoring.bundle import Workspace
from engine.authoring.codes import CODES
from engine.authoring.reading.source import MOST_VALUES
from engine.contacts.updating import FARTHEST
from engine.experiments.balancing import LONGEST_BLOCK
from engine.experiments.bucketing import STEPS
from engine.gate.hours import SEARCHED
from engine.gate.reasons import FAMILIES, REASONS
from engine.journeys.interpreter import BUDGET
from engine.journeys.program import LONGEST_STRIDE
from engine.journeys.starting import LONGEST_CHAIN
from engine.rules.duration import LONGEST, format_duration

TEXT = (Path(__file__).parents[2] / "rulesets" / "LIMITS.md").read_text(encoding="utf-8")


def test_its_numbers_are_those_of_the_code() -> None:
    year = timedelta(days=365)
    for said in (
        f"more than {LONGEST_STRIDE:,} steps",
        f"ends after {BUDGET:,}",
        f"more than {LONGEST_CHAIN} starts",
        f"({MOST_VALUES:,} values)",
        f"told apart in {STEPS:,} steps",
        f"weights of up to {LONGEST_BLOCK:,} in lowest terms",
        f"more than {FARTHEST // year} years",
        f"no allowed moment for {SEARCHED.days} days",
        f"`late_after` ({format_duration(Workspace.late_after)})",
    ):
        assert said in TEXT, said
    assert "a hundred years" in TEXT and 100 * year == LONGEST


def test_its_codes_and_reasons_exist() -> None:
    assert set(re.findall(r"R[SW][0-9]{3}", TEXT)) <= set(CODES)
    family = "|".join(FAMILIES)
    assert set(re.findall(rf"`((?:{family})\.[a-z_]+)`", TEXT)) <= set(REASONS)
