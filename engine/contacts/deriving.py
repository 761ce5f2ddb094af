"""What is derived of contacts, worked out once for all of whom the same is true."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from datetime import datetime

from engine.authoring.bundle import Bundle
from engine.authoring.profile_rules import AUDIENCES, CLASSES, SCORES, TAGS
from engine.contacts.computing import Outlook, Situation, Turning, derive
from engine.contacts.counting import count_turns_ahead
from engine.contacts.profile import Profile
from engine.rules.condition import FactRef, Op, Test, tests_of
from engine.rules.counting import value_at
from engine.rules.facts import Facts
from engine.rules.matcher import Matcher
from engine.rules.situation import Situations
from engine.rules.timing import turns_ahead

_LAYERS = {SCORES, CLASSES, TAGS, AUDIENCES}
_TAGS = "contact.tags"
_LABEL_TESTS = {Op.HAS, Op.LACKS, Op.HAS_ANY, Op.HAS_ALL}
_MOST_REMEMBERED = 100_000
_MOST_BUNDLES = 4

_Turn = tuple[datetime, str, int | None]
"""When, of which fact, and on which side of its marks it is from then on; None: that is not known."""


class Derivations:
    """`Deriving` with a memory: the layers are asked once in each situation of the facts before them.

    Time brings a contact from one situation to another, always the same one when the same test turns. So it
    is known how long what is derived will stand, over all the turns that change nothing.

    What a layer says of a fact that an earlier one derives hangs on those facts, too; so a situation holds
    what the tests make of the facts that nobody derives, and which of the labels asked for somebody set.
    """

    def __init__(self, bundle: Bundle, matcher: Matcher) -> None:
        self._bundle = bundle
        self._matcher = matcher
        rules = bundle.profile
        tests = [test for rule in bundle.rules if rule.shard in _LAYERS for test in tests_of(rule.when)]
        names = [*(score.id for score in rules.scores), *(each.id for each in rules.classes)]
        derived = {f"contact.{name}" for name in names}
        derived |= {_TAGS, "contact.audiences"} if rules.audiences else {_TAGS}
        # What is held against a derived fact, or the other way round, is remembered as it stands.
        mixed = [test for test in tests if not derived.isdisjoint(_paths(test)) and len(_paths(test)) > 1]
        self._as_they_stand = sorted({path for test in mixed for path in _paths(test)} - derived)
        self._situations = Situations(test for test in tests if derived.isdisjoint(_paths(test)))
        self._labels = _labels(tests)
        self._known: dict[Hashable, Situation] = {}

    def find(self, facts: Facts, tags: frozenset[str], now: datetime) -> Situation:
        labels = tags if self._labels is None else tags & self._labels
        name = self._situations.of(facts, now), labels, *map(facts.get, self._as_they_stand)
        found = self._known.get(name)
        if found is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            found = Situation(derive(facts, tags, self._bundle, self._matcher, now))
            self._known[name] = found
        return found

    def look_ahead(
        self,
        situation: Situation,
        profile: Profile,
        facts: Facts,
        now: datetime,
        turns: Iterator[Turning] | None = None,
    ) -> Outlook:
        turns = self._turns_ahead(profile, facts, now) if turns is None else turns
        for moment, turn in turns:
            if turn is None:
                return Outlook(moment, None, turns)
            known = situation.later.get(turn)
            if known is None:
                later = self.find(self._facts_at(profile, facts, moment), frozenset(profile.tags), moment)
                known = situation.later[turn] = later, later.derived == situation.derived
            situation, is_same = known
            if not is_same:
                return Outlook(moment, situation, turns)
        return Outlook(None, None, turns)

    def _turns_ahead(self, profile: Profile, facts: Facts, now: datetime) -> Iterator[Turning]:
        """The moments after `now` at which tests turn, with what turns then; None: that is not known."""
        rules = self._bundle.profile
        turns: list[_Turn] = [*turns_ahead(rules.turns, facts, now)]
        if rules.counts:
            turns += count_turns_ahead(profile, self._bundle, now)
        turns.sort(key=_moment_and_path)
        number, many = 0, len(turns)
        while number < many:
            moment, path, place = turns[number]
            number += 1
            if number == many or turns[number][0] != moment:
                yield moment, None if place is None else (path, place)
                continue
            # What turns at one moment is seen as one: nobody is ever between the two.
            together = [(path, place)]
            while number < many and turns[number][0] == moment:
                together.append(turns[number][1:])
                number += 1
            yield moment, None if None in [place for _, place in together] else tuple(together)

    def _facts_at(self, profile: Profile, facts: Facts, moment: datetime) -> Facts:
        """The facts as they will be if nothing happens until then."""
        later = dict(facts)
        for path, count, _ in self._bundle.profile.counts:
            tally = profile.counts.get(count.id)
            if tally is not None and isinstance(later.get(path), int | float):
                later[path] = value_at(count, tally, moment)
        return later


def _moment_and_path(turn: _Turn) -> tuple[datetime, str]:
    return turn[:2]


class DerivationsOfBundles:
    """The `Derivations` of the bundles that a process works with; safe to share between threads."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Matcher, Derivations]] = {}

    def of(self, bundle: Bundle, matcher: Matcher) -> Derivations:
        """Those of a bundle, asked of this matcher where they do not know."""
        asked, found = self._known.get(bundle.hash, (None, None))
        if found is None or asked is not matcher:
            # Plans that are switched make bundles of their own; more than a few are not in use at once.
            if len(self._known) >= _MOST_BUNDLES:
                self._known.clear()
            found = Derivations(bundle, matcher)
            self._known[bundle.hash] = matcher, found
        return found


def _labels(tests: Sequence[Test]) -> frozenset[str] | None:
    """The tags that the tests look for; None when they ask for all of them."""
    asked: set[str] = set()
    for test in tests:
        if _TAGS not in _paths(test):
            continue
        if isinstance(test.wanted, FactRef) or test.op not in {*_LABEL_TESTS, Op.EXISTS}:
            return None
        wanted = test.wanted if isinstance(test.wanted, tuple) else (test.wanted,)
        asked.update(label for label in wanted if isinstance(label, str))
    return frozenset(asked)


def _paths(test: Test) -> list[str]:
    return [test.path, test.wanted.path] if isinstance(test.wanted, FactRef) else [test.path]
