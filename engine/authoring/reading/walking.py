"""Walks a file's plain data beside its model: which part of the language each mapping in it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import Discriminator, Tag

from engine.authoring.models.part import Part
from engine.rules.condition import YamlPath


def parts_of(model: type[Part], data: Any) -> Iterator[tuple[YamlPath, type[Part], dict[str, Any]]]:
    """Every mapping of the data that is a part, outer ones first; what does not fit the model is left out."""
    yield from _walk(model, data, ())


@dataclass(frozen=True)
class _Shape:
    """What an annotation says, taken apart once: hundreds of files are walked along the same few."""

    annotation: Any
    """Kept, so that its identity stays its own."""
    part: type[Part] | None = None
    item: Any = None
    """Of a list."""
    value: Any = None
    """Of a mapping with free keys."""
    choose: Callable[[Any], Any] | None = None
    members: Mapping[Any, Any] = field(default_factory=dict)
    """Of a union with tags: what is meant by what `choose` says of the data."""
    only: Any = None
    """What else it comes down to: an annotation without its marks, the one member that is not None."""


_SHAPES: dict[int, _Shape] = {}


def _shape(annotation: Any) -> _Shape:
    found = _SHAPES.get(id(annotation))
    if found is None:
        found = _SHAPES[id(annotation)] = _taken_apart(annotation)
    return found


def _taken_apart(annotation: Any) -> _Shape:
    marks: list[Any] = []
    bare = annotation
    while get_origin(bare) is Annotated:
        bare, *more = get_args(bare)
        marks += more
    origin, arguments = get_origin(bare), get_args(bare)
    if isinstance(bare, type) and issubclass(bare, Part):
        return _Shape(annotation, part=bare)
    if origin is tuple:
        return _Shape(annotation, item=arguments[0])
    if origin is dict:
        return _Shape(annotation, value=arguments[1])
    if origin not in {Union, UnionType}:
        return _Shape(annotation)
    choose = next((mark.discriminator for mark in marks if isinstance(mark, Discriminator)), None)
    if callable(choose):
        members = {
            mark.tag: member
            for member in arguments
            if get_origin(member) is Annotated
            for mark in get_args(member)[1:]
            if isinstance(mark, Tag)
        }
        return _Shape(annotation, choose=choose, members=members)
    said = [member for member in arguments if member is not type(None)]
    return _Shape(annotation, only=said[0] if len(said) == 1 else None)


@cache
def _fields(part: type[Part]) -> dict[str, Any]:
    """The annotations of a part's keys, under their present and their old names."""
    found: dict[str, Any] = {}
    for name, each in part.model_fields.items():
        # Pydantic keeps a field's own marks apart; the discriminator is among them.
        whole = Annotated[each.annotation, *each.metadata] if each.metadata else each.annotation
        if isinstance(each.discriminator, Discriminator):
            whole = Annotated[each.annotation, each.discriminator]
        found[each.alias or name] = whole
    return found | {old: found[each.to] for old, each in part.renamed.items() if each.to in found}


def _walk(
    annotation: Any, data: Any, path: YamlPath
) -> Iterator[tuple[YamlPath, type[Part], dict[str, Any]]]:
    if not isinstance(data, dict | list):
        return
    shape = _shape(annotation)
    while shape.choose is not None or shape.only is not None:
        meant = shape.only if shape.choose is None else shape.members.get(shape.choose(data))
        if meant is None:
            return
        shape = _shape(meant)
    if isinstance(data, list):
        if shape.item is not None:
            for number, item in enumerate(data):
                yield from _walk(shape.item, item, (*path, number))
    elif shape.part is not None:
        yield path, shape.part, data
        known = _fields(shape.part)
        for key, value in data.items():
            if (inner := known.get(key)) is not None:
                yield from _walk(inner, value, (*path, key))
    elif shape.value is not None:
        for key, value in data.items():
            yield from _walk(shape.value, value, (*path, key))
