"""What events say, by their types, and what of it a run remembers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from engine.authoring.bundle import EventType
from engine.journeys.keeping import ENTRY, NEVER_KEPT
from engine.rules.facts import BUILT_IN, Fact, FactType


def facts_of_properties(
    events: Mapping[str, EventType], types: Iterable[str], own: Iterable[Fact] = ()
) -> list[Fact]:
    """What events of these types can say: of each fact, only what is true of every one of them.

    `own` are facts that some of these events may bring beside the properties of their type.
    """
    types = tuple(dict.fromkeys(types))
    by_path: dict[str, Fact] = {}
    said: Counter[str] = Counter()
    disputed: set[str] = set()
    declared = [
        *(
            fact
            for event_type in types
            if event_type in events
            for fact in property_facts(events[event_type].schema)
        ),
        *own,
    ]
    for fact in declared:
        said[fact.path] += 1
        known = by_path.setdefault(fact.path, fact)
        if known.type is not fact.type:
            disputed.add(fact.path)
        elif known is not fact:
            by_path[fact.path] = _common(known, fact)
    return [
        fact if said[path] == len(types) else replace(fact, always=False)
        for path, fact in by_path.items()
        if path not in disputed
    ]


def said_by(
    events: Mapping[str, EventType], types: Iterable[str], own: Iterable[Fact] = ()
) -> Iterator[Fact]:
    """The `event.` facts of events of these types; `own` are those that some may bring besides."""
    types = tuple(dict.fromkeys(types))
    for fact in BUILT_IN:
        if fact.path.startswith("event."):
            yield replace(fact, choices=types) if fact.path == "event.type" else fact
    yield from facts_of_properties(events, types, own)


def remembered(said: Iterable[Fact], prefix: str) -> Iterator[Fact]:
    """What a run keeps of an event that says this, below `prefix`; texts and lists only if they are short."""
    for fact in said:
        name = fact.path.removeprefix("event.")
        if name in NEVER_KEPT:
            continue
        # A wait may not have ended yet, or in vain.
        is_short = fact.type not in {FactType.TEXT, FactType.LABELS} or name == "type"
        always = fact.always and is_short and prefix == ENTRY
        yield replace(
            fact, path=f"{prefix}{name}", title=f"{fact.title} ({_WHICH[prefix == ENTRY]})", always=always
        )


_WHICH = {True: "of the event that let the contact in", False: "of the event that the step ended with"}


def _common(one: Fact, other: Fact) -> Fact:
    """A fact of one type that two types of events say: what is true of it for both."""
    choices = tuple(dict.fromkeys((*one.choices, *other.choices))) if one.choices and other.choices else ()
    least = None if one.least is None or other.least is None else min(one.least, other.least)
    most = None if one.most is None or other.most is None else max(one.most, other.most)
    always, whole = one.always and other.always, one.whole and other.whole
    return replace(one, choices=choices, always=always, least=least, most=most, whole=whole)


def property_facts(schema: Mapping[str, Any]) -> Iterator[Fact]:
    """The facts that a JSON Schema of properties declares; nested objects and mixed lists offer none."""
    properties = schema.get("properties")
    for name, entry in properties.items() if isinstance(properties, dict) else ():
        if not isinstance(entry, dict):
            continue
        kind = _fact_type(entry)
        if kind is None:
            continue
        options = entry.get("enum", ())
        choices = (
            tuple(option for option in options if isinstance(option, str)) if kind is FactType.TEXT else ()
        )
        is_number, required = kind is FactType.NUMBER, schema.get("required")
        yield Fact(
            f"event.{name}",
            kind,
            str(entry.get("title") or entry.get("description") or name),
            choices,
            always=isinstance(required, list) and name in required,
            least=_bound(entry.get("minimum")) if is_number else None,
            most=_bound(entry.get("maximum")) if is_number else None,
            whole=entry.get("type") == "integer",
        )


def _bound(raw: object) -> float | None:
    return raw if isinstance(raw, int | float) and not isinstance(raw, bool) else None


def _fact_type(entry: Mapping[str, Any]) -> FactType | None:
    match entry.get("type"):
        case "number" | "integer":
            return FactType.NUMBER
        case "string":
            return FactType.TEXT
        case "boolean":
            return FactType.BOOLEAN
        case "array" if isinstance(entry.get("items"), dict) and entry["items"].get("type") == "string":
            return FactType.LABELS
        case _:
            return None
