"""A contact's profile as a value: its fields and the facts it offers; pure, shared with simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from engine.authoring.bundle import Bundle
from engine.journeys.numbers import distinct_clocks
from engine.rules.counting import Ahead, Count, is_current, reading_at
from engine.rules.facts import FactValue

NEVER = datetime.max.replace(tzinfo=UTC)


class Reading(NamedTuple):
    """What one tally says from `since` until `until`."""

    tally: object
    since: datetime
    until: datetime
    value: int | float


class Turns(NamedTuple):
    """When one tally, asked at `since`, passes marks by time alone."""

    tally: object
    since: datetime
    ahead: tuple[Ahead, ...]
    until: datetime
    """From then on it must be asked again."""


@dataclass(slots=True)
class Counted:
    """What the counts of a contact say: from `since` until `until`, while nothing happens."""

    tallies: Mapping[str, Any]
    counts: tuple[tuple[str, Count], ...]
    has_past: bool
    since: datetime
    until: datetime
    facts: Mapping[str, FactValue | None]
    readings: dict[str, Reading] = field(default_factory=dict)
    """By path: what was read off each tally; some of it holds longer than the whole."""
    turns: dict[str, Turns] = field(default_factory=dict)
    """By path, as far as somebody has asked."""
    turns_of: object = None
    """Whose marks those are about."""
    ahead: tuple[datetime, datetime, list[tuple[datetime, str, int | None]]] | None = None
    """From when until when that is so, and all of them by their moments; None until somebody has asked."""


@dataclass
class Profile:
    """The living state of one contact. Fields are those of the contact's row."""

    id: str
    created_at: datetime
    timezone: str | None = None
    timezone_source: str | None = None
    numbers: dict[str, Any] = field(default_factory=dict)
    """Platform -> what the contact's latest phone number there says: its `country` and `zones`."""
    locale: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    derived_tags: set[str] = field(default_factory=set)
    stage: str | None = None
    last_active_at: datetime | None = None
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None
    order_count: int = 0
    total_spent: float = 0.0
    last_send_at: datetime | None = None
    last_event_seq: int = 0
    suppressed: str | None = None
    erased_at: datetime | None = None
    merged_into: str | None = None
    counts: dict[str, Any] = field(default_factory=dict)
    """Count id -> what is kept of it; see `engine.rules.counting`."""
    sends_since_active: int = 0
    silent_since: datetime | None = None
    """Journey time of the oldest marketing message without an answer; None: nothing is owed."""
    scores: dict[str, int] = field(default_factory=dict)
    """Score id -> 1 to 5; as last computed, like everything below."""
    classes: dict[str, str] = field(default_factory=dict)
    """Class id -> what the contact is; `stage` has a field of its own."""
    audiences: set[str] = field(default_factory=set)
    profile_due_at: datetime | None = None
    """Journey time at which it is to be computed anew although nothing has happened; None: never."""

    def __post_init__(self) -> None:
        self.counted: Counted | None = None
        """What `counts` said when they were last asked; no field of the row."""

    @property
    def timezone_candidates(self) -> tuple[str, ...]:
        """Where the contact may be by their numbers, sorted, when that is several clocks.

        Empty where `timezone` is known, and where nothing is.
        """
        return zones_of_numbers(self.numbers) if self.timezone is None else ()


def zones_of_numbers(numbers: Mapping[str, Any]) -> tuple[str, ...]:
    """The zones that phone numbers, kept as in `Profile.numbers`, leave open, one of each clock; sorted."""
    named = {zone for each in numbers.values() for zone in each["zones"]}
    return tuple(named) if len(named) < 2 else distinct_clocks(named)


def countries_of_numbers(numbers: Mapping[str, Any]) -> tuple[str, ...]:
    """The countries of phone numbers that are kept as in `Profile.numbers`, sorted."""
    return tuple(sorted({each["country"] for each in numbers.values() if each["country"]}))


def contact_facts(profile: Profile, bundle: Bundle, now: datetime) -> dict[str, FactValue | None]:
    """The `contact.` facts at journey time `now`, as the bundle declares them.

    Declared attributes have their declared type, instants are parsed from text. A count whose tally was kept
    under another definition is missing.
    """
    facts: dict[str, FactValue | None] = {
        "contact.id": profile.id,
        "contact.created_at": profile.created_at,
        "contact.timezone": profile.timezone,
        "contact.locale": profile.locale,
        "contact.stage": profile.stage,
        "contact.last_active_at": profile.last_active_at,
        "contact.first_order_at": profile.first_order_at,
        "contact.last_order_at": profile.last_order_at,
        "contact.order_count": profile.order_count,
        "contact.total_spent": profile.total_spent,
        "contact.average_order_value": (
            profile.total_spent / profile.order_count if profile.order_count else None
        ),
        "contact.audiences": frozenset(profile.audiences),
        **own_doings(profile),
    }
    named = bundle.contact_facts
    for path, name in named.scores:
        facts[path] = profile.scores.get(name)
    for path, name in named.classes:
        facts[path] = profile.classes.get(name)
    for path, name, kind in named.attributes:
        value = profile.attributes.get(name)
        facts[path] = None if value is None else _typed(value, kind)
    if bundle.plugin_facts:
        # Before the counts, which time alone changes: no fact of a plugin is made of them.
        facts.update(bundle.knowing.values(bundle.plugin_facts, facts))
    facts.update(counted(profile, named.counts, now).facts)
    return facts


def own_doings(profile: Profile) -> dict[str, FactValue | None]:
    """Those of the `contact.` facts that Wayline itself changes, by what it sends and by tags of steps."""
    return {
        "contact.tags": frozenset(profile.tags | profile.derived_tags),
        "contact.last_send_at": profile.last_send_at,
        "contact.sends_since_active": profile.sends_since_active,
    }


def counted(profile: Profile, counts: tuple[tuple[str, Count], ...], now: datetime) -> Counted:
    """What these counts (by path) say of the contact at `now`; remembered for as long as it cannot change."""
    known, tallies, has_past = profile.counted, profile.counts, profile.last_event_seq > 0
    if (
        known is not None
        and known.tallies is tallies  # a count that changes makes a new dictionary
        and known.counts is counts
        and known.has_past == has_past
        and known.since <= now < known.until
    ):
        return known
    facts: dict[str, FactValue | None] = {}
    until = NEVER
    before = known if known is not None and known.counts is counts else None
    readings: dict[str, Reading] = {}
    for path, count in counts:
        tally = tallies.get(count.id)
        read = before.readings.get(path) if before is not None else None
        if read is None or read.tally is not tally or not read.since <= now < read.until:
            if tally is None and not has_past:
                facts[path] = 0 if count.sums is None else 0.0
                continue
            if tally is None or not is_current(count, tally):
                facts[path] = None
                continue
            value, change = reading_at(count, tally, now)
            read = Reading(tally, now, change or NEVER, value)
        readings[path] = read
        facts[path] = read.value
        if read.until < until:
            until = read.until
    turns, marked = (before.turns, before.turns_of) if before is not None else ({}, None)
    profile.counted = Counted(
        tallies, counts, has_past, now, until, facts, readings=readings, turns=turns, turns_of=marked
    )
    return profile.counted


def _typed(value: Any, kind: str) -> FactValue | None:
    """The attribute as a fact of its declared type, or None (missing) when it cannot be read as one."""
    match kind, value:
        case "instant", str():
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                return None
            return moment if moment.tzinfo is not None else None
        case "labels", list():
            return frozenset(str(item) for item in value)
        case "boolean", bool():
            return value
        case "number", int() | float() if not isinstance(value, bool):
            return value
        case "text", str():
            return value
        case _:
            return None
