"""A profile as its rules make it, layer by layer: scores, classes, derived tags, audiences; pure.

Every layer sees the facts of those before it and none of its own, so the answer depends on the facts and the
moment alone: computed again, it is the same, and it hangs neither on what it was before nor on the order of
the rules.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from engine.authoring.bundle import Bundle
from engine.authoring.profile_rules import AUDIENCES, CLASSES, SCORES, STAGE, TAGS
from engine.changing import frozen
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


@frozen
class Crossing:
    """A contact entering or leaving an audience."""

    audience: str
    entered: bool


@frozen
class Computed:
    """What came out beside the profile itself."""

    facts: Mapping[str, FactValue | None]
    """The `contact.` facts as they stand now."""
    outlook: Outlook = field(compare=False)
    """What time alone will make of the profile."""
    crossings: tuple[Crossing, ...] = ()
    """Those left, then those entered, each by name."""


@frozen
class Derived:
    """What the layers make of the facts before them."""

    facts: Mapping[str, FactValue | None]
    """The `contact.` facts that are derived, tags aside."""
    scores: Mapping[str, int]
    stage: str | None
    classes: Mapping[str, str]
    tags: frozenset[str]
    audiences: frozenset[str]


@dataclass(slots=True)
class Situation:
    """What is derived in it, and the situations into which time alone brings a contact from it."""

    derived: Derived
    later: dict[Hashable, tuple[Situation, bool]] = field(default_factory=dict)
    """What turns -> the situation then, and whether the same is derived in it."""


Turning = tuple[datetime, Hashable | None]
"""When tests turn by time alone, and what turns then; None: that is not known."""


@dataclass(slots=True)
class Outlook:
    """What becomes of a contact by time alone."""

    until: datetime | None
    """The first moment at which something else may be derived; None: never."""
    then: Situation | None
    """The situation at that moment, where it is known already."""
    turns: Iterator[Turning]
    """What turns after that moment."""


class Deriving(Protocol):
    """How the layers are decided, and how far ahead."""

    def find(self, facts: Facts, tags: frozenset[str], now: datetime) -> Situation:
        """What is derived at `now` of the facts and of the tags that somebody set."""

    def look_ahead(
        self,
        situation: Situation,
        profile: Profile,
        facts: Facts,
        now: datetime,
        turns: Iterator[Turning] | None = None,
    ) -> Outlook:
        """What time alone makes of the profile after `now`.

        `situation` is what was found for its `facts` at `now`. Who has an outlook that has come true, and in
        which nothing else has happened since it was made, gives its `turns`.
        """


class AtEveryTurn:
    """`Deriving` that asks the matcher every time, and says nothing of what comes after the next turn."""

    def __init__(self, bundle: Bundle, matcher: Matcher) -> None:
        self._bundle = bundle
        self._matcher = matcher

    def find(self, facts: Facts, tags: frozenset[str], now: datetime) -> Situation:
        return Situation(derive(facts, tags, self._bundle, self._matcher, now))

    def look_ahead(
        self,
        situation: Situation,
        profile: Profile,
        facts: Facts,
        now: datetime,
        turns: Iterator[Turning] | None = None,
    ) -> Outlook:
        rules = self._bundle.profile
        moments = [next_turn(rules.turns, facts, now)]
        if rules.counts:
            moments.append(next_count_turn_at(profile, self._bundle, now))
        until = min((moment for moment in moments if moment is not None), default=None)
        return Outlook(until, None, iter(()))


def compute(
    profile: Profile,
    bundle: Bundle,
    matcher: Matcher,
    now: datetime,
    *,
    facts: Facts | None = None,
    deriving: Deriving | None = None,
    outlook: Outlook | None = None,
) -> Computed:
    """The profile, changed in place to what the bundle's rules say of it at journey time `now`.

    An audience that the bundle no longer has is left without a crossing: there is nobody to be told. Whoever
    has its `contact_facts` at hand gives them. With `deriving` it is asked instead of the matcher; and where
    nothing has happened to the contact since `deriving` made this `outlook`, it is not asked what it foresaw.
    """
    rules = bundle.profile
    facts = contact_facts(profile, bundle, now) if facts is None else facts
    tags, before = frozenset(profile.tags), profile.audiences
    deriving = AtEveryTurn(bundle, matcher) if deriving is None else deriving
    turns: Iterator[Turning] | None = None
    if outlook is not None and outlook.until == now and outlook.then is not None:
        situation, turns = outlook.then, outlook.turns
    else:
        situation = deriving.find(facts, tags, now)
    derived = situation.derived
    if not _is_known(derived, profile):
        profile.scores, profile.classes = dict(derived.scores), dict(derived.classes)
        profile.stage, profile.derived_tags = derived.stage, set(derived.tags)
        profile.audiences = set(derived.audiences)
        facts = {**facts, **derived.facts, "contact.tags": tags | derived.tags}
    ahead = deriving.look_ahead(situation, profile, facts, now, turns)
    profile.profile_due_at = ahead.until
    if profile.audiences == before:
        return Computed(facts, ahead)
    left = (before - profile.audiences) & rules.audience_ids
    crossings = [
        *(Crossing(audience, False) for audience in sorted(left)),
        *(Crossing(audience, True) for audience in sorted(profile.audiences - before)),
    ]
    return Computed(facts, ahead, tuple(crossings))


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


def spare_sweep(profile: Profile, facts: Facts, now: datetime, deriving: Deriving) -> Outlook | None:
    """Let a profile that is only due for what was just done at `now` wait until that makes a difference.

    `facts` are the contact's at `now`. What comes of it is what the sweep a minute later would find. What it
    waits for; None when it is due as before.
    """
    soon = now + OWN_DOING
    if profile.profile_due_at != soon:
        return None
    situation = deriving.find(facts, frozenset(profile.tags), now)
    if not _is_known(situation.derived, profile):
        return None
    outlook = deriving.look_ahead(situation, profile, facts, now)
    profile.profile_due_at = None if outlook.until is None else max(outlook.until, soon)
    return outlook


def recomputes_on_send(bundle: Bundle) -> bool:
    """Whether some rule asks about messages sent."""
    return not bundle.profile.reads.isdisjoint(_SEND_FACTS)


def _make_due(profile: Profile, now: datetime) -> None:
    at = now + OWN_DOING
    profile.profile_due_at = at if profile.profile_due_at is None else min(profile.profile_due_at, at)
