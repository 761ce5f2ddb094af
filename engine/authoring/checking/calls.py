"""Checks what call steps tell their actions and keep of the answers against what those take and give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from engine.authoring.compiling.nesting import walk
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.doing_steps import CallStep
from engine.authoring.models.journey import JourneyFile
from engine.authoring.reading.validating import known_list, nearest
from engine.errors import Problem
from engine.plugin.actions import Action
from engine.rules.condition import YamlPath

CODE = "RS124"
_FACT_TYPES = {int: "number", float: "number", str: "text", bool: "boolean"}


def check_calls(found: Definitions, actions: Mapping[str, Action]) -> Iterator[Problem]:
    """Values that an action does not know, still needs or refuses, and results that it does not give."""
    for journey in found.journey_files:
        for path, step in walk(journey.item.steps, ("steps",)):
            if not isinstance(step, CallStep) or step.action not in found.actions:
                continue
            action = actions.get(found.actions[step.action].item.plugin)
            if action is not None:
                yield from _values(journey, path, step, action)
                yield from _results(journey, path, step, action)


def _values(
    journey: Defined[JourneyFile], path: YamlPath, step: CallStep, action: Action
) -> Iterator[Problem]:
    known = {field.alias or name: field for name, field in action.values.model_fields.items()}
    meant: set[str] = set()
    for name in step.values:
        if name not in known and not _takes_all(action.values):
            hint = nearest(name, known)
            meant |= {each for each in known if f"'{each}'" in hint}
            message = f"the action '{step.action}' knows no value '{name}'"
            at = (*path, "values", name)
            yield journey.problem(CODE, message, hint or known_list(known), at=at)
    for name, field in known.items():
        if field.is_required() and name not in step.values and name not in meant:
            message = f"the action '{step.action}' needs the value '{name}'"
            at = (*path, "values") if step.values else (*path, "action")
            yield journey.problem(CODE, message, _hint(name, field) or f"add '{name}'", at=at)
    told = {name: value for name, value in step.values.items() if name in known or _takes_all(action.values)}
    try:
        action.values.model_validate(told)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_context=False):
            name = str(item["loc"][0]) if item["loc"] else ""
            if item["type"] == "missing" or (not name and len(told) < len(step.values)):
                continue
            said = str(item["msg"]).removeprefix("Value error, ").replace("Input should", "it should")
            message = f"the action '{step.action}' refuses this: {said[:1].lower()}{said[1:]}"
            at = (*path, "values", name) if name in step.values else (*path, "values")
            yield journey.problem(CODE, message, _hint(name, known.get(name)), at=at)
    except Exception as error:  # noqa: BLE001 - a validator of a stranger may raise anything
        message = f"the values of the action '{step.action}' raised {type(error).__name__}"
        yield journey.problem(CODE, message, "ask its author", at=(*path, "values"))


def _results(
    journey: Defined[JourneyFile], path: YamlPath, step: CallStep, action: Action
) -> Iterator[Problem]:
    if _takes_all(action.results):
        return
    known = {field.alias or name: field for name, field in action.results.model_fields.items()}
    for name, kind in step.results.items():
        at = (*path, "results", name)
        if name not in known:
            hint = nearest(name, known) or known_list(known)
            yield journey.problem(CODE, f"the action '{step.action}' answers no '{name}'", hint, at=at)
        elif (own := fact_type(known[name])) != kind:
            if own is None:
                message = f"'{name}' of the action '{step.action}' is no single value, and cannot be kept"
                yield journey.problem(CODE, message, "remove it", at=at)
            else:
                message = f"'{name}' of the action '{step.action}' is a {own}, not a {kind}"
                yield journey.problem(CODE, message, f"write '{name}: {own}'", at=at)


def fact_type(field: FieldInfo) -> str | None:
    """The type of fact that a result is; None for one that is no single value."""
    kinds = [field.annotation]
    if get_origin(field.annotation) in (Union, UnionType):
        kinds = [each for each in get_args(field.annotation) if each is not type(None)]
    found = {_FACT_TYPES.get(_plain(each)) for each in kinds}
    return found.pop() if len(found) == 1 else None


def _plain(annotation: Any) -> Any:
    """The class behind an annotation: `Literal["a"]` and enumerations of texts are texts."""
    if get_args(annotation) and all(isinstance(each, str) for each in get_args(annotation)):
        return str
    if isinstance(annotation, type) and annotation not in _FACT_TYPES:
        return next((each for each in (bool, int, float, str) if issubclass(annotation, each)), annotation)
    return annotation


def _takes_all(model: type[BaseModel]) -> bool:
    return model.model_config.get("extra") == "allow"


def _hint(name: str, field: FieldInfo | None) -> str:
    return f"{name}: {field.description}" if field is not None and field.description else ""
