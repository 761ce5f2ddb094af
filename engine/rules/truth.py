"""Three-valued logic (Kleene's strong one): what a condition says when facts may be missing."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Truth(Enum):
    """What a condition says. UNKNOWN means the facts do not settle it."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, value: bool) -> Truth:
        return cls.TRUE if value else cls.FALSE


def negate(truth: Truth) -> Truth:
    """The opposite; unknown stays unknown."""
    if truth is Truth.UNKNOWN:
        return truth
    return Truth.FALSE if truth is Truth.TRUE else Truth.TRUE


def all_of(parts: Iterable[Truth]) -> Truth:
    """True when every part is; false as soon as one is false, whatever the unknown ones would say."""
    seen = set(parts)
    if Truth.FALSE in seen:
        return Truth.FALSE
    return Truth.UNKNOWN if Truth.UNKNOWN in seen else Truth.TRUE


def any_of(parts: Iterable[Truth]) -> Truth:
    """True as soon as one part is; false only when every part is."""
    seen = set(parts)
    if Truth.TRUE in seen:
        return Truth.TRUE
    return Truth.UNKNOWN if Truth.UNKNOWN in seen else Truth.FALSE
