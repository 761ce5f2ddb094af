"""The linter itself is checked: typical mistakes in the shipped files are told at their line, with a way out.

`python -m tests.mutations.test_mutations [how many of a kind]` prints a table.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.authoring.loading import load_files
from engine.authoring.reading.folders import read_folder
from engine.authoring.understanding import Memory
from engine.errors import Problem
from engine.plugin.registry import Registry, load_registry
from tests.mutations.seeding import FILE_MISTAKES, LINE_MISTAKES, Mistake, mistakes

pytestmark = pytest.mark.xdist_group("mutations")
"""All in one process: the shipped files are read there once."""

SHIPPED = Path(__file__).parents[2] / "rulesets"
PER_KIND = 10
MOST_ECHOES = 4
"""Further problems that one mistake may bring along in its own file before it is buried by them."""


def shipped() -> dict[str, str]:
    return read_folder(SHIPPED)[0]


@dataclass(frozen=True)
class Linter:
    """The shipped files as they are linted, and what is told of them as they are."""

    files: Mapping[str, str]
    registry: Registry
    memory: Memory
    """One file is changed at a time; the others are read once."""
    clean: frozenset[Problem]

    @classmethod
    def of_shipped(cls) -> Linter:
        files, registry, memory = shipped(), load_registry(), Memory()
        return cls(files, registry, memory, frozenset(load_files(files, registry, memory=memory).problems))

    def judge(self, mistake: Mistake) -> str:
        """What is wrong with the linter's answer; "" when it is good."""
        changed = {**self.files, mistake.file: mistake.text}
        problems = [
            problem
            for problem in load_files(changed, self.registry, memory=self.memory).problems
            if problem.place.file == mistake.file and problem not in self.clean
        ]
        told = [problem for problem in problems if problem.place.line in mistake.lines]
        if not problems:
            return "nothing is told"
        if not told:
            places = sorted({problem.place.line for problem in problems})
            return f"told at line {', '.join(map(str, places))} instead"
        if mistake.names and not any(mistake.names in problem.message + problem.hint for problem in told):
            return f"{mistake.names!r} is not named: {told[0].code} {told[0].message} ({told[0].hint})"
        if not any(problem.hint for problem in told):
            return f"no way out: {told[0].code} {told[0].message}"
        if len(problems) > 1 + MOST_ECHOES:
            return f"buried under {len(problems)} problems"
        return ""


@pytest.fixture(scope="module")
def linter() -> Linter:
    return Linter.of_shipped()


@pytest.fixture(scope="module")
def by_kind(linter: Linter) -> Mapping[str, list[Mistake]]:
    found: dict[str, list[Mistake]] = defaultdict(list)
    for mistake in mistakes(linter.files, PER_KIND):
        found[mistake.kind].append(mistake)
    return found


@pytest.mark.parametrize("kind", [*LINE_MISTAKES, *FILE_MISTAKES])
def test_a_mistake_is_told_at_its_line_with_a_way_out(
    kind: str, linter: Linter, by_kind: Mapping[str, list[Mistake]]
) -> None:
    assert by_kind[kind], "the shipped files hold nothing that this mistake could be made in"
    failures = [
        f"{mistake.file}: {mistake.was.strip()!r} -> {mistake.now.strip()!r}: {fault}"
        for mistake in by_kind[kind]
        if (fault := linter.judge(mistake))
    ]
    assert failures == []


def test_there_are_more_than_two_hundred_mistakes(by_kind: Mapping[str, list[Mistake]]) -> None:
    assert sum(map(len, by_kind.values())) > 200


def main(per_kind: int) -> int:
    linter = Linter.of_shipped()
    counts: dict[str, list[str]] = defaultdict(list)
    for mistake in mistakes(linter.files, per_kind):
        fault = linter.judge(mistake)
        counts[mistake.kind].append(fault)
        if fault:
            changed = f"{mistake.was.strip()!r} -> {mistake.now.strip()!r}"
            sys.stdout.write(f"{mistake.kind}: {mistake.file}: {changed}: {fault}\n")
    for kind, faults in counts.items():
        sys.stdout.write(f"{faults.count(''):5} of {len(faults):5}  {kind}\n")
    good = sum(faults.count("") for faults in counts.values())
    total = sum(map(len, counts.values()))
    share = f"{good / total:.1%}"
    sys.stdout.write(f"{good:5} of {total:5}  told at the right line with a useful hint ({share})\n")
    return int(good < total)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else PER_KIND))
