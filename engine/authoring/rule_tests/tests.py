"""Tests of rulesets once they are read and checked, and what there is in a journey for them to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

from engine.errors import Place
from engine.rules.condition import Condition, YamlPath

ONLY_CONTACT = "contact"
"""What the contact of a test is called that has one."""


@dataclass(frozen=True)
class Cast:
    """Someone a test is about."""

    name: str
    timezone: str
    """IANA zone: the contact's own, or else the workspace's."""
    states_timezone: bool
    """Whether the zone is the contact's own."""
    locale: str | None = None
    consents: tuple[str, ...] = ()
    identities: Mapping[str, str] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    arms: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(journey, step) -> arm of an experiment."""
    held_out: frozenset[str] = frozenset()
    """Hold-outs."""


@dataclass(frozen=True)
class Happening:
    """Something that happens to one of them."""

    at: datetime
    contact: str
    event: str
    properties: Mapping[str, Any]
    traits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a person answers to a task."""

    at: datetime
    contact: str
    journey: str
    step: str
    choice: str
    place: Place


@dataclass(frozen=True)
class SaidEnd:
    """How the call of a step ends."""

    journey: str
    step: str
    outcome: str
    results: Mapping[str, Any]
    contact: str | None
    """None: whoever's."""


@dataclass(frozen=True)
class Turn:
    """From here on just these plans are on."""

    at: datetime
    plans: tuple[str, ...]


@dataclass(frozen=True)
class Trip:
    """A breaker is tripped or reset by hand."""

    at: datetime
    breaker: str
    scope: str
    """As `channel:email`."""
    level: str | None
    """None: it is reset."""


@dataclass(frozen=True)
class Join:
    """Two of the contacts turn out to be one."""

    at: datetime
    one: str
    other: str


@dataclass(frozen=True)
class Halting:
    """A share of a budget is halted by hand, or let go on."""

    at: datetime
    budget: str
    share: str
    halted: bool


Act = Turn | Trip | Join | Halting


@dataclass(frozen=True)
class Window:
    """When something is expected; `last` does not belong to it any more."""

    first: datetime
    last: datetime
    text: str
    """As it is written."""

    def __contains__(self, moment: datetime) -> bool:
        return self.first <= moment < self.last


@dataclass(frozen=True)
class Expectation:
    """One thing that must come to pass."""

    kind: str
    """send | held | not_sent | task | called | entered | not_entered | ended | facts"""
    contact: str
    place: Place
    window: Window | None = None
    journey: str = ""
    step: str = ""
    """With messages and tasks."""
    channel: str | None = None
    content: str | None = None
    queue: str | None = None
    local_time: time | None = None
    contains: tuple[str, ...] = ()
    reason: str | None = None
    condition: Condition | None = None
    """With facts."""
    test_places: Mapping[YamlPath, Place] = field(default_factory=dict)
    """Where the tests of that condition are written."""


@dataclass(frozen=True)
class RuleTest:
    """One test."""

    name: str
    place: Place
    start: datetime
    until: datetime
    contacts: tuple[Cast, ...]
    history: tuple[Happening, ...]
    """Before the start, in order."""
    events: tuple[Happening, ...]
    """In order."""
    expected: tuple[Expectation, ...]
    answers: tuple[Answer, ...] = ()
    """In order."""
    calls: tuple[SaidEnd, ...] = ()
    """How calls end that are not simply done, in order."""
    acts: tuple[Act, ...] = ()
    """In order."""


@dataclass(frozen=True)
class Suite:
    """The tests of one file."""

    file: str
    journeys: tuple[str, ...]
    """Those that run in these tests."""
    tests: tuple[RuleTest, ...]
    about: frozenset[str] = frozenset()
    """Those whose file is named, or of which something is expected: the others run along."""


@dataclass(frozen=True)
class Way:
    """One way on from a step, where there are several."""

    step: str
    name: str
    """As `then`, `else`, `cases[0]`, `outcomes.capped`."""
    place: Place
    first: str | None
    """The step it begins with; None when it goes straight on."""


@dataclass(frozen=True)
class Landmarks:
    """What there is in a journey for tests to reach."""

    steps: Mapping[str, Place]
    ways: tuple[Way, ...]
