"""Decisions per second: the matcher beside the reference evaluator and beside compiled Python closures.

The same rules and events for all three, in one run; every answer is compared before anything is timed.
Run it with `python -m benchmarks.rules`.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any as Anything

from engine.rules.condition import All, Any, Condition, FactRef, None_, Op, Rule, Test
from engine.rules.evaluator import evaluate, settle
from engine.rules.facts import Facts
from engine.rules.matcher import Matcher
from engine.rules.truth import Truth

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENT_TYPES = [f"type_{place}" for place in range(12)]
CITIES = ["上海", "北京", "广州", "深圳", "成都", "杭州", "武汉", "西安"]
TAGS = [f"tag_{place}" for place in range(20)]

Decide = Callable[[str, Facts], tuple[str, ...]]


@dataclass(frozen=True)
class Figure:
    """Decisions per second of one way to decide."""

    rules: int
    way: str
    built_in: float
    """Seconds before the first decision could be asked."""
    cold: float
    """Over events seen for the first time, everything that is built on demand included."""
    warm: float


def workload(count: int, events: int, seed: int = 7) -> tuple[list[Rule], list[tuple[str, Facts]]]:
    """`count` journey-like rules over twelve event types, and events for them."""
    draw = random.Random(seed)
    rules = [
        Rule(f"entry:{place}", f"entry:{draw.choice(EVENT_TYPES)}", _condition(draw))
        for place in range(count)
    ]
    return rules, [(f"entry:{draw.choice(EVENT_TYPES)}", _facts(draw)) for _ in range(events)]


def _condition(draw: random.Random) -> Condition:
    tests: list[Callable[[], Condition]] = [
        lambda: Test("event.amount", draw.choice([Op.GTE, Op.LT]), draw.randrange(0, 1000, 50)),
        lambda: Test("contact.order_count", Op.BETWEEN, (draw.randrange(3), draw.randrange(3, 12))),
        lambda: Test("contact.total_spent", Op.GTE, draw.randrange(0, 5000, 250)),
        lambda: Test("contact.city", Op.IN, tuple(draw.sample(CITIES, 2))),
        lambda: Test("contact.stage", Op.EQ, draw.choice(["new", "growing", "valued", "churned"])),
        lambda: Test("contact.tags", Op.HAS, draw.choice(TAGS)),
        lambda: None_((Test("contact.tags", Op.HAS_ANY, tuple(draw.sample(TAGS, 2))),)),
        lambda: Test("contact.last_order_at", Op.OLDER_THAN, timedelta(days=draw.choice([7, 30, 60, 90]))),
        lambda: Test("contact.last_active_at", Op.WITHIN, timedelta(days=draw.choice([1, 3, 7, 14]))),
        lambda: Test("event.category", Op.STARTS_WITH, draw.choice(["home/", "home/kitchen", "toys/"])),
        lambda: Test("event.amount", Op.GT, FactRef("contact.average_order_value", 1.5)),
        lambda: Any(
            (
                Test("contact.locale", Op.EQ, draw.choice(["zh", "en"])),
                Test("contact.order_count", Op.GTE, draw.randrange(5, 10)),
            )
        ),
    ]
    return All(tuple(make() for make in draw.sample(tests, draw.randrange(2, 6))))


def _facts(draw: random.Random) -> Facts:
    facts: dict[str, Anything] = {
        "event.amount": round(draw.uniform(1, 1000), 2),
        "event.category": draw.choice(["home/kitchen/pans", "home/garden", "toys/cars", "books"]),
        "contact.order_count": draw.randrange(15),
        "contact.total_spent": round(draw.uniform(0, 6000), 2),
        "contact.average_order_value": round(draw.uniform(20, 500), 2),
        "contact.city": draw.choice(CITIES),
        "contact.stage": draw.choice(["new", "growing", "valued", "churned"]),
        "contact.locale": draw.choice(["zh", "en"]),
        "contact.tags": frozenset(draw.sample(TAGS, draw.randrange(6))),
        "contact.last_order_at": NOW - timedelta(hours=draw.randrange(3000)),
        "contact.last_active_at": NOW - timedelta(hours=draw.randrange(500)),
    }
    for path in draw.sample(list(facts), draw.randrange(3)):
        del facts[path]
    return facts


def plain(rules: list[Rule]) -> Decide:
    """The reference evaluator over the shard's rules."""
    shards: dict[str, list[Rule]] = {}
    for rule in rules:
        shards.setdefault(rule.shard, []).append(rule)

    def decide(shard: str, facts: Facts) -> tuple[str, ...]:
        return tuple(
            rule.id for rule in shards.get(shard, ()) if evaluate(rule.when, facts, NOW) is Truth.TRUE
        )

    return decide


def closures(rules: list[Rule]) -> Decide:
    """One Python closure per rule, negation resolved and joined with early exit, indexed by shard."""
    shards: dict[str, list[tuple[str, Callable[[Facts], bool]]]] = {}
    for rule in rules:
        shards.setdefault(rule.shard, []).append((rule.id, _closure(rule.when, True)))

    def decide(shard: str, facts: Facts) -> tuple[str, ...]:
        return tuple(rule_id for rule_id, holds in shards.get(shard, ()) if holds(facts))

    return decide


def _closure(condition: Condition, truth: bool) -> Callable[[Facts], bool]:
    if isinstance(condition, Test):
        return _test_closure(condition, truth)
    inner = not truth if isinstance(condition, None_) else truth
    parts = [_closure(part, inner) for part in condition.parts]
    if isinstance(condition, All | None_) == truth:

        def both(facts: Facts) -> bool:
            return all(part(facts) for part in parts)

        return both

    def either(facts: Facts) -> bool:
        return any(part(facts) for part in parts)

    return either


def _test_closure(test: Test, truth: bool) -> Callable[[Facts], bool]:
    """Hand-made for the commonest tests, as one would write closures; the reference for the rest."""
    path, wanted = test.path, test.wanted
    quick: dict[Op, Callable[[Anything], bool]] = {
        Op.GTE: lambda value: value >= wanted,
        Op.LT: lambda value: value < wanted,
        Op.BETWEEN: lambda value: wanted[0] <= value <= wanted[1],  # type: ignore[index]
        Op.EQ: lambda value: bool(value == wanted),
        Op.IN: lambda value: value in wanted,  # type: ignore[operator]
        Op.HAS: lambda value: wanted in value,
        Op.HAS_ANY: lambda value: not value.isdisjoint(wanted),
        Op.OLDER_THAN: lambda value: NOW - value >= wanted,
        Op.WITHIN: lambda value: abs(NOW - value) < wanted,
        Op.STARTS_WITH: lambda value: bool(value.startswith(wanted)),
    }
    answer = quick.get(test.op)
    if answer is None or isinstance(wanted, FactRef):
        sought = Truth.of(truth)
        return lambda facts: settle(test, facts, NOW) is sought

    def holds(facts: Facts) -> bool:
        value = facts.get(path)
        return value is not None and answer(value) is truth

    return holds


def measure(count: int, events: int = 6_000) -> list[Figure]:
    """The figures for `count` rules; AssertionError when the three ways do not agree on every event."""
    rules, situations = workload(count, events)
    checked = Matcher(rules)
    by_plain, by_closures = plain(rules), closures(rules)
    for shard, facts in situations:
        expected = by_plain(shard, facts)
        assert checked.matching(shard, facts, NOW) == expected == by_closures(shard, facts)
    assert checked.surprises == 0
    checked.close()
    return [
        _time(count, "matcher", lambda: _ask(Matcher(rules)), situations),
        _time(count, "reference evaluator", lambda: plain(rules), situations),
        _time(count, "python closures", lambda: closures(rules), situations),
    ]


def _ask(matcher: Matcher) -> Decide:
    return lambda shard, facts: matcher.matching(shard, facts, NOW)


def _time(count: int, way: str, build: Callable[[], Decide], situations: list[tuple[str, Facts]]) -> Figure:
    half = len(situations) // 2
    begun = perf_counter()
    decide = build()
    built_in = perf_counter() - begun
    cold = _rate(decide, situations[:half])
    warm = max(_rate(decide, situations[half:]) for _ in range(3))  # the best: other processes disturb less
    return Figure(count, way, built_in, cold, warm)


def _rate(decide: Decide, situations: list[tuple[str, Facts]]) -> float:
    begun = perf_counter()
    for shard, facts in situations:
        decide(shard, facts)
    return len(situations) / (perf_counter() - begun)


def main() -> int:
    """Print a table for 10, 100 and 1000 rules."""
    print(f"{'rules':>5}  {'':20}  {'build':>9}  {'cold':>11}  {'warm':>11}  {'to reference':>12}")
    for count in (10, 100, 1000):
        figures = measure(count)
        reference = next(each for each in figures if each.way == "reference evaluator")
        for each in figures:
            print(
                f"{each.rules:>5}  {each.way:20}  {each.built_in * 1000:>6.1f} ms  {each.cold:>9,.0f}/s"
                f"  {each.warm:>9,.0f}/s  {each.warm / reference.warm:>11.1f}x"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
