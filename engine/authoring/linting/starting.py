"""Journeys that start one another in a circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.authoring.bundle import Bundle
from engine.authoring.compiling.nesting import step_id, walk
from engine.authoring.compiling.reaching import exits
from engine.authoring.definitions import Definitions
from engine.errors import Problem
from engine.journeys.program import Ask, Program, ReentryKind, Start, Step, Wait, WaitFor

_MEANT = "take one of the starts out, unless this is what is meant"


def check_starts(found: Definitions, bundle: Bundle) -> Iterator[Problem]:
    """RS098 for a circle that nobody sleeps in, RW062 for one with waits; each once, at its first start."""
    programs = bundle.programs
    told: set[frozenset[str]] = set()
    for edges, code in (
        (_edges(programs, at_once=True), "RS098"),
        (_edges(programs, at_once=False), "RW062"),
    ):
        for first in sorted(edges):
            circle = _circle(edges, first)
            if circle is None or frozenset(circle) in told:
                continue
            told.add(frozenset(circle))
            following = circle[1] if len(circle) > 1 else first
            journey = found.journeys[first]
            path = next(
                path
                for path, step in walk(journey.item.steps, ("steps",))
                if step_id(step) == edges[first][following]
            )
            message = f"journeys start one another in a circle: {' → '.join([*circle, first])}"
            if code == "RS098":
                hint = "put a wait with 'for' or 'days' before one of the starts, or take one out"
                yield journey.problem(code, f"{message}, and nobody waits in it", hint, at=path)
            else:
                yield journey.problem(code, f"{message}: {_end(programs, circle)}", _MEANT, at=path)


def _edges(programs: Mapping[str, Program], *, at_once: bool) -> dict[str, dict[str, str]]:
    """Journey -> the journeys that it starts -> the step that does; `at_once`: without a sleep before it."""
    found: dict[str, dict[str, str]] = {}
    for name, program in programs.items():
        steps = _before_a_sleep(program) if at_once else list(program.steps.values())
        for step in steps:
            if isinstance(step, Start) and step.journey in programs:
                found.setdefault(name, {}).setdefault(step.journey, step.id)
    return found


def _before_a_sleep(program: Program) -> list[Step]:
    reached: dict[str, Step] = {}
    ahead = [program.first]
    while ahead:
        here = ahead.pop()
        if here is None or here in reached:
            continue
        step = reached[here] = program.steps[here]
        if not _sleeps(step):
            ahead += exits(step)
    return list(reached.values())


def _sleeps(step: Step) -> bool:
    """Whether the step takes time for certain."""
    match step:
        case Wait():
            return step.for_ is not None or step.days is not None
        case WaitFor():
            return bool(step.events)
        case _:
            return isinstance(step, Ask)


def _circle(edges: Mapping[str, Mapping[str, str]], first: str) -> list[str] | None:
    """The shortest way from a journey back to itself."""
    came_from: dict[str, str] = {}
    ahead = [first]
    for here in ahead:  # grows while it is gone through
        for following in edges.get(here, {}):
            if following == first:
                way = [here]
                while way[-1] != first:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if following not in came_from:
                came_from[following] = here
                ahead.append(following)
    return None


def _end(programs: Mapping[str, Program], circle: list[str]) -> str:
    """What becomes of who goes round."""
    once = [name for name in circle if programs[name].entry.reentry.kind is ReentryKind.NEVER]
    if once:
        return f"it ends where '{once[0]}' takes nobody in twice (reentry: never)"
    return "whoever goes round is written to again and again"
