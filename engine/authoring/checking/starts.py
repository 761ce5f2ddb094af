"""Checks what a `start` step asks of the other journey: that it can be asked, and takes what it is told."""

from __future__ import annotations

from collections.abc import Iterator

from engine.authoring.compiling.run_facts import type_of
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.single_steps import StartStep
from engine.authoring.reading.source import dotted
from engine.authoring.reading.validating import known_list, nearest
from engine.errors import Problem
from engine.rules.condition import YamlPath
from engine.rules.facts import FactType


def check_start(
    journey: Defined[JourneyFile], found: Definitions, path: YamlPath, step: StartStep
) -> Iterator[Problem]:
    """RS055, RS096 and RS097 for a step that names a journey of the workspace."""
    if step.journey == journey.item.id:
        message = f"'{step.start}' starts the journey that it stands in"
        yield journey.problem("RS055", message, "name another one, or use repeat", at=(*path, "journey"))
        return
    other = found.journeys.get(step.journey)
    if other is None:
        return
    api = other.item.enter.asked_for
    if api is None:
        place = other.source.key_place(("enter",))
        message = (
            f"'{step.journey}' cannot be started: it takes nobody in by request ({place.file}:{place.line})"
        )
        hint = f"let a system or a step ask for it too: 'also: [{{api: {{}}}}]' under enter in {place.file}"
        yield journey.problem("RS096", message, hint, at=(*path, "journey"))
        return
    for name, value in step.values.items():
        declared = api.parameters.get(name)
        at = (*path, "values", name)
        if declared is None:
            hint = nearest(name, api.parameters) or (
                known_list(api.parameters) if api.parameters else "remove it"
            )
            message = f"'{step.journey}' takes no parameter '{name}'"
            yield Problem(journey.source.key_place(at), "RS097", dotted(at), message, hint)
        elif type_of(value) is not FactType(declared.type):
            message = f"'{step.journey}' takes '{name}' as {declared.type}, and this is {type_of(value)}"
            yield journey.problem("RS097", message, f"write a {declared.type}", at=at)
    for name, declared in api.parameters.items():
        if declared.required and name not in step.values:
            message = f"'{step.journey}' needs '{name}', a {declared.type}, and is not told it"
            yield journey.problem("RS097", message, f"add 'values: {{{name}: …}}'", at=path)
