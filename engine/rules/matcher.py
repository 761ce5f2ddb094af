"""Which rules are true: conditions compiled to durable_rules, shard by shard.

The answer is the reference evaluator's, faster: both are held together by tests, every network is held
against the sieve on every call, and where they differ the evaluator answers.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from datetime import datetime

from engine.rules.condition import Rule
from engine.rules.evaluator import evaluate
from engine.rules.facts import Facts
from engine.rules.network import NetworkSpoilt
from engine.rules.shard import Shard
from engine.rules.truth import Truth

_log = logging.getLogger(__name__)


class Matcher:
    """A bundle's rules, ready to be asked from any thread.

    A shard is compiled when it is first asked about; nothing that can fail is left for then.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Raises ValueError when two rules have one id."""
        self._rules: dict[str, list[Rule]] = {}
        self._places: dict[str, tuple[str, int]] = {}
        for rule in rules:
            if rule.id in self._places:
                raise ValueError(f"two rules have the id {rule.id!r}")
            mates = self._rules.setdefault(rule.shard, [])
            self._places[rule.id] = (rule.shard, len(mates))
            mates.append(rule)
        self._shards: dict[str, Shard] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._surprises = 0

    @property
    def surprises(self) -> int:
        """How often a network had to be given up and the reference evaluator answered instead."""
        return self._surprises

    def matching(self, shard: str, facts: Facts, now: datetime) -> tuple[str, ...]:
        """The ids of the shard's rules that are true, in the order they were defined.

        `now` is timezone-aware; ages are counted from it. A shard without rules has none that are true.
        """
        rules = self._rules.get(shard)
        if rules is None:
            return ()
        try:
            return (self._shards.get(shard) or self._shard(shard)).holding(facts, now)
        except NetworkSpoilt as surprise:
            self._note(surprise, shard)
            return tuple(rule.id for rule in rules if evaluate(rule.when, facts, now) is Truth.TRUE)

    def holds(self, rule_id: str, facts: Facts, now: datetime) -> bool:
        """Whether that one rule is true; KeyError when there is no such rule."""
        shard, place = self._places[rule_id]
        try:
            return bool(self._shard(shard).holding(facts, now, place))
        except NetworkSpoilt as surprise:
            self._note(surprise, shard)
            return evaluate(self._rules[shard][place].when, facts, now) is Truth.TRUE

    def prepare(self, shard: str | None = None) -> None:
        """Compile a shard, or all of them, now instead of when it is first asked about.

        Raises NetworkSpoilt when durable_rules refuses.
        """
        for name in self._rules if shard is None else (shard,):
            self._shard(name).prepare()

    def close(self) -> None:
        """Give back what the networks hold. Asked again, the matcher answers by the reference evaluator."""
        with self._lock:
            self._closed = True
            for shard in self._shards.values():
                shard.close()

    def _shard(self, name: str) -> Shard:
        shard = self._shards.get(name)
        if shard is None:
            with self._lock:
                if self._closed:
                    raise NetworkSpoilt("the matcher is closed")
                shard = self._shards.get(name)
                if shard is None:
                    shard = self._shards[name] = Shard(self._rules[name])
        return shard

    def _note(self, surprise: NetworkSpoilt, shard: str) -> None:
        with self._lock:
            if self._closed:
                return  # whoever still holds a closed matcher gets the reference's answers: nothing is wrong
            self._surprises += 1
        _log.warning("a network of %s was given up, the reference answered: %s", shard, surprise)
