"""Turns a ruleset's settings into a plugin's own model: environment in, no value out in any message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core.core_schema import ErrorType

from engine.errors import PluginError

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[str | int, ...]

# pydantic's own errors whose texts do not quote the value. Everything else is a text of the plugin's author.
SILENT = frozenset(get_args(ErrorType)) - {
    "value_error",
    "assertion_error",
    "union_tag_invalid",
}


_STAND_IN = "0"


def validated(
    plugin: str, model: type[Model], settings: Mapping[str, Any], environ: Mapping[str, str]
) -> Model:
    """The settings as an instance of the plugin's model; PluginError (PL007) names every setting at fault."""
    borrowed: dict[Path, str] = {}
    absent: list[str] = []
    values = _resolved(settings, environ, (), borrowed, absent)
    faults = [f"PL007 plugin {plugin!r}, {text}" for text in absent]
    if not faults:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            for item in error.errors(include_url=False, include_context=False, include_input=False):
                faults.append(f"PL007 plugin {plugin!r}, {_without_values(item, borrowed)}")
        except Exception as error:  # noqa: BLE001 - a validator of a stranger may raise anything
            faults.append(f"PL007 plugin {plugin!r}: its settings model raised {type(error).__name__}")
    # `from None`: pydantic's error still carries the values that were refused.
    raise PluginError("\n".join(faults)) from None


def with_stand_ins(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with something in place of every value that the environment alone knows."""
    return {
        name: _STAND_IN
        if isinstance(value, Mapping) and _stands_for_environment(value) and "default" not in value
        else value
        for name, value in settings.items()
    }


def _resolved(
    value: Any, environ: Mapping[str, str], at: Path, borrowed: dict[Path, str], absent: list[str]
) -> Any:
    if isinstance(value, Mapping):
        if _stands_for_environment(value):
            name = value["env"]
            if name in environ:
                borrowed[at] = name
                return environ[name]
            if "default" in value:
                return value["default"]
            absent.append(f"setting {_dotted(at)}: the environment variable {name} is not set")
            return None
        return {key: _resolved(item, environ, (*at, key), borrowed, absent) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(item, environ, (*at, n), borrowed, absent) for n, item in enumerate(value)]
    return value


def _stands_for_environment(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("env"), str) and set(value) <= {"env", "default"}


def _without_values(item: Mapping[str, Any], borrowed: Mapping[Path, str]) -> str:
    at: Path = tuple(item["loc"])
    names = sorted({name for place, name in borrowed.items() if _related(place, at)})
    source = f" (from the environment variable {', '.join(names)})" if names and at else ""
    if item["type"] not in SILENT and names:
        return f"setting {_dotted(at)}{source}: refused by the plugin's own check"
    text = str(item["msg"])
    return f"setting {_dotted(at)}{source}: {text[:1].lower()}{text[1:]}"


def _related(one: Path, other: Path) -> bool:
    """Whether one is the other or lies inside it."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _dotted(at: Path) -> str:
    return ".".join(str(step) for step in at) or "(all together)"
