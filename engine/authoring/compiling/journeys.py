"""Compiles a journey's file into the flat program that the interpreter runs, its conditions into rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from engine.authoring.checking.in_flight import went
from engine.authoring.compiling.asking import Asking
from engine.authoring.compiling.calendars import Calendars
from engine.authoring.compiling.catalogues import Catalogues
from engine.authoring.compiling.conditions import Rulebook
from engine.authoring.compiling.entering import compile_entry, compile_goal, compile_leave
from engine.authoring.compiling.nesting import step_id, walk
from engine.authoring.compiling.reaching import reached_from
from engine.authoring.compiling.steps import StepCompiler
from engine.authoring.definitions import Defined
from engine.authoring.models.journey import JourneyFile
from engine.errors import Problem
from engine.journeys.keeping import ENTRY, EVENTS, MOST_KEPT
from engine.journeys.program import InFlight, Keeps, Program, Send, Step, WaitFor

_PROSE = {"title", "owner", "description", "enabled", "id", "was", "in_flight"}
"""What changes nothing for those who enter."""


def compile_journey(
    journey: Defined[JourneyFile],
    catalogues: Catalogues,
    rulebook: Rulebook,
    calendars: Calendars,
    texts: Mapping[str, Sequence[str]],
) -> tuple[Program, list[Problem]]:
    """The program of a journey and problems with facts and unreachable steps; rules go into the rulebook.

    `texts` are the facts about remembered events that each content names, by its id.
    """
    asking = Asking(journey, catalogues, rulebook, calendars)
    entry = journey.item
    enter = compile_entry(asking, entry.enter)
    leaves = tuple(compile_leave(asking, number) for number in range(len(entry.leave)))
    goal = compile_goal(asking)
    compiler = StepCompiler(asking)
    first = compiler.sequence(entry.steps, ("steps",), None)
    order = [step_id(step) for _, step in walk(entry.steps, ("steps",))]
    steps = {step: compiler.steps[step] for step in order if step in compiler.steps}
    _note_unreachable(asking, first, steps)
    program = Program(
        journey=entry.id,
        version=version_of(entry),
        purpose=entry.purpose,
        priority=entry.priority,
        entry=enter,
        leaves=leaves,
        goal=goal,
        first=first,
        steps=steps,
        was=went(entry, steps),
        in_flight=InFlight(entry.in_flight),
        owner=entry.owner,
        title=entry.title,
        calendars=asking.asked_calendars,
        revival=entry.revival,
        keeps=_keeps(asking, steps, texts),
    )
    return program, asking.problems


def _keeps(asking: Asking, steps: Mapping[str, Step], said: Mapping[str, Sequence[str]]) -> Keeps:
    """What runs keep of events: what conditions and the texts of the journey's messages name."""
    contents = {step.content for step in steps.values() if isinstance(step, Send)}
    texts = (name for content in sorted(contents) for name in said.get(content, ()))
    entry: dict[str, None] = {}
    events: dict[str, dict[str, None]] = {}
    for path in (*asking.named, *texts):
        if path.startswith(ENTRY):
            entry[path.removeprefix(ENTRY)] = None
        elif path.startswith(EVENTS):
            step, _, name = path.removeprefix(EVENTS).partition(".")
            events.setdefault(step, {})[name] = None
    kept = len(entry) + sum(map(len, events.values()))
    if kept > MOST_KEPT:
        message = f"its runs would have to keep {kept} properties of events, and {MOST_KEPT} are the most"
        hint = "name fewer of them in conditions and texts, or write two journeys"
        asking.note("RS140", message, hint, ("steps",))
    waits = (step for step in events if isinstance(steps.get(step), WaitFor))
    return Keeps(frozenset(entry), {step: frozenset(events[step]) for step in waits})


def _note_unreachable(asking: Asking, first: str | None, steps: Mapping[str, Step]) -> None:
    reached = reached_from(first, steps)
    for path, step in walk(asking.entry.steps, ("steps",)):
        if (name := step_id(step)) not in reached:
            message = f"the step '{name}' can never be reached"
            asking.note("RS059", message, "remove it, or the stop before it", path)
            return


def version_of(journey: JourneyFile) -> str:
    """Content hash of what a journey does; titles and owners may change without a new version."""
    data = journey.model_dump(mode="json", by_alias=True, exclude=_PROSE)
    if not journey.enter.also:
        del data["enter"]["also"]  # what nobody wrote makes no other version
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
