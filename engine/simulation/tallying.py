"""What a bundle did to a population in a period, counted as contacts go by; of its size, not of theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from engine.authoring.bundle import Bundle
from engine.simulation.records import Decided, Sent
from engine.simulation.traffic import Traffic


@dataclass(frozen=True)
class Period:
    """What is reported on; what was lived through before `since` only led up to it."""

    begin: datetime
    """From here on contacts live under the bundle."""
    since: datetime
    until: datetime
    """Not included."""

    @property
    def days(self) -> float:
        """Its length."""
        return (self.until - self.since) / timedelta(days=1)


@dataclass
class Tally:
    """Counts over a period. Days are those of the workspace's zone."""

    bundle: Bundle
    period: Period
    contacts: int = 0
    reached: int = 0
    """Contacts to whom at least one message went."""
    events: int = 0
    sends: Counter[tuple[date, str, str]] = field(default_factory=Counter)
    """(day, journey, channel)"""
    entered: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Entries: (journey, reason)"""
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Runs: (journey, how they ended)"""
    stopped: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Messages that did not leave: (journey, step, reason)"""
    capped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Messages refused by a cap: (the cap that decided, journey)"""
    held: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Holds: (journey, reason, the cap that decided or "")"""
    held_for: timedelta = timedelta()
    """All holds with a known end together."""
    recorded_refusals: int = 0
    """Messages that failed because the record says that a provider refused them."""
    traffic: Traffic = field(default_factory=Traffic)

    def __post_init__(self) -> None:
        self.traffic.since = self.period.since
        self._zone = ZoneInfo(self.bundle.workspace.timezone)

    def note(self, sends: Iterable[Sent], decisions: Iterable[Decided], events: int) -> None:
        """Add what came of one contact, to whom so many events happened in the period."""
        self.contacts += 1
        self.events += events
        counted = self.sends_in(sends)
        self.reached += bool(counted)
        for sent in counted:
            self.sends[self._day(sent.at), sent.journey, sent.channel] += 1
        for decided in self._within(decisions):
            self._note(decided)

    def sends_in(self, sends: Iterable[Sent]) -> list[Sent]:
        """Those of the period."""
        return [sent for sent in sends if self.period.since <= sent.at < self.period.until]

    def _within(self, decisions: Iterable[Decided]) -> Iterable[Decided]:
        return (each for each in decisions if self.period.since <= each.at < self.period.until)

    def _day(self, moment: datetime) -> date:
        return moment.astimezone(self._zone).date()

    def _note(self, decided: Decided) -> None:
        journey = decided.journey or ""
        match decided.kind, decided.verdict:
            case "entry", "allow":
                self.entered[journey] += 1
            case "entry", _:
                self.refused[journey, decided.reason] += 1
            case "run", _:
                outcome = decided.evidence.get("outcome")
                if outcome is not None:
                    self.outcomes[journey, str(outcome)] += 1
            case "message", "allow":
                pass  # it is among the sends
            case "message", "hold":
                self.held[journey, decided.reason, str(decided.evidence.get("cap", ""))] += 1
                if decided.hold_until is not None:
                    self.held_for += max(decided.hold_until - decided.at, timedelta())
            case "message", _:
                self.stopped[journey, decided.step or "", decided.reason] += 1
                cap = decided.evidence.get("cap")
                if cap is not None:
                    self.capped[str(cap), journey] += 1
                self.recorded_refusals += decided.reason in ("channel.rejected", "failed.rejected")
