"""Decisions per second: the matcher beside the reference, compiled Python and another rules engine.

Same rules, same events, one run; every answer of every way to every event is compared, but the reference is
asked about fewer events where there are many rules. All take turns, and of several turns the best counts:
other work on the machine disturbs that least. Time is the processor's, not the clock's on the wall.
Run it with `python -m benchmarks.rules`.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from time import process_time
from typing import Any

from benchmarks.rule_load import NOW, Situation, rules, situations
from benchmarks.rule_peers import Decide, by_closures, by_datalogic, by_flat_code, by_reference, nested
from engine.rules.condition import Rule
from engine.rules.facts import Facts
from engine.rules.matcher import Matcher

COUNTS = (10, 100, 1_000, 5_000)
EVENTS = 20_000
TURNS = 3
_ENOUGH = 2_000_000
"""Rules times events after which the reference, which is there for its answers, has shown its pace."""
MATCHER, REFERENCE, CLOSURES = "matcher", "reference evaluator", "python closures"
FLAT_CODE, DATALOGIC = "python flat code", "datalogic-py"

Build = Callable[[Sequence[Rule]], AbstractContextManager[dict[str, Decide]]]


@dataclass
class Figure:
    """One way to decide; the best of its turns. Rates are decisions per second."""

    built_in: float = float("inf")
    """Seconds until the first decision could be asked."""
    cold: float = 0.0
    """Events seen for the first time."""
    warm: float = 0.0
    """The same events once more: what a memory of answers gains at most."""


def main() -> int:
    """Print a table for each number of rules; 1 when the ways do not agree."""
    ways = _ways()
    events = situations(EVENTS)
    for count in COUNTS:
        figures = measure(rules(count), events, ways)
        print(f"{count:,} rules, {EVENTS:,} events of 12 types; all ways agree")
        print(f"  {'':20}  {'build':>9}  {'cold':>11}  {'warm':>11}  {'our cold to it':>14}")
        ours = figures[MATCHER].cold
        for way, each in figures.items():
            print(
                f"  {way:20}  {each.built_in * 1000:>6.1f} ms  {each.cold:>9,.0f}/s  {each.warm:>9,.0f}/s"
                f"  {ours / each.cold:>13.2f}x"
            )
    return 0


def _ways() -> dict[str, Build]:
    ways: dict[str, Build] = {
        MATCHER: _matcher,
        DATALOGIC: lambda rules: nullcontext(by_datalogic(rules)),
        FLAT_CODE: lambda rules: nullcontext(by_flat_code(rules)),
        CLOSURES: lambda rules: nullcontext(by_closures(rules)),
        REFERENCE: lambda rules: nullcontext(by_reference(rules)),
    }
    try:
        by_datalogic([])
    except ImportError:
        print(f"{DATALOGIC} is not installed and is left out; pip install datalogic-py brings it")
        del ways[DATALOGIC]
    return ways


@contextmanager
def _matcher(rules: Sequence[Rule]) -> Iterator[dict[str, Decide]]:
    matcher = Matcher(rules)
    matcher.prepare()

    def asking(shard: str) -> Decide:
        def decide(facts: Facts) -> Sequence[str]:
            return matcher.matching(shard, facts, NOW)

        return decide

    yield {rule.shard: asking(rule.shard) for rule in rules}
    assert matcher.surprises == 0
    matcher.close()


def measure(asked: Sequence[Rule], events: Sequence[Situation], ways: dict[str, Build]) -> dict[str, Figure]:
    """The figures of every way. AssertionError when one answers differently from the others on any event."""
    plain = [(each.shard, each.facts) for each in events]
    documents = [(each.shard, nested(each)) for each in events]
    figures = {way: Figure() for way in ways}
    # One in so many events for the reference; the type of an event is drawn, so any step is fair.
    step = max(len(asked) * len(events), _ENOUGH) // _ENOUGH
    expected: list[Sequence[str]] = []
    given = {way: documents if way == DATALOGIC else plain for way in ways}
    if REFERENCE in given:
        given[REFERENCE] = plain[::step]
    for way, build in ways.items():
        with build(asked) as decide:
            answers = _answers(decide, given[way])
        expected = expected or answers
        assert answers == (expected[::step] if way == REFERENCE else expected), f"{way} does not agree"
    for _ in range(TURNS):
        for way, build in ways.items():
            _take_turn(figures[way], build, asked, given[way])
    return figures


def _take_turn(
    figure: Figure, build: Build, asked: Sequence[Rule], events: Sequence[tuple[str, Any]]
) -> None:
    gc.collect()
    begun = process_time()
    with build(asked) as decide:
        figure.built_in = min(figure.built_in, process_time() - begun)
        figure.cold = max(figure.cold, _rate(decide, events))
        figure.warm = max(figure.warm, _rate(decide, events))


def _rate(decide: dict[str, Decide], events: Sequence[tuple[str, Any]]) -> float:
    begun = process_time()
    for shard, facts in events:
        way = decide.get(shard)
        if way is not None:
            way(facts)
    return len(events) / (process_time() - begun)


def _answers(decide: dict[str, Decide], events: Sequence[tuple[str, Any]]) -> list[Sequence[str]]:
    return [list(decide[shard](facts)) if shard in decide else [] for shard, facts in events]


if __name__ == "__main__":
    sys.exit(main())
