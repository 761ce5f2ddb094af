"""Each part of the shipped rulesets is missed by a test of its own when it is taken out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from engine.authoring.loading import load_files
from engine.authoring.reading.source import read
from engine.plugin.registry import load_registry
from engine.rules.condition import YamlPath
from engine.simulation.testing import run_tests

ROOT = Path(__file__).parents[2] / "rulesets"
STEP_LISTS = ("steps", "then", "otherwise", "else", "capped", "choices")
WHAT_CAN_GO: Mapping[str, tuple[str, ...]] = {
    "caps": ("caps",),
    "tags": ("tags", "cases", "bands"),
    "journey": ("leave", "goal", "cases", "when", "calendar", "outcomes", "at", *STEP_LISTS),
    "audience": ("when",),
}
"""Kind of file -> keys; of a list each entry by itself, else the key with its value. Most checks only point
at something, which no test of a ruleset sees: `test_shipped_checks` misses them."""
UNSEEN = {"journeys/repurchase.yaml:steps.1.cases.0.steps.0.outcomes"}
"""It only keeps a value with the run, which no message of that run shows."""


@dataclass(frozen=True)
class Removal:
    """One thing taken out of one file."""

    file: str
    path: YamlPath

    def __str__(self) -> str:
        return f"{self.file}:{'.'.join(map(str, self.path))}"


@cache
def shipped() -> dict[str, str]:
    return {
        file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in ROOT.rglob("*.yaml")
    }


def removals() -> Iterator[Removal]:
    for name, text in sorted(shipped().items()):
        data = read(text, name).data
        if not name.endswith(".test.yaml"):
            keys = WHAT_CAN_GO.get(data["kind"], ())
            yield from (Removal(name, path) for path in places(data, keys, ()))


def places(node: Any, keys: tuple[str, ...], at: YamlPath) -> Iterator[YamlPath]:
    """Every place below a node that can go; a condition goes as a whole, and part by part."""
    if isinstance(node, list):
        for number, entry in enumerate(node):
            yield from places(entry, keys, (*at, number))
    elif isinstance(node, dict):
        for key, value in node.items():
            here = (*at, key)
            if key in keys and isinstance(value, list):
                yield from ((*here, number) for number in range(len(value)))
            elif key in keys:
                yield here
            if key == "when":
                yield from parts(value, here)
            else:
                yield from places(value, keys, here)


def parts(condition: Any, at: YamlPath) -> Iterator[YamlPath]:
    """The parts of a condition that says more than one thing."""
    if isinstance(condition, list):
        for number, each in enumerate(condition):
            if len(condition) > 1:
                yield (*at, number)
            yield from parts(each, (*at, number))
    elif isinstance(condition, dict):
        for key, each in condition.items():
            if len(condition) > 1:
                yield (*at, key)
            yield from parts(each, (*at, key))


def without(removal: Removal) -> dict[str, str]:
    """The workspace with that taken out."""
    data = deepcopy(read(shipped()[removal.file], removal.file).data)
    *way, last = removal.path
    node = data
    for key in way:
        node = node[key]
    del node[last]
    return {**shipped(), removal.file: json.dumps(data, ensure_ascii=False)}


@pytest.mark.long
@pytest.mark.parametrize("removal", [each for each in removals() if str(each) not in UNSEEN], ids=str)
def test_what_is_taken_out_is_missed(removal: Removal) -> None:
    registry = load_registry()
    loaded = load_files(without(removal), registry)
    if loaded.bundle is None:
        return  # the linter misses it
    report = asyncio.run(run_tests(loaded.bundle, registry))

    assert report.failed != (), f"no test misses {removal}"
