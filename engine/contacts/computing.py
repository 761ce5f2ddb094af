"""A profile as its rules make it, layer by layer: scores, classes, derived tags, audiences; pure.

Every layer sees the facts of those before it and none of its own, so the answer depends on the facts and the
moment alone: computed again, it is the same, and it hangs neither on what it was before nor on the order of
the rules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.authoring.bundle import Bundle
from engine.authoring.profile_rules import AUDIENCES, CLASSES, SCORES, STAGE, TAGS
from engine.contacts.counting import next_count_turn_at
from engine.contacts.profile import Profile, contact_facts
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


def compute(profile: Profile, bundle: Bundle, matcher: Matcher, now: datetime) -> Computed:
    """The profile, changed in place to what the bundle's rules say of it at journey time `now`.

    An audience that the bundle no longer has is left without a crossing: there is nobody to be told.
    """
    rules = bundle.profile
    facts = contact_facts(profile, bundle, now)
    facts["contact.tags"] = frozenset(profile.tags)
    _score(profile, bundle, matcher, facts, now)
    _classify(profile, bundle, matcher, facts, now)
    true = set(matcher.matching(TAGS, facts, now)) if bundle.tags else ()
    profile.derived_tags = {tag.tag for tag in bundle.tags if tag.rule in true}
    facts["contact.tags"] = frozenset(profile.tags | profile.derived_tags)
    before = profile.audiences
    true = set(matcher.matching(AUDIENCES, facts, now)) if rules.audiences else ()
    profile.audiences = {audience.id for audience in rules.audiences if audience.rule in true}
    facts["contact.audiences"] = frozenset(profile.audiences)
    profile.profile_due_at = _due_at(profile, bundle, facts, now)
    if profile.audiences == before:
        return Computed(facts)
    left = (before - profile.audiences) & rules.audience_ids
    crossings = [
        *(Crossing(audience, False) for audience in sorted(left)),
        *(Crossing(audience, True) for audience in sorted(profile.audiences - before)),
    ]
    return Computed(facts, tuple(crossings))


def change_tags(profile: Profile, add: Collection[str], remove: Collection[str], now: datetime) -> None:
    """Tags set by a step, written into the profile; what follows from them is computed a little later."""
    tags = (profile.tags | set(add)) - set(remove)
    if tags != profile.tags:
        profile.tags = tags
        _make_due(profile, now)


def count_send(profile: Profile, bundle: Bundle, now: datetime) -> None:
    """A message handed over to a provider, written into the profile."""
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


def _score(
    profile: Profile, bundle: Bundle, matcher: Matcher, facts: dict[str, FactValue | None], now: datetime
) -> None:
    scores = bundle.profile.scores
    true = set(matcher.matching(SCORES, facts, now)) if scores else ()
    profile.scores = {}
    for score in scores:
        found = next((points for rule, points in score.bands if rule in true), score.otherwise)
        facts[f"contact.{score.id}"] = found
        if found is not None:
            profile.scores[score.id] = found


def _classify(
    profile: Profile, bundle: Bundle, matcher: Matcher, facts: dict[str, FactValue | None], now: datetime
) -> None:
    classes = bundle.profile.classes
    true = set(matcher.matching(CLASSES, facts, now)) if classes else ()
    found = {
        division.id: next((name for rule, name in division.cases if rule in true), division.otherwise)
        for division in classes
    }
    facts |= {f"contact.{name}": value for name, value in found.items()}
    profile.stage = facts["contact.stage"] = found.pop(STAGE, None)
    profile.classes = {name: value for name, value in found.items() if value is not None}


def _due_at(
    profile: Profile, bundle: Bundle, facts: Mapping[str, FactValue | None], now: datetime
) -> datetime | None:
    """The first moment after `now` at which some rule may say something else by time alone."""
    rules = bundle.profile
    moments = [next_turn(rules.turns, facts, now)]
    if rules.counts:
        moments.append(next_count_turn_at(profile, bundle, facts, now))
    return min((moment for moment in moments if moment is not None), default=None)
