"""Every code of a dead letter is listed once and explained to operators."""

from __future__ import annotations

import re
from pathlib import Path

from engine.intake.codes import CODES

ROOT = Path(__file__).parents[2]


def test_every_code_in_the_source_is_listed() -> None:
    sources = (ROOT / "engine/intake").rglob("*.py")
    used = {
        code
        for file in sources
        if file.name != "codes.py"
        for code in re.findall(r'"(EV[0-9]{3})"', file.read_text("utf-8"))
    }
    assert used == set(CODES)


def test_every_code_is_explained_to_operators() -> None:
    text = (ROOT / "rulesets/ERRORS.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (EV[0-9]{3}) ", text, re.MULTILINE) == sorted(CODES)
