"""A profile as its rules make it, layer by layer: scores, classes, derived tags, audiences; pure.

Every layer sees the facts of those before it and none of its own, so the answer depends on the facts and the
moment alone: computed again, it is the same, and it hangs neither on what it was before nor on the order of
the rules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from engine.authoring.bundle import Bundle
from engine.authoring.profile_rules import AUDIENCES, CLASSES, SCORES, STAGE, TAGS
from engine.contacts.counting import next_count_turn_at
from engine.contacts.profile import Profile, contact_facts
from engine.gate.model import Purpose, Silence
from engine.gate.tolerance import after_send
from engine.rules.facts import FactValue
from engine.rules.matcher import Matcher
from engine.rules.timing import next_turn

OWN_DOING = timedelta(minutes=1)
"""How long after Wayline itself changed a contact (a step's tags, a message sent) it is computed anew.

What a journey does to an audience that brings people into that journey comes round at most once in this time.
"""

_SEND_FACTS = frozenset({"contact.last_send_at", "contact.sends_since_active"})


@dataclass(frozen=True)
class Crossing:
    """A contact entering or leaving an audience."""

    audience: str
    entered: bool


@dataclass(frozen=True)
class Computed:
    """What came out beside the profile itself."""

    facts: Mapping[str, FactValue | None]
    """The `contact.` facts as they stand now."""
    crossings: tuple[Crossing, ...] = ()
    """Those left, then those entered, each by name."""


@dataclass(frozen=True)
class Derived:
    """What the layers make of the facts before them."""

    facts: Mapping[str, FactValue | None]
    """The `contact.` facts that are derived, tags aside."""
    scores: Mapping[str, int]
    stage: str | None
    classes: Mapping[str, str]
    tags: frozenset[str]
    audiences: frozenset[str]


class Deriving(Protocol):
    """How the layers are decided: `derive`, or something that knows its answers."""

    def __call__(self, facts: dict[str, FactValue | None], now: datetime) -> Derived:
        """What is derived at `now` of the facts, whose `contact.tags` are those that somebody set."""


def compute(
    profile: Profile, bundle: Bundle, matcher: Matcher, now: datetime, deriving: Deriving | None = None
) -> Computed:
    """The profile, changed in place to what the bundle's rules say of it at journey time `now`.

    An audience that the bundle no longer has is left without a crossing: there is nobody to be told. With
    `deriving` it is asked instead of the matcher.
    """
    rules = bundle.profile
    facts = contact_facts(profile, bundle, now)
    facts["contact.tags"] = frozenset(profile.tags)
    derived = derive(facts, bundle, matcher, now) if deriving is None else deriving(facts, now)
    profile.scores, profile.classes = dict(derived.scores), dict(derived.classes)
    profile.stage, profile.derived_tags = derived.stage, set(derived.tags)
    before, profile.audiences = profile.audiences, set(derived.audiences)
    facts.update(derived.facts)
    facts["contact.tags"] = frozenset(profile.tags | derived.tags)
    profile.profile_due_at = _due_at(profile, bundle, facts, now)
    if profile.audiences == before:
        return Computed(facts)
    left = (before - profile.audiences) & rules.audience_ids
    crossings = [
        *(Crossing(audience, False) for audience in sorted(left)),
        *(Crossing(audience, True) for audience in sorted(profile.audiences - before)),
    ]
    return Computed(facts, tuple(crossings))


def derive(facts: Mapping[str, FactValue | None], bundle: Bundle, matcher: Matcher, now: datetime) -> Derived:
    """What the layers make of the facts, each asked of the matcher; `contact.tags` are those somebody set."""
    known, rules = dict(facts), bundle.profile
    true = set(matcher.matching(SCORES, known, now)) if rules.scores else set()
    found: dict[str, FactValue | None] = {
        f"contact.{each.id}": next((points for rule, points in each.bands if rule in true), each.otherwise)
        for each in rules.scores
    }
    scores = {
        each.id: int(points)
        for each in rules.scores
        if isinstance(points := found[f"contact.{each.id}"], int)
    }
    known |= found
    true = set(matcher.matching(CLASSES, known, now)) if rules.classes else set()
    classes = {
        each.id: next((name for rule, name in each.cases if rule in true), each.otherwise)
        for each in rules.classes
    }
    found |= {f"contact.{name}": value for name, value in classes.items()}
    stage = found["contact.stage"] = classes.pop(STAGE, None)
    known |= found
    true = set(matcher.matching(TAGS, known, now)) if bundle.tags else set()
    tags = frozenset(tag.tag for tag in bundle.tags if tag.rule in true)
    own = known["contact.tags"]
    known["contact.tags"] = tags | own if isinstance(own, frozenset) else tags
    true = set(matcher.matching(AUDIENCES, known, now)) if rules.audiences else set()
    audiences = frozenset(audience.id for audience in rules.audiences if audience.rule in true)
    found["contact.audiences"] = audiences
    given = {name: value for name, value in classes.items() if value is not None}
    return Derived(found, scores, stage, given, tags, audiences)


def change_tags(profile: Profile, add: Collection[str], remove: Collection[str], now: datetime) -> None:
    """Tags set by a step, written into the profile; what follows from them is computed a little later."""
    tags = (profile.tags | set(add)) - set(remove)
    if tags != profile.tags:
        profile.tags = tags
        _make_due(profile, now)


def count_send(
    profile: Profile, bundle: Bundle, purpose: Purpose | None, silence: Silence | None, now: datetime
) -> None:
    """A message of a purpose handed over to a provider, written into the profile."""
    profile.silent_since = after_send(profile.silent_since, purpose, silence, now)
    profile.last_send_at = now
    profile.sends_since_active += 1
    if recomputes_on_send(bundle):
        _make_due(profile, now)


def recomputes_on_send(bundle: Bundle) -> bool:
    """Whether some rule asks about messages sent."""
    return not bundle.profile.reads.isdisjoint(_SEND_FACTS)


def _make_due(profile: Profile, now: datetime) -> None:
    at = now + OWN_DOING
    profile.profile_due_at = at if profile.profile_due_at is None else min(profile.profile_due_at, at)


def _due_at(
    profile: Profile, bundle: Bundle, facts: Mapping[str, FactValue | None], now: datetime
) -> datetime | None:
    """The first moment after `now` at which some rule may say something else by time alone."""
    rules = bundle.profile
    moments = [next_turn(rules.turns, facts, now)]
    if rules.counts:
        moments.append(next_count_turn_at(profile, bundle, now))
    return min((moment for moment in moments if moment is not None), default=None)
