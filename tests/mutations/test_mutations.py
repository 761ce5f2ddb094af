"""The linter itself is checked: typical mistakes in the shipped files are told at their line, with a way out.

`python -m tests.mutations.test_mutations [how many of a kind]` prints a table.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import pytest

from engine.authoring.loading import load_files
from engine.authoring.reading.folders import read_folder
from engine.errors import Problem
from engine.plugin.registry import Registry, load_registry
from tests.mutations.seeding import FILE_MISTAKES, LINE_MISTAKES, Mistake, mistakes

SHIPPED = Path(__file__).parents[2] / "rulesets"
PER_KIND = 10
MOST_ECHOES = 4
"""Further problems that one mistake may bring along in its own file before it is buried by them."""


def shipped() -> dict[str, str]:
    return read_folder(SHIPPED)[0]


def judge(mistake: Mistake, files: dict[str, str], clean: frozenset[Problem], registry: Registry) -> str:
    """What is wrong with the linter's answer; "" when it is good."""
    problems = [
        problem
        for problem in load_files({**files, mistake.file: mistake.text}, registry).problems
        if problem.place.file == mistake.file and problem not in clean
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


@pytest.mark.parametrize("kind", [*LINE_MISTAKES, *FILE_MISTAKES])
def test_a_mistake_is_told_at_its_line_with_a_way_out(kind: str) -> None:
    files = shipped()
    registry = load_registry()
    clean = frozenset(load_files(files, registry).problems)
    of_kind = [mistake for mistake in mistakes(files, PER_KIND) if mistake.kind == kind]
    assert of_kind, "the shipped files hold nothing that this mistake could be made in"
    failures = [
        f"{mistake.file}: {mistake.was.strip()!r} -> {mistake.now.strip()!r}: {fault}"
        for mistake in of_kind
        if (fault := judge(mistake, files, clean, registry))
    ]
    assert failures == []


def test_there_are_more_than_two_hundred_mistakes() -> None:
    assert len(list(mistakes(shipped(), PER_KIND))) > 200


def main(per_kind: int) -> int:
    files = shipped()
    registry = load_registry()
    clean = frozenset(load_files(files, registry).problems)
    counts: dict[str, list[str]] = defaultdict(list)
    for mistake in mistakes(files, per_kind):
        fault = judge(mistake, files, clean, registry)
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
