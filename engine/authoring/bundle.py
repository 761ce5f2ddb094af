"""A bundle: everything the core needs to know of a workspace, immutable and hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from engine.authoring.profile_rules import NOTHING_TO_COMPUTE, STAGE, ProfileRules
from engine.authoring.rule_tests.tests import Landmarks, Suite
from engine.errors import Place
from engine.experiments.holding_out import HoldOut
from engine.gate.hours import NOWHERE_STATED, QuietRule, Residence
from engine.gate.model import Cap, Purpose, Silence
from engine.gate.rates import Provider
from engine.journeys.calendar import WorkingCalendar
from engine.journeys.localtime import MIDNIGHT, clock_moment
from engine.journeys.program import Program
from engine.plugin.contracts import ContentSpec, Lexicon
from engine.risk.model import Breaker
from engine.rules.condition import Condition, Rule, YamlPath
from engine.rules.counting import Count
from engine.rules.facts import Catalogue
from engine.rules.sequences.pattern import Pattern


@dataclass(frozen=True)
class Workspace:
    id: str
    title: str
    timezone: str
    """IANA zone used where a contact's own is not known."""
    locales: tuple[str, ...]
    """The first is the default."""
    identities: tuple[str, ...]
    """Platforms whose addresses contacts may have; traits of these names become identities."""
    attributes: Mapping[str, str]
    """Declared contact attribute -> fact type."""
    late_after: timedelta = timedelta(days=7)
    """An event older than this (journey time) is kept and counted, but starts no journey."""
    ahead_by: timedelta = timedelta(days=1)
    """How far a sender's clock may run ahead; events further in the future become dead letters."""
    numbers: Mapping[str, str | None] = field(default_factory=dict)
    """Platforms whose addresses are phone numbers -> whose numbers those without + are, as CN."""
    residence: Residence = NOWHERE_STATED
    """How it is known in which country a contact lives."""
    queues: Mapping[str, str] = field(default_factory=dict)
    """Lists of tasks for people -> what stands above them."""


@dataclass(frozen=True)
class ChannelConfig:
    """One way out, as the ruleset configures it: which plugin, whose addresses, which settings."""

    id: str
    plugin: str
    identity: str
    settings: Mapping[str, Any]
    """Values; a secret stands as `{"env": NAME}` and is resolved only where the channel is built."""


@dataclass(frozen=True)
class ActionConfig:
    """One thing that journeys can have done, as the ruleset configures it."""

    id: str
    plugin: str
    settings: Mapping[str, Any]
    """As those of a channel."""


@dataclass(frozen=True)
class CheckConfig:
    id: str
    plugin: str
    lexicons: tuple[str, ...]
    purposes: tuple[str, ...]
    """Empty: all purposes."""
    channels: tuple[str, ...]
    """Empty: all channels."""
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class TagRule:
    """A tag that a contact carries exactly while the rule is true."""

    tag: str
    level: str
    """basic | behaviour | value"""
    rule: str


@dataclass(frozen=True)
class EventType:
    id: str
    title: str
    schema: Mapping[str, Any]
    """JSON Schema of the properties."""
    effect: str | None
    """What the engine itself does with it: `order` (paid order, amount in `amount`), `consent_granted`,
    `consent_withdrawn`, `deleted`; None: nothing but the journeys."""
    counts_as_activity: bool = True
    is_own: bool = False
    """Written by Wayline itself; refused when somebody sends it in."""


@dataclass(frozen=True)
class Plan:
    """A prepared set of overrides."""

    id: str
    title: str
    at_most: timedelta
    """Delivery time it may be on."""
    until: date | None
    """The last day on which it may be on, in the workspace's zone."""
    together_with: frozenset[str]
    """Plans that may be on beside it, whichever of them says so."""

    def latest_end(self, now: datetime, zone: ZoneInfo) -> datetime:
        """How long it may be on when it is switched on now; `zone` is the workspace's."""
        ends = now + self.at_most
        if self.until is None:
            return ends
        return min(ends, clock_moment(self.until + timedelta(days=1), MIDNIGHT, zone))


@dataclass(frozen=True)
class ContactFacts:
    """The facts of contacts that a workspace adds: the path of each, with what stands behind it."""

    scores: tuple[tuple[str, str], ...]
    classes: tuple[tuple[str, str], ...]
    """Without `stage`, which every contact has."""
    attributes: tuple[tuple[str, str, str], ...]
    """With the declared type."""
    counts: tuple[tuple[str, Count], ...]


@dataclass(frozen=True)
class Bundle:
    """All files of a workspace, checked and compiled. Equal files give equal hashes."""

    hash: str
    files: Mapping[str, str]
    workspace: Workspace
    purposes: Mapping[str, Purpose]
    events: Mapping[str, EventType]
    programs: Mapping[str, Program]
    """Enabled journeys by id."""
    caps: tuple[Cap, ...]
    channels: Mapping[str, ChannelConfig]
    contents: Mapping[str, Mapping[str, ContentSpec]]
    """content id -> locale -> text"""
    checks: tuple[CheckConfig, ...]
    lexicons: Mapping[str, Lexicon]
    breakers: tuple[Breaker, ...]
    tags: tuple[TagRule, ...]
    rules: tuple[Rule, ...]
    """Every condition of every file; shards: `entry:<event type>` (ids `entry:<journey>`),
    `leave:<journey>`, `goal:<journey>`, `wait:<journey>/<step>`, `branch:<journey>/<step>`, and for profiles
    `scores`, `classes`, `tags`, `audiences`; of counts `count:<event type>`; of patterns
    `pattern:<event type>` and, for what its events share, `pattern:<journey>/<event>`."""
    catalogue: Catalogue
    rule_places: Mapping[str, Place] = field(default_factory=dict)
    """Rule id -> where it is written."""
    test_places: Mapping[tuple[str, YamlPath], Place] = field(default_factory=dict)
    """(rule id, `Test.at`) -> where that single test is written."""
    calendars: Mapping[str, WorkingCalendar] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    plans_on: tuple[str, ...] = ()
    """Ids of the plans whose overrides are in this bundle; its hash is another one for each set of them."""
    paused_purposes: Mapping[str, str] = field(default_factory=dict)
    """Purpose -> the plan that holds its messages."""
    paused_journeys: Mapping[str, str] = field(default_factory=dict)
    """Journey -> the plan that lets nobody in and holds its messages."""
    counts: tuple[Count, ...] = ()
    """Windowed counts of contacts, read as `contact.<id>`."""
    profile: ProfileRules = NOTHING_TO_COMPUTE
    """Scores, classes and audiences; derived tags stand in `tags`."""
    patterns: Mapping[str, Pattern] = field(default_factory=dict)
    """Journeys that are entered by a pattern -> it; the fact `event.patterns` says when it is complete."""
    hold_outs: tuple[HoldOut, ...] = ()
    quiet_hours: tuple[QuietRule, ...] = ()
    silence: Silence | None = None
    """When marketing leaves contacts alone who do not answer."""
    content_values: Mapping[str, float] = field(default_factory=dict)
    """Contents whose value is not 1."""
    providers: Mapping[str, Provider] = field(default_factory=dict)
    """Channel -> what is declared of its account at the provider; without those of which nothing is."""
    suites: tuple[Suite, ...] = ()
    """The workspace's tests; production does without them."""
    actions: Mapping[str, ActionConfig] = field(default_factory=dict)
    plain_contents: Mapping[str, Mapping[str, ContentSpec]] = field(default_factory=dict)
    """content id -> locale -> the text for contacts who refused personalisation"""
    landmarks: Mapping[str, Landmarks] = field(default_factory=dict)
    """Journey -> what there is in it for tests to reach."""
    switches: Mapping[tuple[str, str], Place] = field(default_factory=dict)
    """(`plan` or `breaker`, id) -> where it is written: what operators switch, and tests should."""

    @cached_property
    def contact_facts(self) -> ContactFacts:
        """What contacts have here beside the built-in facts."""
        rules = self.profile
        return ContactFacts(
            scores=tuple((f"contact.{score.id}", score.id) for score in rules.scores),
            classes=tuple((f"contact.{each.id}", each.id) for each in rules.classes if each.id != STAGE),
            attributes=tuple(
                (f"contact.{name}", name, kind) for name, kind in self.workspace.attributes.items()
            ),
            counts=tuple((f"contact.{count.id}", count) for count in self.counts),
        )

    def condition(self, rule_id: str) -> Condition:
        """The condition behind a rule id; KeyError when the bundle has no such rule."""
        return self._conditions[rule_id]

    @cached_property
    def _conditions(self) -> dict[str, Condition]:
        return {rule.id: rule.when for rule in self.rules}
