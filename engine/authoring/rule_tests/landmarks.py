"""Finds what there is in a journey for tests to reach: its steps, and the ways on from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.authoring.compiling.nesting import nested_lists, step_id, walk
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.branching_steps import BranchStep, ExperimentStep, RepeatStep
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.waiting_steps import AskStep
from engine.authoring.reading.source import dotted
from engine.authoring.rule_tests.tests import Landmarks, Way
from engine.errors import Place
from engine.rules.condition import YamlPath


def landmarks(journey: Defined[JourneyFile]) -> Landmarks:
    """The steps of a journey and the ways between them, in the order written."""
    steps: dict[str, Place] = {}
    ways: list[Way] = []
    for path, step in walk(journey.item.steps, ("steps",)):
        steps[step_id(step)] = journey.place(*path)
        ways += _ways(journey, path, step)
    return Landmarks(steps, tuple(ways))


def _ways(journey: Defined[JourneyFile], path: YamlPath, step: Any) -> Iterator[Way]:
    if isinstance(step, RepeatStep):
        return  # its first step and its condition say as much
    for key, nested in nested_lists(step):
        # A list of steps that is not written is no way of its own, but for a branch: there it means
        # that none of the cases held; for a task, where every answer is one, and none in time another; and
        # for an experiment, where doing nothing is an arm like others.
        if nested or isinstance(step, BranchStep | AskStep | ExperimentStep):
            shown = key[:-1] if key[-1] == "steps" else key
            place = journey.source.key_place((*path, *shown))
            name = f"arms.{step.arms[int(key[1])].id}" if isinstance(step, ExperimentStep) else dotted(shown)
            yield Way(step_id(step), name, place, step_id(nested[0]) if nested else None)


def switches(found: Definitions) -> dict[tuple[str, str], Place]:
    """Plans and breakers, by what they are and their id, with where each is written."""
    plans = {("plan", name): each.place("id") for name, each in found.plans.items()}
    return plans | {("breaker", name): each.place("id") for name, each in found.breakers.items()}
