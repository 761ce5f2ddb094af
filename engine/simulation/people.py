"""The people of a simulation, and what is kept of each while virtual time goes by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.authoring.bundle import Bundle, EventType, Workspace
from engine.contacts.computing import Deriving, Outlook
from engine.contacts.hearing import HeardOn, hearings, with_hearing
from engine.contacts.profile import Counted, Profile, contact_facts, counted, own_doings
from engine.contacts.updating import apply_traits, learn_number
from engine.errors import NotFound
from engine.gate.consent import ANY, ConsentRecord
from engine.intake.checking import kind_of
from engine.intake.identifying import normalised
from engine.journeys.event import Event
from engine.journeys.interpreter import Decider
from engine.journeys.matching import History, Listener
from engine.journeys.program import Program
from engine.journeys.run import EventSeen, RunState
from engine.rules.facts import Facts
from engine.simulation.forecasting import Coming


@dataclass(frozen=True)
class Person:
    """Someone a simulation begins with."""

    id: str
    identities: Mapping[str, str] = field(default_factory=dict)
    """Platform -> address."""
    consents: tuple[str, ...] = ()
    """Purposes granted on every channel before the simulation begins."""
    timezone: str | None = None
    """Stated, or as `timezone_source` says; without one, their phone numbers tell."""
    timezone_source: str = "stated"
    locale: str | None = None
    tags: frozenset[str] = frozenset()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    arms: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(journey, step) -> the arm of that experiment that the person was given before."""
    ledger: tuple[ConsentRecord, ...] = ()
    """What the consent ledger holds of them before the simulation begins, in its order."""
    suppressed: str | None = None
    """Why nothing may reach them at all."""


@dataclass
class VirtualRun:
    """A run in memory: its state, and what its row would hold beside it."""

    state: RunState
    program: Program
    entry: Mapping[str, Any]
    """What templates see of the event that started it."""
    entered_by: Event
    lasting: tuple[Listener, ...]
    started_at: datetime
    bundle: Bundle
    """In force when it entered, or what it was taken over to."""
    matcher: Decider
    """Of that bundle."""
    at_step: tuple[Listener, ...] = ()
    """What the present step listens for; empty once it has heard its event."""
    heard: EventSeen | None = None
    """The event that it heard last."""
    since: list[Event] = field(default_factory=list)
    """What came since it waits for an event: another version of its journey may wait for one of these."""
    call_ends_at: datetime | None = None
    """When a call that is held expires."""

    @property
    def rank(self) -> tuple[datetime, str, str]:
        return self.started_at, self.program.journey, self.state.entry_key


@dataclass
class Living:
    """One person as they stand at the present moment."""

    profile: Profile
    identities: dict[str, str]
    """Platform -> the latest address on it."""
    consents: list[ConsentRecord]
    addresses: set[tuple[str, str]] = field(default_factory=set)
    """Every (platform, address) that was ever theirs."""
    seq: int = 0
    """Of the latest event."""
    active: dict[str, VirtualRun] = field(default_factory=dict)
    entered: set[tuple[str, str]] = field(default_factory=set)
    """Journey and entry key of all runs so far."""
    since: dict[str, datetime] = field(default_factory=dict)
    """Platform -> when its latest address came."""
    heard: dict[tuple[str, str], HeardOn] = field(default_factory=dict)
    """(platform, address) -> when they were heard there, as far as that opens a window."""
    past: list[Event] = field(default_factory=list)
    """Events so far, kept where people may turn out to be one."""
    pasts: dict[str, Any] = field(default_factory=dict)
    """What is kept for patterns, by journey."""
    history: dict[str, History] = field(default_factory=dict)
    planned_at: datetime | None = None
    """When the world looks at the profile next, as far as it is planned."""

    firings: dict[str, Coming] = field(default_factory=dict)
    """Journey -> its next firing that concerns this person, as far as it is planned."""
    fired: set[str] = field(default_factory=set)
    """Ids of the events by which firings reached them."""

    known: tuple[Bundle, Counted | None, Facts] | None = None
    """The `contact.` facts as they were last read; None once anything about the person has changed."""

    planned_with: object = None
    """What was `known` when firings were planned last."""

    outlook: tuple[Deriving, Outlook] | None = None
    """What time alone will make of the profile, by whom it was asked; None once anything else has changed."""

    def facts(self, bundle: Bundle, now: datetime) -> Facts:
        """The `contact.` facts of the person, as the bundle declares them."""
        known = self.known
        if known is None or known[0] is not bundle:
            return self.know(bundle, contact_facts(self.profile, bundle, now))
        # By time alone nothing changes but what counts say.
        counts = self.profile.counted
        if counts is not None and known[1] is counts and counts.since <= now < counts.until:
            return known[2]
        here = counted(self.profile, bundle.contact_facts.counts, now)
        return known[2] if here is known[1] else self.know(bundle, {**known[2], **here.facts})

    def forget(self) -> None:
        """Let nothing be known of the person that was read before: something about them has changed."""
        self.known = self.outlook = None

    def know(self, bundle: Bundle, facts: Facts) -> Facts:
        """Keep facts of the person that were just read; the same."""
        self.known = bundle, self.profile.counted, facts
        return facts

    def note_own_doings(self) -> None:
        """What is known of the person after Wayline itself has changed them; the rest of it is as it was."""
        self.outlook = None
        if self.known is not None:
            bundle, counts, facts = self.known
            self.known = bundle, counts, {**facts, **own_doings(self.profile)}

    def sort_runs(self) -> None:
        """Bring the active runs into the order in which production reads them at the start of a batch."""
        if len(self.active) > 1:
            runs = sorted(self.active.items(), key=lambda item: item[1].rank)
            self.active = dict(runs)


def begin(person: Person, workspace: Workspace, now: datetime) -> Living:
    """The person at the moment the simulation begins."""
    profile = Profile(
        id=person.id,
        created_at=now,
        timezone=person.timezone,
        timezone_source=person.timezone_source if person.timezone else None,
        locale=person.locale,
        attributes=dict(person.attributes),
        tags=set(person.tags),
        suppressed=person.suppressed,
    )
    for platform, country in workspace.numbers.items():
        if platform in person.identities:
            learn_number(profile, platform, person.identities[platform], country)
    living = Living(profile, dict(person.identities), [*grants(person.consents, now), *person.ledger])
    living.addresses |= set(person.identities.items())
    living.since = dict.fromkeys(person.identities, now)
    return living


def state(person: Living, traits: Mapping[str, Any], bundle: Bundle, now: datetime) -> None:
    """Write down what a sender states of the person; a new address is from now on that of its platform."""
    person.forget()
    apply_traits(person.profile, traits, bundle.workspace, now)
    numbers = bundle.workspace.numbers
    for platform in bundle.workspace.identities:
        given = traits.get(platform)
        address = normalised(platform, given, numbers) if isinstance(given, str) else None
        if address is not None and (platform, address) not in person.addresses:
            person.addresses.add((platform, address))
            person.since[platform] = now
            if platform in numbers:
                learn_number(person.profile, platform, address, numbers[platform])
            others = {name: each for name, each in person.identities.items() if name != platform}
            person.identities = {platform: address, **others}


def hear(person: Living, event: Event, bundle: Bundle) -> None:
    """Note that the person was heard, at their latest address, where the event opens a window."""
    for hearing in hearings(event, bundle):
        address = person.identities.get(hearing.platform)
        if address is not None:
            where = hearing.platform, address
            person.heard[where] = with_hearing(person.heard.get(where, {}), hearing)


def known_kind(event_type: str, bundle: Bundle) -> EventType:
    """What the workspace knows of events of a type. NotFound when it takes none of them."""
    kind = kind_of(event_type, bundle)
    if kind is None:
        raise NotFound(f"the workspace declares no event type {event_type!r}")
    return kind


def grants(purposes: Iterable[str], now: datetime) -> list[ConsentRecord]:
    """Consent for each purpose on every channel."""
    return [ConsentRecord(purpose, ANY, "granted", now) for purpose in purposes]
