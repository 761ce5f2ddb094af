"""What a run keeps of events: of the one that let it in, and of those that its waits ended with.

Only what its journey's conditions and texts name, and no long text: a run is read whole at each of its moves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from engine.rules.facts import Facts, FactValue
from engine.rules.patterns import LONGEST_TEXT

MOST_KEPT = 50
"""Properties of events that one journey may name, each at one step (or of its entry) counting once."""
MOST_LABELS = 50
"""Labels of one list; a longer list is not kept, and what asks for it is unknown."""

ENTRY, EVENTS = "journey.entry.", "journey.events."
NEVER_KEPT = frozenset({"patterns"})
"""Facts of every event that cannot be told again from the event alone."""


def kept_of(said: Facts, names: Collection[str]) -> dict[str, FactValue]:
    """Of what an event says (its `event.` facts) what a run keeps; what it did not say is not there.

    A text of more than `LONGEST_TEXT` characters is not kept: neither are expressions held against one.
    """
    found: dict[str, FactValue] = {}
    for name in sorted(names):
        value = said.get(f"event.{name}")
        if value is not None and is_short(value):
            found[name] = value
    return found


def is_short(value: FactValue) -> bool:
    """Whether a value is kept with runs: texts and lists are while they are short."""
    match value:
        case str():
            return len(value) <= LONGEST_TEXT
        case frozenset():
            return len(value) <= MOST_LABELS and all(len(each) <= LONGEST_TEXT for each in value)
        case _:
            return True


def as_plain(kept: Mapping[str, FactValue]) -> dict[str, Any]:
    """What is kept as texts and actions see it: moments as ISO texts, labels as sorted lists."""
    return {name: _plain(value) for name, value in kept.items()}


def _plain(value: FactValue) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case frozenset():
            return sorted(value)
        case _:
            return value


def to_stored(kept: Mapping[str, FactValue]) -> dict[str, Any]:
    """What is kept as JSON that `from_stored` reads again."""
    return {
        name: {"moment": value.isoformat()} if isinstance(value, datetime) else _plain(value)
        for name, value in kept.items()
    }


def from_stored(stored: Mapping[str, Any]) -> dict[str, FactValue]:
    """What `to_stored` wrote."""
    return {name: _read(value) for name, value in stored.items()}


def _read(value: Any) -> FactValue:
    match value:
        case dict():
            return datetime.fromisoformat(value["moment"])
        case list():
            return frozenset(value)
        case str() | int() | float():
            return value
    raise TypeError(f"not what a run keeps of an event: {type(value).__name__}")
