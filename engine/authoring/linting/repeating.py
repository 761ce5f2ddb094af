"""Repeats whose condition can never let them begin, and conditions that their own steps leave as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from engine.authoring.compiling.conditions import Written
from engine.authoring.compiling.nesting import step_id, walk
from engine.authoring.models.branching_steps import BranchStep, RepeatStep
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.single_steps import SetStep, StopStep
from engine.errors import Problem
from engine.rules.condition import All, Condition, FactRef, Op, Test, tests_of
from engine.rules.condition import Any as AnyOf
from engine.rules.evaluator import settle
from engine.rules.truth import Truth

_WHENEVER = datetime(2026, 1, 1, tzinfo=UTC)
"""What numbers of rounds say does not depend on the moment."""


def check_repeats(conditions: Sequence[Written]) -> Iterator[Problem]:
    """RS095 for a `while` that cannot be true before the first round, RW061 for one that no round changes."""
    for each in conditions:
        if not each.shard.startswith("repeat:") or not isinstance(each.defined.item, JourneyFile):
            continue
        inside, outside = _around(each.defined.item, each.path)
        own = f"journey.rounds.{each.shard.rpartition('/')[2]}"
        unknown = {
            path
            for path in _paths(each.condition)
            if path != own and _is_brought(path, inside) and not _is_brought(path, outside)
        }
        if not _can_be_true(each.condition, unknown, own):
            late = sorted(unknown)
            message, hint = "no round ever begins", "ask for what is true before the first one"
            if late:
                message += f": '{late[0]}' is not known before the first one"
                hint = f"let it begin: {{any: [{{{late[0]}: {{exists: false}}}}, …]}}, or use 'times'"
            yield each.problem("RS095", message, hint)
        elif not any(_changes(path, inside, own) for path in _paths(each.condition)):
            message = "no step of a round changes what is asked here: all rounds are done, or none"
            yield each.problem("RW061", message, "ask for what the steps change, or use 'times'")


def _around(journey: JourneyFile, path: Sequence[str | int]) -> tuple[list[Any], list[Any]]:
    """The steps in a round of the repeat whose condition stands at `path`, and all others of the journey."""
    at = tuple(path[:-1])
    found: tuple[list[Any], list[Any]] = ([], [])
    for where, step in walk(journey.steps, ("steps",)):
        if where != at:
            found[where[: len(at)] != at].append(step)
    return found


def _is_brought(path: str, steps: Sequence[Any]) -> bool:
    """Whether one of these steps brings a fact of the run, which is known only once the step was come by."""
    if not path.startswith("journey."):
        return False
    family, name = path.split(".")[1:3]
    if family == "values":
        return any(name in step.values for step in steps if isinstance(step, SetStep))
    return any(step_id(step) == name for step in steps)


def _changes(path: str, inside: Sequence[Any], own: str) -> bool:
    """Whether a round can change a fact; of contacts anything may change while time passes or a step acts."""
    if path.startswith("journey."):
        return path == own or _is_brought(path, inside)
    return any(not isinstance(step, SetStep | BranchStep | StopStep | RepeatStep) for step in inside)


def _paths(condition: Condition) -> Iterator[str]:
    for test in tests_of(condition):
        yield test.path
        if isinstance(test.wanted, FactRef):
            yield test.wanted.path


def _can_be_true(condition: Condition, unknown: set[str], own: str) -> bool:
    """Whether it may hold before the first round; other parts of it are thought of one by one."""
    match condition:
        case Test(path=path, wanted=wanted):
            if isinstance(wanted, FactRef):
                return path not in unknown and wanted.path not in unknown
            if path == own:
                return settle(condition, {own: 0}, _WHENEVER) is Truth.TRUE
            return path not in unknown or (condition.op is Op.EXISTS and wanted is False)
        case All(parts=parts):
            return all(_can_be_true(part, unknown, own) for part in parts)
        case AnyOf(parts=parts):
            return any(_can_be_true(part, unknown, own) for part in parts)
        case _:
            return all(_can_be_false(part, unknown, own) for part in condition.parts)


def _can_be_false(condition: Condition, unknown: set[str], own: str) -> bool:
    match condition:
        case Test(path=path, wanted=wanted):
            if isinstance(wanted, FactRef):
                return path not in unknown and wanted.path not in unknown
            if path == own:
                return settle(condition, {own: 0}, _WHENEVER) is Truth.FALSE
            return path not in unknown or (condition.op is Op.EXISTS and wanted is True)
        case All(parts=parts):
            return any(_can_be_false(part, unknown, own) for part in parts)
        case AnyOf(parts=parts):
            return all(_can_be_false(part, unknown, own) for part in parts)
        case _:
            return any(_can_be_true(part, unknown, own) for part in condition.parts)
