"""Finds the model behind a place in a file, so that a wrong key can be answered with the right ones."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import Tag

from engine.authoring.models.part import Part


def keys_of(part: type[Part]) -> dict[str, str]:
    """The keys that a part may have, as written in files, with their descriptions in English."""
    return {
        field.alias or name: (field.description or "").partition("\n")[0]
        for name, field in part.model_fields.items()
    }


def part_at(model: type[Part], loc: tuple[str | int, ...]) -> type[Part] | None:
    """The model that an error location (union tags included) leads to; None when none is there."""
    here: Any = model
    for step in loc:
        here = _inside(here, step)
        if here is None:
            return None
    return _only_part(here)


def _inside(annotation: Any, step: str | int) -> Any:
    """The annotation one step further down."""
    annotation = _bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Part):
        for name, field in annotation.model_fields.items():
            if step == (field.alias or name):
                return field.annotation
        return None
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Union, UnionType}:
        return _of_union(arguments, step)
    if origin is tuple and isinstance(step, int):
        return arguments[0]
    if origin is dict and isinstance(step, str):
        return arguments[1]
    return None


def _of_union(members: tuple[Any, ...], step: str | int) -> Any:
    for member in members:
        if get_origin(member) is Annotated and any(
            isinstance(mark, Tag) and mark.tag == step for mark in get_args(member)[1:]
        ):
            return member
    # An optional part: the tag is not spelt out in the location.
    for member in members:
        if member is not type(None) and (found := _inside(member, step)) is not None:
            return found
    return None


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _only_part(annotation: Any) -> type[Part] | None:
    annotation = _bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    if get_origin(annotation) in {Union, UnionType}:
        parts = [part for member in get_args(annotation) if (part := _only_part(member)) is not None]
        return parts[0] if len(parts) == 1 else None
    return None
