"""Whether an event's properties satisfy the schema of its type; validators are built once per bundle."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from engine.authoring.bundle import Bundle, EventType

_KEPT = 8


class EventSchemas:
    """The checks of one bundle's event types."""

    def __init__(self, events: Mapping[str, EventType]) -> None:
        self._validators = {
            name: Draft202012Validator(dict(kind.schema), format_checker=Draft202012Validator.FORMAT_CHECKER)
            for name, kind in events.items()
            if kind.schema
        }

    def fault(self, event_type: str, properties: Mapping[str, Any]) -> str | None:
        """What is wrong with the properties, as `path: what was wanted`, or None; never the values."""
        validator = self._validators.get(event_type)
        if validator is None:
            return None
        worst = best_match(validator.iter_errors(properties))
        return None if worst is None else _describe(worst)


class SchemaShelf:
    """The schemas of the bundles used last; thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, EventSchemas] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, bundle: Bundle) -> EventSchemas:
        with self._lock:
            schemas = self._known.get(bundle.hash)
            if schemas is None:
                schemas = self._known[bundle.hash] = EventSchemas(bundle.events)
                if len(self._known) > _KEPT:
                    self._known.popitem(last=False)
            self._known.move_to_end(bundle.hash)
            return schemas


def _describe(error: ValidationError) -> str:
    # jsonschema's own message quotes the value, which may be personal data; the path and the wish do not.
    path = "properties" + error.json_path.removeprefix("$")
    wanted: Any = error.validator_value
    match error.validator:
        case "required" if isinstance(error.instance, dict):
            missing = [name for name in wanted if name not in error.instance]
            return f"{path}: {', '.join(map(str, missing))} missing"
        case "type":
            kinds = wanted if isinstance(wanted, list) else [wanted]
            return f"{path}: wanted {' or '.join(map(str, kinds))}"
        case "additionalProperties":
            return f"{path}: holds a property that the schema does not know"
        case keyword:
            shown = str(wanted)
            return f"{path}: does not satisfy {keyword} {shown if len(shown) <= 120 else '(see the schema)'}"
