"""Checks a journey against its workspace: names that lead nowhere, ids used twice, waits without end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from engine.authoring.checking.experiments import check_experiment
from engine.authoring.checking.in_flight import check_was
from engine.authoring.checking.pacing import check_pace
from engine.authoring.checking.references import References
from engine.authoring.checking.starts import check_start
from engine.authoring.compiling.calendars import check_schedule, check_wait
from engine.authoring.compiling.nesting import step_id, walk
from engine.authoring.compiling.run_facts import type_of
from engine.authoring.compiling.ways_in import events_of, ways_in
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.branching_steps import ExperimentStep
from engine.authoring.models.doing_steps import CallStep, SendStep
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.single_steps import CopiedFact, SetStep, StartStep, TagStep, WaitStep
from engine.authoring.models.waiting_steps import AskStep, WaitForStep
from engine.errors import Problem
from engine.rules.condition import YamlPath
from engine.rules.facts import FactType


def check_journey(
    journey: Defined[JourneyFile], found: Definitions, references: References
) -> Iterator[Problem]:
    """What is wrong with a journey, its conditions aside."""
    entry = journey.item
    yield from references.check("purpose", entry.purpose, journey, ("purpose",))
    yield from _event_types(journey, references, entry.enter.event or (), ("enter", "event"))
    for number, further in enumerate(entry.enter.also):
        yield from _event_types(journey, references, further.event or (), ("enter", "also", number, "event"))
    yield from _ways_apart(journey)
    if (audience := entry.enter.audience) is not None:
        way = "entered" if audience.entered is not None else "left"
        name = audience.entered or audience.left or ""
        yield from references.check("audience", name, journey, ("enter", "audience", way))
    for below, event in events_of(entry.enter.pattern) if entry.enter.pattern is not None else ():
        yield from _event_types(journey, references, event.event, ("enter", "pattern", *below, "event"))
    yield from check_schedule(journey, found, references)
    for number, leave in enumerate(entry.leave):
        yield from _event_types(journey, references, leave.event or (), ("leave", number, "event"))
    if entry.goal is not None:
        yield from _event_types(journey, references, entry.goal.event, ("goal", "event"))
    yield from check_pace(journey)
    yield from check_was(journey)
    first: dict[str, YamlPath] = {}
    values: dict[str, FactType] = {}
    for path, step in walk(entry.steps, ("steps",)):
        name = step_id(step)
        kind = next(iter(type(step).model_fields))
        if name in first:
            line = journey.place(*first[name]).line
            message = f"two steps are called '{name}'; the first is in line {line}"
            yield journey.problem(
                "RS042", message, "ids are unique in a journey, nested steps included", at=(*path, kind)
            )
        first.setdefault(name, path)
        yield from _step(journey, found, references, path, step)
        if isinstance(step, SetStep):
            for value_name, value in step.values.items():
                if isinstance(value, CopiedFact):
                    continue  # its type is known where its fact is
                if values.setdefault(value_name, type_of(value)) is not type_of(value):
                    message = (
                        f"'{value_name}' is set to {type_of(value)} here and to {values[value_name]} before"
                    )
                    yield journey.problem(
                        "RS056", message, "use one type, or two names", at=(*path, "values", value_name)
                    )


def _ways_apart(journey: Defined[JourneyFile]) -> Iterator[Problem]:
    """An event type lets contacts in by one way: else nobody could say which condition counts."""
    known: set[str] = set()
    for way in ways_in(journey.item.enter, journey.item.id):
        for kind in way.events:
            if kind in known:
                message = f"'{kind}' lets contacts in already, by another way"
                hint = "say it in one 'when', with 'any'"
                yield journey.problem("RS055", message, hint, at=way.at)
        known.update(way.events)


def _event_types(
    journey: Defined[JourneyFile], references: References, types: Sequence[str], at: YamlPath
) -> Iterator[Problem]:
    written = journey.source.data
    for part in at:
        written = written[part] if not isinstance(written, str) and _holds(written, part) else None
    for number, name in enumerate(types):
        yield from references.check(
            "event type", name, journey, (*at, number) if isinstance(written, list) else at
        )


def _holds(data: Any, part: str | int) -> bool:
    return part in data if isinstance(data, dict) else isinstance(part, int) and part < len(data)


def _step(
    journey: Defined[JourneyFile], found: Definitions, references: References, path: YamlPath, step: Any
) -> Iterator[Problem]:
    match step:
        case SendStep():
            yield from references.check("content", step.content, journey, (*path, "content"))
            for number, channel in enumerate(step.channels):
                yield from references.check("channel", channel, journey, (*path, "channels", number))
                if channel in step.channels[:number]:
                    message = f"the channel '{channel}' stands here twice"
                    yield journey.problem(
                        "RS042", message, "remove one of them", at=(*path, "channels", number)
                    )
            if step.purpose is not None:
                yield from references.check("purpose", step.purpose, journey, (*path, "purpose"))
        case WaitForStep():
            yield from _event_types(journey, references, step.event or (), (*path, "event"))
            if step.up_to is None:
                what = "the event never comes" if step.event is not None else "the condition never comes true"
                message = f"'{step.wait_for}' waits without end when {what}"
                yield journey.problem("RW002", message, "add 'up_to: 14d'", at=path)
        case WaitStep():
            yield from check_wait(step, path, journey, found, references)
        case ExperimentStep():
            yield from check_experiment(journey, step, path)
        case AskStep():
            yield from references.check("queue", step.queue, journey, (*path, "queue"))
            if step.calendar is not None:
                yield from references.check("calendar", step.calendar, journey, (*path, "calendar"))
        case CallStep():
            yield from references.check("action", step.action, journey, (*path, "action"))
        case StartStep():
            yield from references.check("journey", step.journey, journey, (*path, "journey"))
            yield from check_start(journey, found, path, step)
        case TagStep():
            for key, names in (("add", step.add), ("remove", step.remove)):
                for number, tag in enumerate(names):
                    if tag in found.tags:
                        place = found.tags[tag].place()
                        where = f"{place.file}:{place.line}"
                        message = f"the tag '{tag}' follows from a rule ({where}); a step cannot change it"
                        yield journey.problem(
                            "RS062", message, "use another tag, or remove the rule", at=(*path, key, number)
                        )
