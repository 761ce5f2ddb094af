"""The typed catalogue of facts that conditions may name.

Facts live under `event.`, `contact.`, `journey.` and `metric.`. Instants are facts, ages are tests.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

# What a decision sees: catalogue paths to plain values; a missing path (or None) is a missing fact.
# number -> int | float, text -> str, boolean -> bool, instant -> aware datetime, labels -> frozenset[str]
FactValue = int | float | str | bool | datetime | frozenset[str]
Facts = Mapping[str, FactValue | None]


class FactType(StrEnum):
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    LABELS = "labels"


@dataclass(frozen=True)
class Fact:
    """One thing a condition may ask about."""

    path: str
    type: FactType
    title: str
    choices: tuple[str, ...] = ()
    personal: bool = False
    """Says something of a person that explanations must not repeat (a name, an address)."""
    always: bool = False
    """Never missing where it can be asked about: every contact or every such event has it."""
    least: float | None = None
    """A number is never below this."""
    most: float | None = None
    """A number is never above this."""
    whole: bool = False
    """A number is always a whole one."""


_PLAIN: dict[type, FactType] = {
    bool: FactType.BOOLEAN,
    int: FactType.NUMBER,
    str: FactType.TEXT,
    frozenset: FactType.LABELS,
}


def kind_of(value: object) -> FactType | None:
    """Which type a plain value is; None for what no fact can be (naive moments, NaN, infinities, lists)."""
    kind = _PLAIN.get(value.__class__)  # most values; the rest needs a closer look
    if kind is not None:
        return kind
    match value:
        case bool():
            return FactType.BOOLEAN
        case int():
            return FactType.NUMBER
        case float():
            return FactType.NUMBER if math.isfinite(value) else None
        case str():
            return FactType.TEXT
        case datetime():
            return None if value.utcoffset() is None else FactType.INSTANT
        case frozenset() | set():
            return FactType.LABELS
        case _:
            return None


_SHOWN = 8
_DECLARED = {
    "event": "new properties are declared with the event's type, in the file of kind events",
    "contact": "new ones are declared under attributes in wayline.yaml, or computed in a file of kind tags",
}


class Catalogue:
    """The facts of one place: built-in ones, the workspace's attributes, an event's properties."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._facts = {fact.path: fact for fact in facts}

    def __iter__(self) -> Iterator[Fact]:
        return iter(sorted(self._facts.values(), key=lambda fact: fact.path))

    def get(self, path: str) -> Fact | None:
        return self._facts.get(path)

    def nearest(self, path: str) -> str | None:
        """The known path most like `path`, for a "did you mean"; None when nothing is close."""
        group, dot, name = path.partition(".")
        own = {fact.partition(".")[2]: fact for fact in self._facts if fact.startswith(f"{group}.")}
        if dot and own:
            # The group is right: what it shares with every fact of the group says nothing.
            close = difflib.get_close_matches(name, own, n=1, cutoff=0.6)
            if close:
                return own[close[0]]
        same = [fact for fact in sorted(self._facts) if fact.partition(".")[2] == (name or path)]
        close = same or difflib.get_close_matches(path, self._facts, n=1, cutoff=0.75)
        return close[0] if close else None

    def known_in(self, path: str) -> str:
        """A hint for a fact that is like no other: what there is, and where more is declared."""
        group = path.partition(".")[0]
        known = [fact.path for fact in self if fact.path.startswith(f"{group}.")]
        own = [each for each in known if self._facts[each] not in BUILT_IN] or known
        declared = _DECLARED.get(group)
        if declared is None or not known:
            return "`wayline facts` lists what a condition may ask about"
        shown = ", ".join(own[:_SHOWN]) + (f" and {len(own) - _SHOWN} more" if len(own) > _SHOWN else "")
        return f"known are {shown} (all: `wayline facts`); {declared}"

    @property
    def personal(self) -> frozenset[str]:
        """The paths whose values must not be repeated in explanations."""
        return frozenset(path for path, fact in self._facts.items() if fact.personal)

    def extended(self, facts: Iterable[Fact]) -> Catalogue:
        """This catalogue with more facts beside its own."""
        return Catalogue([*self._facts.values(), *facts])


BUILT_IN: tuple[Fact, ...] = (
    Fact("event.type", FactType.TEXT, "the event's type", always=True),
    Fact("event.occurred_at", FactType.INSTANT, "when it happened, by the sender's clock", always=True),
    Fact("event.received_at", FactType.INSTANT, "when Wayline took it in", always=True),
    Fact("event.source", FactType.TEXT, "who sent it in"),
    Fact(
        "event.patterns",
        FactType.LABELS,
        "ids of the journeys whose pattern this event completes",
        always=True,
    ),
    Fact("contact.id", FactType.TEXT, "the contact's own id in Wayline", always=True),
    Fact("contact.created_at", FactType.INSTANT, "when the contact was first seen", always=True),
    Fact("contact.timezone", FactType.TEXT, "the contact's IANA time zone"),
    Fact("contact.locale", FactType.TEXT, "the contact's language, as zh or en"),
    Fact("contact.tags", FactType.LABELS, "labels on the contact", always=True),
    Fact("contact.stage", FactType.TEXT, "the life-cycle stage", ("new", "growing", "valued", "churned")),
    Fact("contact.last_active_at", FactType.INSTANT, "the latest thing the contact did"),
    Fact("contact.first_order_at", FactType.INSTANT, "the first paid order"),
    Fact("contact.last_order_at", FactType.INSTANT, "the latest paid order"),
    Fact("contact.order_count", FactType.NUMBER, "paid orders so far", always=True, least=0, whole=True),
    Fact("contact.total_spent", FactType.NUMBER, "the sum of paid orders", always=True),
    Fact("contact.average_order_value", FactType.NUMBER, "total spent divided by orders"),
    Fact("contact.last_send_at", FactType.INSTANT, "the latest message handed over to a provider"),
    Fact(
        "contact.sends_since_active",
        FactType.NUMBER,
        "messages sent since the contact last did something",
        always=True,
        least=0,
        whole=True,
    ),
    Fact("contact.audiences", FactType.LABELS, "the audiences the contact is in", always=True),
)
