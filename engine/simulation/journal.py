"""What happened inside a simulation, in order: events, the conditions that were asked, the steps taken.

Kept only where somebody wants to see it: tests of rulesets, which show it when they fail and count what was
reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.authoring.bundle import Bundle
from engine.journeys.event import Event
from engine.journeys.interpreter import Advanced, Decider
from engine.journeys.run import Cause
from engine.rules.facts import Facts
from engine.simulation.records import Decided


@dataclass(frozen=True)
class Happened:
    """An event came."""

    event: Event
    traits: Mapping[str, object]


@dataclass(frozen=True)
class Asked:
    """Conditions were asked together, with these facts; which of them were true."""

    at: datetime
    contact_id: str
    rules: Sequence[str]
    true: frozenset[str]
    facts: Facts


@dataclass(frozen=True)
class Moved:
    """A run went from its cause to its next wait or its end."""

    at: datetime
    contact_id: str
    journey: str
    cause: Cause
    before: str | None
    """The step it stood at."""
    done: Advanced


Entry = Happened | Asked | Moved | Decided


class Journal:
    """Writes down what a simulation does; asked about a condition, it asks the matcher."""

    def __init__(self, matcher: Decider, shards: Mapping[str, Sequence[str]]) -> None:
        self.decisions: list[Decided] = []
        """Those of the simulation, which appends to it."""
        self._noted: list[tuple[int, Happened | Asked | Moved]] = []
        """With how many decisions there were before."""
        self._whose = ""
        """Whose event came last."""
        self._matcher = matcher
        self._shards = shards

    def beside(self, matcher: Decider, shards: Mapping[str, Sequence[str]]) -> Journal:
        """The same journal, for conditions that another matcher answers."""
        other = Journal(matcher, shards)
        other.decisions, other._noted = self.decisions, self._noted
        return other

    def matching(self, shard: str, facts: Facts, now: datetime) -> Sequence[str]:
        """The shard's rules that are true, as the matcher says."""
        true = self._matcher.matching(shard, facts, now)
        self._ask(self._shards.get(shard, ()), true, facts, now)
        return true

    def holds(self, rule_id: str, facts: Facts, now: datetime) -> bool:
        """Whether one rule is true, as the matcher says."""
        answer = self._matcher.holds(rule_id, facts, now)
        self._ask((rule_id,), (rule_id,) if answer else (), facts, now)
        return answer

    def happened(self, event: Event, traits: Mapping[str, object]) -> None:
        """Write down that an event came."""
        self._whose = event.contact_id
        self._note(Happened(event, traits))

    def moved(self, before: str | None, cause: Cause, done: Advanced, now: datetime) -> None:
        """Write down where a run went."""
        run = done.run
        self._note(Moved(now, run.contact_id, run.journey, cause, before, done))

    def entries(self) -> list[Entry]:
        """Everything so far, decisions among it, in the order in which it happened."""
        merged: list[Entry] = []
        told = 0
        for before, entry in self._noted:
            merged += self.decisions[told:before]
            told = before
            merged.append(entry)
        return [*merged, *self.decisions[told:]]

    def _ask(self, rules: Sequence[str], true: Sequence[str], facts: Facts, now: datetime) -> None:
        # What is asked of an event alone does not say whose it is.
        whose = facts.get("contact.id") or self._whose
        self._note(Asked(now, str(whose), rules, frozenset(true), dict(facts)))

    def _note(self, entry: Happened | Asked | Moved) -> None:
        self._noted.append((len(self.decisions), entry))


def shards_of(bundle: Bundle) -> dict[str, list[str]]:
    """Shard -> the ids of its rules, in order."""
    shards: dict[str, list[str]] = {}
    for rule in bundle.rules:
        shards.setdefault(rule.shard, []).append(rule.id)
    return shards
