"""Old names of keys: read as the new ones for two minor versions, with a warning that names both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.authoring.models.part import Part
from engine.authoring.reading.source import Source, dotted
from engine.authoring.reading.walking import parts_of
from engine.errors import Problem
from engine.rules.condition import YamlPath


@dataclass(frozen=True)
class OldKey:
    """A key that stands in a file under its old name."""

    path: YamlPath
    """To the key as it is written."""
    to: str
    """What it is called now."""
    until: str
    """The version in which the old name stops working."""
    is_doubled: bool
    """Whether the new name stands beside it."""


def old_keys(source: Source, model: type[Part]) -> Iterator[OldKey]:
    """The keys of a file that are called otherwise by now, in the order written."""
    for path, part, data in parts_of(model, source.data):
        for old, renamed in part.renamed.items():
            if old in data:
                yield OldKey((*path, old), renamed.to, renamed.until, renamed.to in data)


def renamed(source: Source, model: type[Part]) -> tuple[Source, list[Problem]]:
    """The file with every key under its present name, places kept; a word about each that had its old one."""
    found = list(old_keys(source, model))
    problems = [_problem(source, old) for old in found]
    # From the innermost on: the paths of outer keys stay what they are while inner ones change.
    for old in sorted(found, key=lambda each: -len(each.path)):
        source = _with_new_name(source, old)
    return source, problems


def _problem(source: Source, old: OldKey) -> Problem:
    name, place = old.path[-1], source.key_place(old.path)
    if old.is_doubled:
        message = f"'{name}' is the old name of '{old.to}', and both stand here"
        return Problem(place, "RS081", dotted(old.path), message, f"keep '{old.to}'")
    message = f"'{name}' is called '{old.to}' now; the old name stops working in version {old.until}"
    swap = (str(name), old.to)
    return Problem(place, "RW021", dotted(old.path), message, f"write '{old.to}'", swap)


def _with_new_name(source: Source, old: OldKey) -> Source:
    """The file with the key under its present name, or without it when both stand there."""
    if old.is_doubled:
        return replace(source, data=_replaced(source.data, old.path, None))
    new_path = (*old.path[:-1], old.to)
    data = _replaced(source.data, old.path, old.to)
    places, keys = (_moved(each, old.path, new_path) for each in (source.places, source.keys))
    return replace(source, data=data, places=places, keys=keys)


def _replaced(data: Any, path: YamlPath, to: str | None) -> Any:
    """The data with the last key of `path` called `to`, or taken out; only what lies on the way is copied."""
    head, rest = path[0], path[1:]
    if isinstance(data, list):
        return [_replaced(each, rest, to) if number == head else each for number, each in enumerate(data)]
    if rest:
        return {key: _replaced(value, rest, to) if key == head else value for key, value in data.items()}
    named = ((to if key == head else key, value) for key, value in data.items())
    return {key: value for key, value in named if key is not None}


def _moved(places: Mapping[YamlPath, Any], old: YamlPath, new: YamlPath) -> dict[YamlPath, Any]:
    size = len(old)
    return {(new + path[size:] if path[:size] == old else path): place for path, place in places.items()}
