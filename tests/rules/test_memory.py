"""Memory stays flat over decisions and over bundles that come and go while the process runs."""

from __future__ import annotations

import gc
import random
import resource
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.rules.condition import All, Op, Rule, Test
from engine.rules.evaluator import evaluate
from engine.rules.facts import Facts
from engine.rules.matcher import Matcher
from engine.rules.network import MOST_RULES, Network
from engine.rules.normal_form import Comparison, Relation
from engine.rules.truth import Truth

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FLAT = 4 * 2**20
"""Bytes by which a process may grow without anything being lost."""


def rules(count: int, seed: int) -> list[Rule]:
    draw = random.Random(seed)
    return [
        Rule(
            f"rule {place}",
            f"s{place % 3}",
            All((
                Test("event.amount", Op.GTE, draw.randrange(1_000)),
                Test("event.city", Op.IN, tuple(f"city {draw.randrange(30)}" for _ in range(3))),
                Test("contact.seen_at", Op.WITHIN, timedelta(days=draw.randrange(1, 90))),
                Test("contact.tags", draw.choice([Op.HAS, Op.LACKS]), f"tag {draw.randrange(20)}"),
            )),
        )
        for place in range(count)
    ]  # fmt: skip


def situations(seed: int) -> Iterator[tuple[str, Facts]]:
    draw = random.Random(seed)
    while True:
        facts: Facts = {
            "event.amount": draw.uniform(0, 1_100),
            "event.city": f"city {draw.randrange(32)}",
            "contact.seen_at": NOW - timedelta(hours=draw.randrange(2_400)),
            "contact.tags": frozenset(f"tag {draw.randrange(22)}" for _ in range(draw.randrange(6))),
        }
        yield f"s{draw.randrange(3)}", facts


def decisions() -> Callable[[int], None]:
    """So many decisions of one matcher; now and then one is held against the reference."""
    asked = rules(300, seed=1)
    matcher, coming = Matcher(asked), situations(seed=2)

    def decide(times: int) -> None:
        for turn in range(times):
            shard, facts = next(coming)
            found = matcher.matching(shard, facts, NOW)
            if turn % 1_000 == 0:
                assert found == right(asked, shard, facts)
        assert matcher.surprises == 0

    return decide


def questions() -> Callable[[int], None]:
    """So many questions to one network, none answered from memory."""
    network = Network([[Comparison(column, Relation.GTE, 5) for column in range(6)]] * MOST_RULES)

    def ask(times: int) -> None:
        for turn in range(times):
            asked = list(range(turn % MOST_RULES + 1))
            codes = [turn % 10] * 6
            assert len(network.decide(asked, codes.__getitem__)) == (len(asked) if codes[0] >= 5 else 0)

    return ask


def reloads() -> Callable[[int], None]:
    """So many bundles one after the other, each asked and then closed."""
    coming = situations(seed=3)
    bundles = [rules(100, seed) for seed in range(5)]

    def reload(times: int) -> None:
        for turn in range(times):
            asked = bundles[turn % 5]
            matcher = Matcher(asked)
            matcher.prepare()
            for _ in range(10):
                shard, facts = next(coming)
                found = matcher.matching(shard, facts, NOW)
            assert found == right(asked, shard, facts)
            assert matcher.surprises == 0
            matcher.close()

    return reload


def right(asked: list[Rule], shard: str, facts: Facts) -> tuple[str, ...]:
    return tuple(
        rule.id for rule in asked if rule.shard == shard and evaluate(rule.when, facts, NOW) is Truth.TRUE
    )


def growth(work: Callable[[int], None], *, warm_up: int, times: int) -> int:
    """Bytes by which the process is larger after `times` more, when it has done `warm_up` already."""
    work(warm_up)
    gc.collect()
    before = resident()
    work(times)
    gc.collect()
    return resident() - before


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_decisions_leave_nothing_behind() -> None:
    assert growth(decisions(), warm_up=10_000, times=20_000) < FLAT


def test_questions_to_a_network_leave_nothing_behind() -> None:
    assert growth(questions(), warm_up=1_000, times=20_000) < FLAT


def test_bundles_that_come_and_go_leave_nothing_behind() -> None:
    assert growth(reloads(), warm_up=10, times=40) < FLAT


@pytest.mark.long
def test_a_million_decisions_and_questions_leave_nothing_behind() -> None:
    assert growth(decisions(), warm_up=50_000, times=1_000_000) < FLAT
    assert growth(questions(), warm_up=50_000, times=1_000_000) < FLAT


@pytest.mark.long
def test_a_thousand_reloads_leave_nothing_behind() -> None:
    assert growth(reloads(), warm_up=50, times=1_000) < FLAT
