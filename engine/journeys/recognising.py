"""Which patterns an event completes: the events of one contact held against all patterns of a bundle.

Pure, and the same for every driver: what is kept of a contact's past comes in and goes out as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from engine.changing import changed
from engine.journeys.event import Event, event_facts
from engine.journeys.interpreter import Decider
from engine.rules.facts import FactValue
from engine.rules.sequences.automaton import Arrival, Judged, judge
from engine.rules.sequences.past import Past, Stored, recalled, stored
from engine.rules.sequences.pattern import Pattern

LONGEST_TEXT = 500
"""Longer texts are not kept for later comparisons: what they would be compared with stays unknown."""
_INSTANTS = ("occurred_at", "received_at")

Pasts = Mapping[str, Stored]
"""What is kept of one contact, by journey."""


class Recogniser:
    """The patterns of one bundle, ready to look at events."""

    def __init__(self, patterns: Mapping[str, Pattern], matcher: Decider) -> None:
        self._patterns = patterns
        self._matcher = matcher
        self._by_type: dict[str, list[Pattern]] = {}
        for _, pattern in sorted(patterns.items()):
            for kind in pattern.events:
                self._by_type.setdefault(kind, []).append(pattern)
        self._decided = {
            kind
            for pattern in patterns.values()
            for step in pattern.steps
            for kind, rule in step.rules.items()
            if rule is not None
        }

    @property
    def events(self) -> frozenset[str]:
        """The event types that matter to a pattern."""
        return frozenset(self._by_type)

    def begin(self) -> dict[str, Any]:
        """The pasts of somebody to whom nothing has happened."""
        return {name: stored(Past(), pattern.version) for name, pattern in self._patterns.items()}

    def is_current(self, pasts: Pasts) -> bool:
        """Whether all of the pasts were kept under the present definitions."""
        return len(pasts) == len(self._patterns) and all(
            pasts.get(name, {}).get("v") == pattern.version for name, pattern in self._patterns.items()
        )

    def rebuilt(self, events: Iterable[Event], known: Pasts) -> dict[str, Any]:
        """The pasts after all these events, in the order of arrival; what is current in `known` stays."""
        current = {
            name: known[name]
            for name, pattern in self._patterns.items()
            if known.get(name, {}).get("v") == pattern.version
        }
        anew = Recogniser(
            {name: pattern for name, pattern in self._patterns.items() if name not in current}, self._matcher
        )
        pasts = anew.begin()
        for event in events:
            _, pasts = anew.look(event, pasts)
        return {**pasts, **current}

    def look(self, event: Event, pasts: Pasts) -> tuple[Event, dict[str, Any]]:
        """The event with the patterns it completes, and the contact's pasts after it.

        A pattern that would be complete had the event not been late is among them: what is late is refused
        at the journey's door, and its events stay unused. A past of another definition is left as it is and
        completes nothing.
        """
        patterns = self._by_type.get(event.type)
        if patterns is None:
            return event, dict(pasts)
        facts = event_facts(event)
        fitting: set[str] = set()
        if event.type in self._decided:
            fitting = set(self._matcher.matching(f"pattern:{event.type}", facts, event.received_at))
        after = dict(pasts)
        labels: list[str] = []
        for pattern in patterns:
            past = recalled(pasts.get(pattern.journey), pattern.version)
            if past is None:
                continue
            judged = self._judge(pattern, past, event, facts, fitting)
            if judged.past is not past:
                after[pattern.journey] = stored(judged.past, pattern.version)
            if judged.used or judged.is_late:
                labels.append(pattern.journey)
            elif judged.so_far:
                labels.append(f"{pattern.journey} {judged.so_far}/{pattern.at_least}")
        return changed(event, patterns=frozenset(labels)), after

    def _judge(
        self,
        pattern: Pattern,
        past: Past,
        event: Event,
        facts: Mapping[str, FactValue | None],
        fitting: set[str],
    ) -> Judged:
        fits = 0
        for number, step in enumerate(pattern.steps):
            if event.type in step.rules and step.rules[event.type] in (None, *fitting):
                fits |= 1 << number
        says: dict[str, Any] = {}
        for name in pattern.keeps.get(event.type, ()) if fits else ():
            value = _plain(facts.get(f"event.{name}"))
            if value is not None:
                says[name] = value

        def decides(rule: str, asked: Mapping[str, Any]) -> bool:
            known = {path: _fact(path, value) for path, value in asked.items()}
            return self._matcher.holds(rule, known, event.received_at)

        arrival = Arrival(event.occurred_at, event.received_at, event.seq, fits, says)
        return judge(pattern, past, arrival, decides)


def _plain(value: FactValue | None) -> Any:
    """A fact as JSON; None for what is not kept."""
    match value:
        case frozenset():
            return sorted(value) if sum(map(len, value)) <= LONGEST_TEXT else None
        case datetime():
            return value.isoformat()
        case str():
            return value if len(value) <= LONGEST_TEXT else None
        case _:
            return value


def _fact(path: str, value: Any) -> FactValue:
    """The fact again."""
    if isinstance(value, list):
        return frozenset(value)
    if path.rpartition(".")[2] in _INSTANTS:
        return datetime.fromisoformat(value)
    known: FactValue = value
    return known
