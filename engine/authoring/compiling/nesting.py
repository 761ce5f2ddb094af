"""The steps of a journey's file, those inside others included, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel

from engine.authoring.models.branching_steps import BranchStep, ExperimentStep, RepeatStep
from engine.authoring.models.doing_steps import CallStep, SendStep
from engine.authoring.models.waiting_steps import AskStep, WaitForStep
from engine.rules.condition import YamlPath

AnyStep = Any  # a step of any kind; pydantic's union cannot be named without its discriminator


def walk(steps: Sequence[AnyStep], path: YamlPath) -> Iterator[tuple[YamlPath, AnyStep]]:
    """Every step with its place in the file, nested ones included, in the order written."""
    for number, step in enumerate(steps):
        here = (*path, number)
        yield here, step
        for key, nested in nested_lists(step):
            yield from walk(nested, (*here, *key))


def nested_lists(step: AnyStep) -> Iterator[tuple[YamlPath, Sequence[AnyStep]]]:
    """The lists of steps inside a step, each with the path that leads to it."""
    match step:
        case SendStep():
            for outcome, steps in step.outcomes.items():
                yield ("outcomes", outcome), steps
        case WaitForStep():
            yield ("then",), step.then
            yield ("otherwise",), step.otherwise
        case BranchStep():
            for number, case in enumerate(step.cases):
                yield ("cases", number, "steps"), case.steps
            yield ("else",), step.else_
        case ExperimentStep():
            for number, arm in enumerate(step.arms):
                yield ("arms", number, "steps"), arm.steps
        case AskStep():
            for number, choice in enumerate(step.choices):
                yield ("choices", number, "steps"), choice.steps
            yield ("otherwise",), step.otherwise
        case CallStep():
            yield ("failed",), step.failed
        case RepeatStep():
            yield ("steps",), step.steps


def step_id(step: AnyStep) -> str:
    """The id of a step: what stands after its kind."""
    kind: type[BaseModel] = type(step)
    return str(getattr(step, _first_key(kind)))


@cache
def _first_key(model: type[BaseModel]) -> str:
    return next(iter(model.model_fields))
