"""A decider for tests of the pure parts: the reference evaluator over a handful of rules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from engine.rules.condition import Condition, Rule
from engine.rules.evaluator import evaluate
from engine.rules.facts import Facts
from engine.rules.truth import Truth


class EvaluatedRules:
    """Decides rules one by one with the reference evaluator."""

    def __init__(self, *rules: Rule) -> None:
        self._rules = rules

    def matching(self, shard: str, facts: Facts, now: datetime) -> tuple[str, ...]:
        return tuple(
            rule.id
            for rule in self._rules
            if rule.shard == shard and evaluate(rule.when, facts, now) is Truth.TRUE
        )

    def holds(self, rule_id: str, facts: Facts, now: datetime) -> bool:
        condition: Condition = next(rule.when for rule in self._rules if rule.id == rule_id)
        return evaluate(condition, facts, now) is Truth.TRUE


@pytest.fixture
def decider() -> Callable[..., EvaluatedRules]:
    """Makes a decider out of rules."""
    return EvaluatedRules
