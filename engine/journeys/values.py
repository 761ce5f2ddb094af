"""Values that a run keeps: what its steps set, and what was answered to its calls."""

from __future__ import annotations

from collections.abc import Mapping

from engine.journeys.keeping import is_short
from engine.journeys.program import Scalar, SetValues
from engine.journeys.run import RunState
from engine.rules.facts import Facts, FactType


def with_values(run: RunState, step: SetValues, known: Facts) -> dict[str, Scalar]:
    """What a run keeps once a step has set values: those written, and those of facts."""
    values = {**run.values, **step.values}
    for name, copied in step.facts.items():
        value = known.get(copied.fact)
        values.pop(name, None)
        if isinstance(value, int | float | str) and _type_of(value) is copied.type and is_short(value):
            values[name] = value
    return values


def of_declared_types(declared: Mapping[str, FactType], results: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """What the step keeps of an answer; what is not of the declared type stays unknown."""
    return {
        name: results[name]
        for name, kind in declared.items()
        if name in results and _type_of(results[name]) is kind
    }


def _type_of(value: object) -> FactType | None:
    match value:
        case bool():
            return FactType.BOOLEAN
        case int() | float():
            return FactType.NUMBER
        case str():
            return FactType.TEXT
    return None
