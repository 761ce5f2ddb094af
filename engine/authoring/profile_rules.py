"""What a bundle says about computing contacts: scores, classes, derived tags and audiences, in layers.

Each layer sees the facts of those before it and none of its own: counts, scores, classes, tags, audiences.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from engine.rules.counting import Count
from engine.rules.timing import Marks, Turns

SCORES, CLASSES, TAGS, AUDIENCES = "scores", "classes", "tags", "audiences"
"""The shards in which the layers' rules are decided."""

STAGE = "stage"
"""The class that is the contact's life-cycle stage."""


@dataclass(frozen=True)
class Score:
    """A number from 1 to 5, the fact `contact.<id>`: that of the first band whose rule is true."""

    id: str
    title: str
    bands: tuple[tuple[str, int], ...]
    """(rule id, score)"""
    otherwise: int | None = None


@dataclass(frozen=True)
class ContactClass:
    """A text from a closed set, the fact `contact.<id>`: that of the first case whose rule is true."""

    id: str
    title: str
    cases: tuple[tuple[str, str], ...]
    """(rule id, class)"""
    otherwise: str | None = None

    @property
    def choices(self) -> tuple[str, ...]:
        """Every class there is, in the order written."""
        last = () if self.otherwise is None else (self.otherwise,)
        return tuple(dict.fromkeys((*(name for _, name in self.cases), *last)))


@dataclass(frozen=True)
class Audience:
    """A set of contacts; its id stands in `contact.audiences` while the rule is true."""

    id: str
    title: str
    rule: str


@dataclass(frozen=True)
class ProfileRules:
    """Everything of a bundle that says how a profile is computed, derived tags aside (`Bundle.tags`)."""

    scores: tuple[Score, ...] = ()
    classes: tuple[ContactClass, ...] = ()
    audiences: tuple[Audience, ...] = ()
    turns: Turns = field(default_factory=dict)
    """When one of the rules may change by time alone."""
    counts: tuple[tuple[str, Count, Marks | None], ...] = ()
    """The counts that the rules ask for: path, count, and the values at which one of the rules may turn."""
    reads: frozenset[str] = frozenset()
    """The contact facts that the rules ask for, as far as they are not computed by them."""
    version: str = ""
    """Content hash of all of it, counts and derived tags included; "" when there is nothing to compute."""

    @cached_property
    def audience_ids(self) -> frozenset[str]:
        return frozenset(audience.id for audience in self.audiences)


NOTHING_TO_COMPUTE = ProfileRules()
