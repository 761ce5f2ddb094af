"""Compiles a pattern entry: what its events must satisfy alone, and what they share with earlier ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from engine.authoring.compiling.catalogues import Catalogues
from engine.authoring.compiling.conditions import Rulebook
from engine.authoring.compiling.ways_in import events_of
from engine.authoring.definitions import Defined
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.patterns import PatternEntry, SequenceEvent
from engine.rules.condition import All, Condition, FactRef, Test, YamlPath, tests_of
from engine.rules.facts import Catalogue, Fact
from engine.rules.sequences.pattern import Link, Pattern, Step

_OWN = "event."


def compile_pattern(
    journey: Defined[JourneyFile],
    entry: PatternEntry,
    catalogues: Catalogues,
    rulebook: Rulebook,
    late_after: timedelta,
) -> Pattern:
    """The pattern by which contacts enter the journey.

    What an event must satisfy by itself becomes the rules `pattern:<journey>/<event>#<event type>` in the
    shards `pattern:<event type>`; what it shares with earlier ones becomes `pattern:<journey>/<event>`, in a
    shard of that name.
    """
    reader = _Reader(journey, entry, catalogues, rulebook)
    steps = tuple(reader.step(number) for number in range(len(reader.names)))
    return Pattern(
        journey=journey.item.id,
        steps=steps,
        within=entry.within,
        late_after=late_after,
        at_least=entry.at_least,
        in_a_row=entry.in_a_row,
        version=_version(entry, late_after),
        keeps=_keeps(steps),
    )


class _Reader:
    def __init__(
        self, journey: Defined[JourneyFile], entry: PatternEntry, catalogues: Catalogues, rulebook: Rulebook
    ) -> None:
        self._journey = journey
        self._catalogues = catalogues
        self._rulebook = rulebook
        self._events = list(events_of(entry))
        self.names = [
            (event.as_ if isinstance(event, SequenceEvent) else None) or str(number + 1)
            for number, (_, event) in enumerate(self._events)
        ]

    def step(self, number: int) -> Step:
        below, event = self._events[number]
        name = f"pattern:{self._journey.item.id}/{self.names[number]}"
        kinds = tuple(dict.fromkeys(event.event))
        rules: dict[str, str | None] = dict.fromkeys(kinds)
        if event.when is None:
            return Step(self.names[number], rules)
        at = ("enter", "pattern", *below, "when")
        catalogue = self._catalogue(number)
        condition = self._rulebook.read(
            self._journey, at, event.when, catalogue, elsewhere=self._later(number)
        )
        alone, shared = _divided(condition, self.names[:number], self.names[number])
        if alone is not None:
            rules = {kind: f"{name}#{kind}" for kind in kinds}
            names = [(f"{name}#{kind}", f"pattern:{kind}") for kind in kinds]
            self._rulebook.keep(self._journey, at, alone, catalogue, names)
        link = None
        if shared is not None:
            self._rulebook.keep(self._journey, at, shared, catalogue, [(name, name)])
            link = Link(name, tuple(self._asked(shared, number)))
        return Step(self.names[number], rules, link)

    def _catalogue(self, number: int) -> Catalogue:
        """The event's own facts under `event.` and its name, and those of earlier events under theirs."""
        own = self._catalogues.of_events(self._events[number][1].event)
        return own.extended(
            Fact(f"{name}.{fact.path.removeprefix(_OWN)}", fact.type, fact.title, fact.choices)
            for name, (_, event) in zip(self.names[: number + 1], self._events, strict=False)
            for fact in self._catalogues.of_events(event.event)
        )

    def _later(self, number: int) -> Mapping[str, str]:
        """Families of facts that a condition may mean and cannot have here -> why."""
        why = {
            "contact": "a pattern sees events only; ask about the contact in enter.when",
            "calendar": "a pattern sees events only, whenever they are looked at; ask in enter.when",
        }
        for name in self.names[number + 1 :]:
            why[name] = f"'{name}' comes later; a condition sees its own event and earlier ones"
        return why

    def _asked(self, condition: Condition, number: int) -> Iterator[tuple[int, str, str]]:
        families = {name: place for place, name in enumerate(self.names[: number + 1])} | {"event": number}
        for path in dict.fromkeys(_paths(condition)):
            family, _, name = path.partition(".")
            yield families[family], name, path


def _divided(
    condition: Condition | None, earlier: Sequence[str], own: str
) -> tuple[Condition | None, Condition | None]:
    """What the event must satisfy by itself, and what it must share with earlier ones."""
    if condition is None:
        return None, None
    parts = condition.parts if isinstance(condition, All) else (condition,)
    shared = [part for part in parts if any(_family(path) in earlier for path in _paths(part))]
    alone = [_under_event(part, own) for part in parts if part not in shared]
    return _joined(alone, condition.at), _joined(shared, condition.at)


def _joined(parts: Sequence[Condition], at: YamlPath) -> Condition | None:
    return None if not parts else parts[0] if len(parts) == 1 else All(tuple(parts), at)


def _under_event(condition: Condition, own: str) -> Condition:
    """The condition with the event's own name read as `event`: alone it is decided by its own facts."""
    if not isinstance(condition, Test):
        return replace(condition, parts=tuple(_under_event(part, own) for part in condition.parts))
    wanted = condition.wanted
    if isinstance(wanted, FactRef):
        wanted = replace(wanted, path=_renamed(wanted.path, own))
    return replace(condition, path=_renamed(condition.path, own), wanted=wanted)


def _renamed(path: str, own: str) -> str:
    family, _, name = path.partition(".")
    return f"{_OWN}{name}" if family == own else path


def _paths(condition: Condition) -> Iterator[str]:
    for test in tests_of(condition):
        yield test.path
        if isinstance(test.wanted, FactRef):
            yield test.wanted.path


def _family(path: str) -> str:
    return path.partition(".")[0]


def _keeps(steps: Sequence[Step]) -> dict[str, tuple[str, ...]]:
    """Event type -> the properties that links ask of such events."""
    kept: dict[str, dict[str, None]] = {}
    for step in steps:
        for number, name, _ in step.link.asks if step.link is not None else ():
            for kind in steps[number].rules:
                kept.setdefault(kind, {})[name] = None
    return {kind: tuple(names) for kind, names in kept.items()}


def _version(entry: PatternEntry, late_after: timedelta) -> str:
    """Hash of everything that the kept past depends on."""
    data = [entry.model_dump(mode="json", by_alias=True), late_after.total_seconds()]
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
