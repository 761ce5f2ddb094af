"""Broken workspaces under tests/cases/invalid/, each with the exact text it is answered with."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from engine.authoring.codes import CODES
from engine.authoring.loading import load_folder
from engine.authoring.reporting import report
from engine.errors import Place
from engine.plugin.registry import Registry

ROOT = Path(__file__).parents[2]
CASES = sorted(folder for folder in (ROOT / "tests/cases/invalid").iterdir() if folder.is_dir())
CODE = re.compile(r"R[SW][0-9]{3}")
# Enormous and unreadable files and links are made by test_hostile, not kept here; no file makes the matcher
# fail, tests/governance/test_proving.py does.
# What a metric of a plugin can be watched by: tests/authoring/test_metrics.py.
# Nobody is on their way in a folder: tests/governance/test_people_in_flight.py strands them.
MADE_ELSEWHERE = {"RS080", "RS081", "RW021", "RS015", "RS066", "RS128", "RS133", "RS261", "RW038"}


# What only those who write are told; in the other cases nothing is said of it.
ADVICE = re.compile(r"RW03[67]")
TODAY = date(2026, 3, 1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_workspace_is_answered_with_exactly_this_text(case: Path, registry: Registry) -> None:
    loaded = load_folder(case, registry, advise=ADVICE.match(case.name) is not None, today=TODAY)

    assert report(loaded.problems) == (case / "expected.txt").read_text(encoding="utf-8")
    assert (loaded.bundle is None) == bool(loaded.errors)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_shows_the_code_it_is_named_after(case: Path) -> None:
    named = CODE.match(case.name)

    assert named is None or f" {named[0]} " in (case / "expected.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_place_is_in_the_file_it_names(case: Path, registry: Registry) -> None:
    for problem in load_folder(case, registry).problems:
        assert _is_inside(problem.place, case), problem


def _is_inside(place: Place, case: Path) -> bool:
    file = case / place.file
    if not file.is_file():
        return place == Place("wayline.yaml")  # the file that is missing
    lines = file.read_bytes().decode("utf-8", errors="replace").split("\n")
    return 1 <= place.line <= len(lines) and 1 <= place.column <= len(lines[place.line - 1]) + 1


def test_every_code_has_a_case() -> None:
    shown = {code for case in CASES for code in CODE.findall((case / "expected.txt").read_text("utf-8"))}

    assert set(CODES) - shown == MADE_ELSEWHERE


def test_every_code_in_the_source_is_listed() -> None:
    sources = [*(ROOT / "engine/authoring").rglob("*.py"), ROOT / "engine/rules/faults.py"]
    used = {code for file in sources for code in re.findall(r'"(R[SW][0-9]{3})"', file.read_text("utf-8"))}

    assert used == set(CODES)


def test_every_code_is_explained_to_operators() -> None:
    text = (ROOT / "rulesets/ERRORS.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### (R[SW][0-9]{3}) ", text, re.MULTILINE)

    assert sections == sorted(CODES, key=lambda code: (code.startswith("RW"), code))


def test_every_plugin_code_is_explained_to_operators() -> None:
    text = (ROOT / "rulesets/ERRORS.md").read_text(encoding="utf-8")
    used = {
        code
        for file in (ROOT / "engine").rglob("*.py")
        for code in re.findall(r"\bPL[0-9]{3}\b", file.read_text("utf-8"))
    }

    assert re.findall(r"^### (PL[0-9]{3}) ", text, re.MULTILINE) == sorted(used)
