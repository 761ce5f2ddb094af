"""What is derived of contacts, worked out once for all of whom the same is true."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.authoring.bundle import Bundle
from engine.authoring.profile_rules import AUDIENCES, CLASSES, SCORES, TAGS
from engine.contacts.computing import Derived, derive
from engine.rules.condition import FactRef, Op, Test, tests_of
from engine.rules.facts import Facts
from engine.rules.matcher import Matcher
from engine.rules.situation import Situations

_LAYERS = {SCORES, CLASSES, TAGS, AUDIENCES}
_TAGS = "contact.tags"
_LABEL_TESTS = {Op.HAS, Op.LACKS, Op.HAS_ANY, Op.HAS_ALL}
_MOST_REMEMBERED = 100_000


class Derivations:
    """`Deriving` with a memory: the layers are asked once in each situation of the facts before them.

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
        self._known: dict[object, Derived] = {}

    def __call__(self, facts: Facts, tags: frozenset[str], now: datetime) -> Derived:
        """What is derived at `now` of the facts and of the tags that somebody set."""
        labels = tags if self._labels is None else tags & self._labels
        situation = self._situations.of(facts, now), labels, *map(facts.get, self._as_they_stand)
        found = self._known.get(situation)
        if found is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            found = self._known[situation] = derive(facts, tags, self._bundle, self._matcher, now)
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
