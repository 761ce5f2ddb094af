"""What a pattern is: events in a given order, or enough of them, within a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

MOST_KEPT = 100
"""How many events are kept of one contact for one pattern: the latest that still matter to it."""
MOST_COUNTED = 50
"""How many events a `count` may ask for: half of what is kept, so that those that break a row fit in too."""
MOST_STEPS = 8
"""How many events a `sequence` may have."""
LONGEST = timedelta(days=90)
"""How long a pattern may take from its first to its last event."""
MOST_TRIALS = 2_000
"""How many events a search for one sequence holds against earlier ones, before it says that there is none."""


@dataclass(frozen=True)
class Link:
    """A condition of one step that asks about earlier steps: it can be decided only when those are known."""

    rule: str
    """Decided over `<alias>.<property>` of the steps so far and `event.<property>` of this one."""
    asks: tuple[tuple[int, str, str], ...]
    """(step, property, fact) that the rule needs, as (0, "product_id", "first.product_id")."""

    @property
    def steps(self) -> frozenset[int]:
        """The steps it asks about, its own included."""
        return frozenset(step for step, _, _ in self.asks)


@dataclass(frozen=True)
class Step:
    """One event of a pattern; a `count` has a single one, which many events fit."""

    name: str
    """Its alias, or its number."""
    rules: Mapping[str, str | None]
    """Event type -> the rule that such an event must satisfy by itself; None: every one fits."""
    link: Link | None = None


@dataclass(frozen=True)
class Pattern:
    """What a contact's events must amount to. Events are used once: a completed pattern begins anew."""

    journey: str
    steps: tuple[Step, ...]
    within: timedelta
    """From the first event to the last, less than this."""
    late_after: timedelta
    """An event that arrives later than this is kept, and completes nothing."""
    at_least: int | None = None
    """So many events that fit the one step; None: one event for each step, in their order."""
    in_a_row: bool = False
    """An event of the same type that does not fit the step ends what came before it."""
    version: str = ""
    """Hash of everything that the kept past depends on."""
    keeps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Event type -> properties that links ask for later."""

    @property
    def events(self) -> tuple[str, ...]:
        """The event types that it looks at."""
        return tuple(dict.fromkeys(kind for step in self.steps for kind in step.rules))
