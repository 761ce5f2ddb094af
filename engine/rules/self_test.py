"""Holds compiled rules against the reference evaluator, at the edges of everything they ask about.

Run as `python -m engine.rules.self_test` with pickled rules on standard input, it tells line by line which
rule it is at, and at last whether all is well: `engine.rules.proving` starts it, and survives it.
"""

from __future__ import annotations

import json
import math
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from engine.rules.condition import Condition, FactRef, None_, Rule, Test, Wanted
from engine.rules.evaluator import evaluate, settle
from engine.rules.facts import Facts, FactValue
from engine.rules.matcher import Matcher
from engine.rules.network import NetworkSpoilt
from engine.rules.truth import Truth

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_MOST_SITUATIONS = 24
"""For each rule."""
_MOST_WHOLE = 8
"""Situations in which all rules of a shard are asked at once."""
_ANYTHING: tuple[FactValue, ...] = (0, 1, 2, -1, 150.5, "a", "b", True, _NOW, frozenset({"a", "b"}))
"""For facts that are held against other facts."""


@dataclass(frozen=True)
class Fault:
    """A rule that the matcher does not decide as the reference does, and how that showed."""

    rule: str
    why: str


def self_test(rules: Sequence[Rule], at: Callable[[str], None]) -> Fault | None:
    """The first fault there is; `at` is told each rule before it is compiled or asked."""
    matcher = Matcher(rules)
    shards: dict[str, list[Rule]] = {}
    for rule in rules:
        shards.setdefault(rule.shard, []).append(rule)
    for shard, mates in shards.items():
        at(mates[0].id)
        try:
            matcher.prepare(shard)
        except NetworkSpoilt as error:
            return Fault(mates[0].id, f"it cannot be compiled: {error}")
        together: list[Facts] = []
        for rule in mates:
            at(rule.id)
            tried = situations(rule.when)
            together.extend(tried[:1])
            for facts in tried:
                if matcher.holds(rule.id, facts, _NOW) is not _says(rule, facts):
                    return Fault(rule.id, "it was decided wrongly")
            if matcher.surprises:
                return Fault(rule.id, "durable_rules answered wrongly or not at all")
        for facts in together[:: len(together) // _MOST_WHOLE + 1]:
            if matcher.matching(shard, facts, _NOW) != tuple(each.id for each in mates if _says(each, facts)):
                return Fault(mates[0].id, "the rules asked together with it were decided wrongly")
    if matcher.surprises:
        return Fault(rules[-1].id, "durable_rules answered wrongly or not at all")
    matcher.close()
    return None


def _says(rule: Rule, facts: Facts) -> bool:
    return evaluate(rule.when, facts, _NOW) is Truth.TRUE


def situations(condition: Condition) -> list[Facts]:
    """Facts that fit the condition as far as could be found; none at all; the former with one fact changed.

    Each fact in turn is missing, and at, just below and just above every value that it is held against.
    """
    wishes = list(_wishes(condition, True))
    values: dict[str, list[FactValue]] = {}
    for test, _ in wishes:
        values.setdefault(test.path, []).extend(_edges(test.wanted))
        if isinstance(test.wanted, FactRef):
            values.setdefault(test.wanted.path, []).extend(_ANYTHING)
    fitting: dict[str, FactValue | None] = {}
    for path, found in values.items():
        mine = [(test, truth) for test, truth in wishes if test.path == path]
        fitting[path] = max(
            found,
            key=lambda value: sum(
                settle(test, {**fitting, path: value}, _NOW) is Truth.of(truth) for test, truth in mine
            ),
        )
    made: list[Facts] = [fitting, {}]
    for path, found in values.items():
        made.extend({**fitting, path: value} for value in (None, *found))
    step = math.ceil((len(made) - 2) / _MOST_SITUATIONS) or 1
    return [*made[:2], *made[2::step]]


def _wishes(condition: Condition, truth: bool) -> Iterator[tuple[Test, bool]]:
    """Every test, and what it would have to say for the whole to hold."""
    if isinstance(condition, Test):
        yield condition, truth
        return
    for part in condition.parts:
        yield from _wishes(part, not truth if isinstance(condition, None_) else truth)


def _edges(wanted: Wanted) -> list[FactValue]:
    """Values at and around what a test wants, and one of another type."""
    match wanted:
        case bool():
            return [wanted, not wanted, 1]
        case int() | float():
            near = (
                []
                if abs(wanted) > 2**53
                else [math.nextafter(wanted, math.inf), math.nextafter(wanted, -math.inf)]
            )
            return [wanted, wanted + 1, wanted - 1, *near, "1"]
        case str():
            return [
                wanted,
                frozenset({wanted}),
                f"{wanted}x",
                f"x{wanted}",
                f"x{wanted}x",
                "",
                frozenset({"x"}),
                1,
            ]
        case datetime():
            return [wanted, wanted + _TICK, wanted - _TICK, "1"]
        case timedelta():
            moments = [_NOW - wanted, _NOW + wanted]
            return [
                _NOW,
                *(moment + tick for moment in moments for tick in (timedelta(), _TICK, -_TICK)),
                "1",
            ]
        case FactRef():
            return list(_ANYTHING)
        case _:
            every = frozenset(each for each in wanted if isinstance(each, str))
            return [edge for each in wanted for edge in _edges(each)] + [every, every | {"x"}]


def main() -> int:
    """Read rules, test them, say so. Standard error is left for what Python says of a defect."""

    def say(**what: str | None) -> None:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()

    fault = self_test(pickle.load(sys.stdin.buffer), lambda rule: say(at=rule))
    say(**({"done": None} if fault is None else {"wrong": fault.rule, "why": fault.why}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
