"""Whether what an event's `schema` says is JSON Schema; plain ones are seen through without the library.

Nearly every event is an object of a few named properties of plain types. To load the library and to run its
schema of schemas takes as long as everything else that is checked about dozens of such events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from engine.rules.condition import YamlPath

_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})


@dataclass(frozen=True)
class SchemaFault:
    """The first thing in a schema that makes it none."""

    at: YamlPath
    message: str


def fault_of_schema(schema: Mapping[str, Any]) -> SchemaFault | None:
    """What is wrong with a schema; None when it is one."""
    return None if is_plainly_one(schema) else _fault_of(json.dumps(dict(schema)))


@lru_cache(maxsize=256)
def _fault_of(written: str) -> SchemaFault | None:
    """As the library sees it; every event of a test asks for its schema again."""
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(json.loads(written))
    except SchemaError as error:
        return SchemaFault(tuple(error.absolute_path), str(error.message).replace("\n", " ")[:200])
    return None


def is_plainly_one(schema: object) -> bool:
    """Whether it holds nothing but well-known keywords with values that each of them takes.

    False says nothing: it may still be a schema.
    """
    if not isinstance(schema, dict):
        return False
    return all(key in _PLAIN and _PLAIN[key](value) for key, value in schema.items())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_type(value: object) -> bool:
    return isinstance(value, str) and value in _TYPES


def _are_names(value: object) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(each, str) for each in value)
        and len(set(value)) == len(value)
    )


def _are_properties(value: object) -> bool:
    return isinstance(value, dict) and all(map(is_plainly_one, value.values()))


def _is_closed(value: object) -> bool:
    return isinstance(value, bool) or is_plainly_one(value)


_PLAIN: Mapping[str, Callable[[object], bool]] = {
    "type": _is_type,
    "title": _is_text,
    "description": _is_text,
    "properties": _are_properties,
    "required": _are_names,
    "items": is_plainly_one,
    "additionalProperties": _is_closed,
    "minimum": _is_number,
    "maximum": _is_number,
    "exclusiveMinimum": _is_number,
    "exclusiveMaximum": _is_number,
    "minLength": _is_count,
    "maxLength": _is_count,
    "minItems": _is_count,
    "maxItems": _is_count,
    "enum": lambda value: isinstance(value, list),
    "examples": lambda value: isinstance(value, list),
}
