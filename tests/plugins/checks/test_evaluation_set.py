"""The sentences that judge the checks are those that were frozen, and are well formed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "cases" / "checks" / "evaluation"
FROZEN = "7fd76fc25aa48231e7a7649e1f23c5541699f0d268d1eb193421228e88f4d22f"
"""Changes only together with a line under Corrections in the folder's README."""
RULES = [path for path in sorted(FOLDER.glob("*.yaml")) if path.name != "language.yaml"]


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def test_no_sentence_was_changed_after_the_freeze() -> None:
    digest = hashlib.sha256()
    for path in sorted(FOLDER.glob("*.yaml")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    assert digest.hexdigest() == FROZEN


def test_there_are_more_than_four_hundred_sentences() -> None:
    rules = sum(len(read(path)["objectionable"]) + len(read(path)["harmless"]) for path in RULES)
    assert rules + len(read(FOLDER / "language.yaml")) >= 600


def test_forty_seven_languages_are_spoken() -> None:
    assert len(read(FOLDER / "language.yaml")) == 47


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_what_is_objectionable_is_marked_and_what_is_harmless_is_not(path: Path) -> None:
    content = read(path)
    for verdict in ("objectionable", "harmless"):
        texts = [entry["text"] if isinstance(entry, dict) else entry for entry in content[verdict]]
        assert len(set(texts)) == len(texts)
        for text in texts:
            assert text.count("⟦") == text.count("⟧")
            assert "⟦⟧" not in text
    if content["rule"] != "required_lines":
        assert all("⟦" in text for text in content["objectionable"])
    assert not any("⟦" in str(entry) for entry in content["harmless"])
