"""Other ways to decide the same rules: Python written for them alone, the reference, and another engine.

Each takes what it is quickest with: Python the flat mapping that our matcher takes, datalogic-py the nested
document as JSON text. Nothing here but the reference knows of missing facts beyond "not true".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

import orjson

from benchmarks.rule_load import NOW, Situation
from engine.rules.condition import Op, Rule, Test, tests_of
from engine.rules.evaluator import evaluate
from engine.rules.facts import Facts
from engine.rules.truth import Truth

Decide = Callable[[Any], Sequence[str]]
"""From what a way is quickest with to the ids of the rules that are true, in order."""
_SIGNS = {Op.EQ: "==", Op.LT: "<", Op.LTE: "<=", Op.GT: ">", Op.GTE: ">="}


def by_reference(rules: Sequence[Rule]) -> dict[str, Decide]:
    """The reference evaluator, rule by rule."""
    return {shard: _reference(mates) for shard, mates in _by_shard(rules)}


def _reference(rules: Sequence[Rule]) -> Decide:
    return lambda facts: [rule.id for rule in rules if evaluate(rule.when, facts, NOW) is Truth.TRUE]


def by_closures(rules: Sequence[Rule]) -> dict[str, Decide]:
    """A compiled Python expression for each rule, asked one after the other."""
    return {shard: _closures(mates) for shard, mates in _by_shard(rules)}


def _closures(rules: Sequence[Rule]) -> Decide:
    compiled: list[tuple[str, Callable[[Facts], bool]]] = []
    for rule in rules:
        tests = [_expression(test, f"facts[{test.path!r}]") for test in tests_of(rule.when)]
        compiled.append((rule.id, eval(f"lambda facts: {' and '.join(tests)}")))
    return lambda facts: [rule_id for rule_id, holds in compiled if holds(facts)]


def by_flat_code(rules: Sequence[Rule]) -> dict[str, Decide]:
    """One generated Python function for each event type: every fact read once, one `if` for each rule."""
    return {shard: _flat_code(mates) for shard, mates in _by_shard(rules)}


def _flat_code(rules: Sequence[Rule]) -> Decide:
    names: dict[str, str] = {}
    ifs: list[str] = []
    for rule in rules:
        tests = list(tests_of(rule.when))
        for test in tests:
            names.setdefault(test.path, f"fact{len(names)}")
        holds = " and ".join(_expression(test, names[test.path]) for test in tests)
        ifs.append(f"    if {holds}: true.append({rule.id!r})")
    reads = [f"    {name} = facts[{path!r}]" for path, name in names.items()]
    code = "\n".join(["def decide(facts):", "    true = []", *reads, *ifs, "    return true"])
    space: dict[str, Any] = {}
    exec(code, space)
    return space["decide"]  # type: ignore[no-any-return]


def _expression(test: Test, value: str) -> str:
    if test.op is Op.HAS:
        return f"{test.wanted!r} in {value}"
    if test.op is Op.IN:
        return f"{value} in {set(test.wanted)!r}"  # type: ignore[arg-type]
    return f"{value} {_SIGNS[test.op]} {test.wanted!r}"


def by_datalogic(rules: Sequence[Rule]) -> dict[str, Decide]:
    """datalogic-py (JSONLogic in Rust), one compiled list of all rules for each event type.

    ImportError when it is not installed.
    """
    engine = import_module("datalogic_py").Engine()
    return {shard: _datalogic(mates, engine) for shard, mates in _by_shard(rules)}


def _datalogic(rules: Sequence[Rule], engine: Any) -> Decide:
    compiled = engine.compile(
        [{"and": [_json_logic(test) for test in tests_of(rule.when)]} for rule in rules]
    )
    ask, ids = engine.session().evaluate_str, [rule.id for rule in rules]

    def decide(document: dict[str, Any]) -> list[str]:
        answers = orjson.loads(ask(compiled, orjson.dumps(document).decode()))
        return [rule_id for rule_id, holds in zip(ids, answers, strict=True) if holds]

    return decide


def _json_logic(test: Test) -> dict[str, Any]:
    value = {"var": test.path}
    if test.op is Op.HAS:
        return {"in": [test.wanted, value]}
    if test.op is Op.IN:
        return {"in": [value, list(test.wanted)]}  # type: ignore[arg-type]
    return {_SIGNS[test.op]: [value, test.wanted]}


def nested(situation: Situation) -> dict[str, Any]:
    """The facts as the document that JSON engines take."""
    document: dict[str, dict[str, Any]] = {}
    for path, value in situation.facts.items():
        part, _, name = path.partition(".")
        document.setdefault(part, {})[name] = sorted(value) if isinstance(value, frozenset) else value
    return document


def _by_shard(rules: Sequence[Rule]) -> Iterable[tuple[str, list[Rule]]]:
    shards: dict[str, list[Rule]] = {}
    for rule in rules:
        shards.setdefault(rule.shard, []).append(rule)
    return shards.items()
