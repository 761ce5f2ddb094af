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
from engine.rules.facts import Facts, FactValue
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

    def __call__(self, facts: Facts, tags: frozenset[str], now: datetime) -> Derived:
        """What is derived at `now` of the facts and of the tags that somebody set."""


def compute(
    profile: Profile,
    bundle: Bundle,
    matcher: Matcher,
    now: datetime,
    *,
    facts: Facts | None = None,
    deriving: Deriving | None = None,
) -> Computed:
    """The profile, changed in place to what the bundle's rules say of it at journey time `now`.

    An audience that the bundle no longer has is left without a crossing: there is nobody to be told. Whoever
    has its `contact_facts` at hand gives them. With `deriving` it is asked instead of the matcher.
    """
    rules = bundle.profile
    facts = contact_facts(profile, bundle, now) if facts is None else facts
    tags, before = frozenset(profile.tags), profile.audiences
    derived = derive(facts, tags, bundle, matcher, now) if deriving is None else deriving(facts, tags, now)
    if not _is_known(derived, profile):
        profile.scores, profile.classes = dict(derived.scores), dict(derived.classes)
        profile.stage, profile.derived_tags = derived.stage, set(derived.tags)
        profile.audiences = set(derived.audiences)
        facts = {**facts, **derived.facts, "contact.tags": tags | derived.tags}
    profile.profile_due_at = _due_at(profile, bundle, facts, now)
    if profile.audiences == before:
        return Computed(facts)
    left = (before - profile.audiences) & rules.audience_ids
    crossings = [
        *(Crossing(audience, False) for audience in sorted(left)),
        *(Crossing(audience, True) for audience in sorted(profile.audiences - before)),
    ]
    return Computed(facts, tuple(crossings))


def _is_known(derived: Derived, profile: Profile) -> bool:
    """Whether that is what the profile says already; most often it is."""
    return (
        profile.audiences == derived.audiences
        and profile.derived_tags == derived.tags
        and profile.scores == derived.scores
        and profile.classes == derived.classes
        and profile.stage == derived.stage
    )


def derive(facts: Facts, tags: frozenset[str], bundle: Bundle, matcher: Matcher, now: datetime) -> Derived:
    """What the layers make of the facts and of the tags that somebody set, each asked of the matcher."""
    known, rules = {**facts, "contact.tags": tags}, bundle.profile
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
    more = frozenset(tag.tag for tag in bundle.tags if tag.rule in true)
    known["contact.tags"] = tags | more
    true = set(matcher.matching(AUDIENCES, known, now)) if rules.audiences else set()
    audiences = frozenset(audience.id for audience in rules.audiences if audience.rule in true)
    found["contact.audiences"] = audiences
    given = {name: value for name, value in classes.items() if value is not None}
    return Derived(found, scores, stage, given, more, audiences)


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
