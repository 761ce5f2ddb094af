"""Walks a file's plain data beside its model: which part of the language each mapping in it is."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import Discriminator, Tag

from engine.authoring.models.part import Part
from engine.rules.condition import YamlPath


def parts_of(model: type[Part], data: Any) -> Iterator[tuple[YamlPath, type[Part], dict[str, Any]]]:
    """Every mapping of the data that is a part, outer ones first; what does not fit the model is left out."""
    yield from _walk(model, data, ())


def _walk(
    annotation: Any, data: Any, path: YamlPath
) -> Iterator[tuple[YamlPath, type[Part], dict[str, Any]]]:
    annotation = _meant(annotation, data)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Part) and isinstance(data, dict):
        yield path, annotation, data
        annotations = {field.alias or name: field for name, field in annotation.model_fields.items()}
        old = {name: each.to for name, each in annotation.renamed.items()}
        for key, value in data.items():
            if (field := annotations.get(old.get(str(key), str(key)))) is not None:
                # Pydantic keeps a field's own marks apart; the discriminator is among them.
                whole = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
                if isinstance(field.discriminator, Discriminator):
                    whole = Annotated[field.annotation, field.discriminator]
                yield from _walk(whole, value, (*path, key))
    elif origin is tuple and isinstance(data, list):
        for number, item in enumerate(data):
            yield from _walk(arguments[0], item, (*path, number))
    elif origin is dict and isinstance(data, dict):
        for key, value in data.items():
            yield from _walk(arguments[1], value, (*path, key))


def _meant(annotation: Any, data: Any) -> Any:
    """The annotation without its marks, and of a union the member that the data are meant to be."""
    marks: list[Any] = []
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        marks += more
    if get_origin(annotation) not in {Union, UnionType}:
        return annotation
    members = get_args(annotation)
    choose = next((mark.discriminator for mark in marks if isinstance(mark, Discriminator)), None)
    if callable(choose):
        tag = choose(data)
        for member in members:
            if get_origin(member) is Annotated and any(
                isinstance(mark, Tag) and mark.tag == tag for mark in get_args(member)[1:]
            ):
                return _meant(member, data)
        return None
    said = [member for member in members if member is not type(None)]
    return _meant(said[0], data) if len(said) == 1 else None
