"""Values with some of their fields changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import pytest

from engine.changing import changed


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


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
