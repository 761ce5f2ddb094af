"""A bundle: everything the core needs to know of a workspace, immutable and hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from engine.authoring.profile_rules import NOTHING_TO_COMPUTE, STAGE, ProfileRules
from engine.authoring.rule_tests.tests import Landmarks, Suite
from engine.content.platforms import Platform
from engine.errors import Place
from engine.experiments.holding_out import HoldOut
from engine.gate.budgets import Budget
from engine.gate.hours import NOWHERE_STATED, QuietRule, Residence
from engine.gate.model import Cap, Purpose, Silence
from engine.gate.opt_outs import OptOut
from engine.gate.rates import Provider
from engine.gate.reviewing import ReviewPolicy, ReviewStage
from engine.gate.telling import Ground
from engine.gate.windows import ChannelWindows
from engine.gate.worth import EVERYBODY_THE_SAME, ContactValue
from engine.journeys.calendar import WorkingCalendar
from engine.journeys.localtime import MIDNIGHT, clock_moment
from engine.journeys.program import Program, Send
from engine.plugin.brand import BrandBook
from engine.plugin.contracts import ContentSpec, Lexicon
from engine.plugin.counting import Counting
from engine.plugin.knowing import NOBODY, Knowing
from engine.risk.metrics import Metric
from engine.risk.model import Breaker
from engine.rules.condition import Condition, Rule, YamlPath
from engine.rules.counting import Count
from engine.rules.facts import Catalogue
from engine.rules.sequences.pattern import Pattern


@dataclass(frozen=True)
class Merging:
    """How it is noticed that two contacts are one person."""

    by: tuple[str, ...] = ()
    """Platforms of identities that one person has alone; `anonymous` joins whoever has no user id."""
    at_most: int = 5
    """How many contacts may become one without an operator."""


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
    merging: Merging = Merging()
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
    platform: str | None = None
    """The entry of the rule book that its texts keep to."""


@dataclass(frozen=True)
class ActionConfig:
    """One thing that journeys can have done, as the ruleset configures it."""

    id: str
    plugin: str
    settings: Mapping[str, Any]
    """As those of a channel."""
    identity: str | None = None
    """The platform whose address of the contact the action is told."""


@dataclass(frozen=True)
class Price:
    """What texts cost; amounts of money are millionths of the currency."""

    currency: str
    asked: Decimal
    """For a million tokens, in the currency: so for one token, in millionths."""
    answered: Decimal
    as_of: str
    a_day: int
    """The most a day, in millionths."""

    def most(self, tokens: int) -> int:
        """What so many tokens cost at most, asked or answered."""
        return _whole(max(self.asked, self.answered) * tokens)

    def of(self, tokens: int, answered: int | None) -> int:
        """What a text cost that took `tokens`, `answered` of them for the answer; None: all of the dearer."""
        if answered is None:
            return self.most(tokens)
        return _whole(self.asked * (tokens - answered) + self.answered * answered)


def _whole(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_CEILING))


@dataclass(frozen=True)
class GeneratorConfig:
    """One generator that asks somebody else, as the ruleset configures it."""

    id: str
    plugin: str
    settings: Mapping[str, Any]
    """As those of a channel."""
    residents: tuple[str, ...]
    """Countries whose residents' facts it may be told."""
    tokens_a_day: int
    located: str | None = None
    """The country in which it reads them."""
    grounds: tuple[Ground, ...] = ()
    """On which facts are taken there without a consent of its own."""
    price: Price | None = None


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
class DeclaredFact:
    """The fact `contact.<name>` of a plugin, as it was declared when the bundle was published."""

    name: str
    type: str
    title: str
    reads: tuple[str, ...]
    choices: tuple[str, ...] = ()
    personal: bool = False
    version: int = 1


@dataclass(frozen=True)
class DeclaredMetric:
    """A metric of a plugin, as it was declared when the bundle was published."""

    name: str
    title: str
    of: str
    receipts: tuple[str, ...]
    events: tuple[str, ...]
    within: timedelta
    scopes: tuple[str, ...]


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
    opt_outs: tuple[OptOut, ...] = ()
    silence: Silence | None = None
    """When marketing leaves contacts alone who do not answer."""
    budgets: tuple[Budget, ...] = ()
    contact_value: ContactValue = EVERYBODY_THE_SAME
    content_values: Mapping[str, float] = field(default_factory=dict)
    """Contents whose value is not 1."""
    providers: Mapping[str, Provider] = field(default_factory=dict)
    """Channel -> what is declared of its account at the provider; without those of which nothing is."""
    suites: tuple[Suite, ...] = ()
    """The workspace's tests; production does without them."""
    actions: Mapping[str, ActionConfig] = field(default_factory=dict)
    plain_contents: Mapping[str, Mapping[str, ContentSpec]] = field(default_factory=dict)
    """content id -> locale -> the text for contacts who refused personalisation"""
    brand: BrandBook | None = None
    channel_contents: Mapping[str, Mapping[str, Mapping[str, ContentSpec]]] = field(default_factory=dict)
    """content id -> channel -> locale -> the text written for that channel"""
    plain_channel_contents: Mapping[str, Mapping[str, Mapping[str, ContentSpec]]] = field(
        default_factory=dict
    )
    """The same for contacts who refused personalisation."""
    platforms: Mapping[str, Platform] = field(default_factory=dict)
    """The rule book, by id."""
    reviews: tuple[ReviewPolicy, ...] = ()
    """Which texts people have to approve; the first policy that fits a text is its own."""
    review_stages: tuple[ReviewStage, ...] = ()
    generators: Mapping[str, GeneratorConfig] = field(default_factory=dict)
    """Those that ask somebody else; contents may name plugins as well, which work alone."""
    landmarks: Mapping[str, Landmarks] = field(default_factory=dict)
    """Journey -> what there is in it for tests to reach."""
    switches: Mapping[tuple[str, str], Place] = field(default_factory=dict)
    """(`plan` or `breaker`, id) -> where it is written: what operators switch, and tests should."""
    plugin_facts: tuple[str, ...] = ()
    """Names of the facts of contacts that plugins know."""
    knowing: Knowing = field(default=NOBODY, compare=False, repr=False)
    """Asks the plugins of this process for them; they are no part of the bundle."""
    windows: Mapping[str, ChannelWindows] = field(default_factory=dict)
    """Channel -> in which time its platform lets us write, as its plugin says here; without those that may
    always write. Not of the files: whoever reads them with the plugins at hand adds it (`with_windows`)."""

    @property
    def counting(self) -> Counting:
        """Asks the plugins of this process whether what was told counts in their metrics."""
        return self.knowing.counting

    def metrics_told_by_receipt(self, said: str) -> tuple[Metric, ...]:
        """The metrics that breakers watch and to which such receipts matter."""
        return tuple(each for each in self._watched if said in each.receipts)

    def metrics_told_by_event(self, kind: str) -> tuple[Metric, ...]:
        """The metrics that breakers watch and to which events of this type matter."""
        return tuple(each for each in self._watched if kind in each.events)

    @cached_property
    def _watched(self) -> tuple[Metric, ...]:
        return tuple({each.metric.name: each.metric for each in self.breakers}.values())

    def with_windows(self, of_plugins: Mapping[str, ChannelWindows]) -> Bundle:
        """The bundle with what plugins (by name) say of their windows."""
        found = {
            name: of_plugins[each.plugin] for name, each in self.channels.items() if each.plugin in of_plugins
        }
        return replace(self, windows=found) if found != self.windows else self

    @cached_property
    def openers(self) -> Mapping[str, tuple[str, ...]]:
        """Type of event -> the channels of which it opens or closes a window."""
        found: dict[str, tuple[str, ...]] = {}
        for channel, said in self.windows.items():
            for kind in said.heard_by:
                found[kind] = (*found.get(kind, ()), channel)
        return found

    @cached_property
    def texts(self) -> tuple[ContentSpec, ...]:
        """Every text of every content, variants included; one object for as long as the bundle lives."""
        groups = (*self.contents.values(), *self.plain_contents.values())
        return tuple(spec for texts in groups for spec in texts.values())

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

    def platform_of(self, channel: str) -> Platform | None:
        """The rules that texts on a channel keep to; None where the rule book has none of it."""
        config = self.channels.get(channel)
        return None if config is None or config.platform is None else self.platforms.get(config.platform)

    @property
    def generators_asked(self) -> tuple[str, ...]:
        """The generators that contents of journeys name and that ask somebody else, by their ids."""
        sent = {
            step.content
            for each in self.programs.values()
            for step in each.steps.values()
            if isinstance(step, Send)
        }
        named = {spec.generator for name in sent for spec in self.contents.get(name, {}).values()}
        return tuple(sorted(named & set(self.generators)))

    def condition(self, rule_id: str) -> Condition:
        """The condition behind a rule id; KeyError when the bundle has no such rule."""
        return self._conditions[rule_id]

    @cached_property
    def _conditions(self) -> dict[str, Condition]:
        return {rule.id: rule.when for rule in self.rules}
