"""What plugins declare, as it becomes part of a bundle: one more file, which Wayline writes and nobody else.

A bundle that was published means the same whatever is installed later: its event types, the names and
types of its facts and the shape of its metrics are in its files. What a fact says, and whether something
counts in a metric, is asked of the plugin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from engine.authoring.bundle import DeclaredFact, DeclaredMetric, EventType
from engine.plugin.registry import Registry

FILE = ".plugins/declared.json"
"""Its path among a bundle's files. Nobody can have a file of that name: hidden ones are not read."""


@dataclass(frozen=True)
class Declared:
    """The event types, facts and metrics of all plugins."""

    events: tuple[EventType, ...] = ()
    facts: tuple[DeclaredFact, ...] = ()
    metrics: tuple[DeclaredMetric, ...] = ()


NOTHING = Declared()
_READ: TypeAdapter[Declared] = TypeAdapter(Declared)


def with_declared(files: Mapping[str, str], registry: Registry) -> dict[str, str]:
    """The files with what this installation's plugins declare, in place of what an earlier one declared."""
    events = tuple(
        EventType(kind.name, kind.title, dict(kind.schema), None, kind.counts_as_activity)
        for _, kind in sorted(registry.event_types.items())
    )
    facts = tuple(
        DeclaredFact(fact.name, fact.type, fact.title, fact.reads, fact.choices, fact.personal, fact.version)
        for _, fact in sorted(registry.facts.items())
    )
    metrics = tuple(
        DeclaredMetric(each.name, each.title, each.of, each.receipts, each.events, each.within, each.scopes)
        for _, each in sorted(registry.metrics.items())
    )
    others = {name: text for name, text in files.items() if name != FILE}
    if not events and not facts and not metrics:
        return others
    told = _READ.dump_python(Declared(events, facts, metrics), mode="json")
    if not metrics:
        # As it was before there were any: what plugins declare by now keeps its hash.
        del told["metrics"]
    return {**others, FILE: json.dumps(told, ensure_ascii=False, sort_keys=True, indent=1) + "\n"}


def declared_in(files: Mapping[str, str]) -> Declared:
    """What plugins had declared when these files were brought together."""
    text = files.get(FILE)
    return NOTHING if text is None else _READ.validate_json(text)
