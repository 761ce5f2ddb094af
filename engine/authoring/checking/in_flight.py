"""Where people go who stand at steps of earlier versions: what a journey's `was` says, and its mistakes."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from engine.authoring.compiling.nesting import step_id, walk
from engine.authoring.definitions import Defined
from engine.authoring.models.journey import JourneyFile
from engine.authoring.reading.validating import known_list, nearest
from engine.errors import Problem

END = "end"
"""In the place of a step: the run ends."""


def check_was(journey: Defined[JourneyFile]) -> Iterator[Problem]:
    """What is wrong with `was`: lines that are not needed, lead nowhere or in a circle."""
    was = journey.item.was
    steps = {step_id(step) for _, step in walk(journey.item.steps, ("steps",))}
    for name, to in was.items():
        at = ("was", name)
        if name in steps:
            message = f"'{name}' is a step of this version, so nobody who stands there has to go elsewhere"
            yield journey.problem("RS125", message, "remove this line, or the step", at=at)
        elif to == END and END in steps:
            message = "'end' is a step of this journey here, and the end of the run as well"
            yield journey.problem("RS129", message, "give the step another name", at=at)
        elif to not in steps and to not in was and to != END:
            hint = nearest(to, steps) or f"{known_list(steps)}; or end"
            message = f"'{to}' is not a step of this journey"
            yield journey.problem("RS126", message, hint, at=at)
        elif _is_circle(name, was, steps):
            message = f"from '{name}' these lines lead round in a circle"
            yield journey.problem("RS127", message, "let one of them lead to a step, or to end", at=at)


def went(journey: JourneyFile, steps: Collection[str]) -> dict[str, str | None]:
    """Each step of `was` -> the step of this version that it leads to in the end; None: the run ends.

    Lines that lead nowhere are left out.
    """
    found: dict[str, str | None] = {}
    for name in journey.was:
        if name in steps:
            continue
        *_, last = _followed(name, journey.was, steps)
        if last in steps:
            found[name] = last
        elif last == END:
            found[name] = None
    return found


def _is_circle(name: str, was: dict[str, str], steps: Collection[str]) -> bool:
    *_, last = _followed(name, was, steps)
    return last in was and last not in steps


def _followed(name: str, was: dict[str, str], steps: Collection[str]) -> Iterator[str]:
    """The names that the lines lead to one after another, up to a step, the end, or one seen before."""
    seen: set[str] = set()
    while name in was and name not in steps and name not in seen:
        seen.add(name)
        yield name
        name = was[name]
    yield name
