"""Values with some of their fields changed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from inspect import signature

import pytest

from engine.changing import changed, frozen


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


@dataclass(frozen=True)
class Slow:
    name: str
    size: int = 1
    parts: dict[str, int] = field(default_factory=dict)


@frozen
class Quick:
    name: str
    size: int = 1
    parts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Squared(Point):
    @cached_property
    def square(self) -> int:
        return self.x * self.x


def test_a_changed_value_is_as_dataclasses_would_replace_it() -> None:
    point = Point(1, 2)

    assert changed(point, y=3) == replace(point, y=3) == Point(1, 3)
    assert point == Point(1, 2)
    assert type(changed(Squared(1), x=2)) is Squared


def test_a_field_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="Point"):
        changed(Point(1), z=1)


def test_what_a_value_has_worked_out_of_its_fields_is_not_taken_over() -> None:
    point = Squared(2)
    assert point.square == 4

    with pytest.raises(TypeError, match="square"):
        changed(point, x=3)


def test_a_value_is_made_of_what_a_frozen_dataclass_is_made_of() -> None:
    for given in ({}, {"size": 2}, {"parts": {"a": 1}}):
        quick, slow = Quick("one", **given), Slow("one", **given)

        assert vars(quick) == vars(slow)
        assert quick == Quick("one", **given)
        assert replace(quick, size=3) == changed(quick, size=3) == Quick("one", 3, quick.parts)
    assert Quick("one", 2, {"a": 1}).parts == {"a": 1}
    assert Quick("one").parts is not Quick("two").parts
    assert str(signature(Quick)) == str(signature(Slow))
    with pytest.raises(TypeError):
        Quick()  # type: ignore[call-arg]


def test_a_value_is_told_apart_and_found_again_by_its_fields() -> None:
    @frozen
    class Named:
        name: str

    assert Named("one") != Named("two")
    assert {Named("one"): 1}[Named("one")] == 1
