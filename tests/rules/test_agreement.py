"""Matcher, reference evaluator and explanation give the same answer, whatever the rules and facts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import combinations, count, product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.rules.condition import All, Any, Condition, FactRef, None_, Op, Rule, Test, Wanted
from engine.rules.evaluator import evaluate
from engine.rules.explaining import Explanation, Part, explain, nearest_miss
from engine.rules.facts import Facts, FactValue
from engine.rules.matcher import Matcher
from engine.rules.truth import Truth, all_of, any_of, negate

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NUMBERS: list[int | float] = [-3, 0, -0.0, 1, 1.0, 1.5, 2, 7, 10**18, 0.1 + 0.2, 0.3, 5e-324, 1e308]
# Where floats no longer tell whole numbers apart, where 64 bits end, and far beyond any float.
NUMBERS += [2**53, 2**53 + 1, float(2**53), -(2**63), 2**63, 2**64, 10**400]
# The two é are one letter to a reader and two texts to a program; a lone half of an emoji is no UTF-8.
TEXTS = [
    "",
    "a",
    "ab",
    "b",
    "上海",
    "上海市",
    "🎁",
    "true",
    "1",
    "ß",
    "\u00e9",
    "e\u0301",
    "a\0",
    '"',
    "\ud83c",
]
TICK = timedelta(microseconds=1)
MOMENTS = [NOW + timedelta(hours=hours) for hours in (-1000, -48, -24, -1, 0, 1, 24)]
SHANGHAI = timezone(timedelta(hours=8))
SEEN = [at for each in MOMENTS for at in (each, each - TICK, each + TICK, each.astimezone(SHANGHAI))]
AGES = [timedelta(hours=hours) for hours in (1, 24, 48, 1000)]
LABELS = ["a", "b", "vip", "员工", "", "🎁"]
PATHS = {
    "number": ["event.amount", "contact.count"],
    "text": ["event.text", "contact.city"],
    "boolean": ["event.flag"],
    "moment": ["event.at", "contact.seen_at"],
    "labels": ["contact.tags", "contact.audiences"],
}
ALL_PATHS = [path for paths in PATHS.values() for path in paths]


def single(
    paths: list[str], ops: list[Op], wanted: st.SearchStrategy[Wanted], *, times: bool = False
) -> st.SearchStrategy[Test]:
    factor = st.sampled_from([1.0, 1.5, -2.0]) if times else st.just(1.0)
    reference = st.builds(FactRef, st.sampled_from(ALL_PATHS if times else paths), factor)
    by_fact = [op for op in ops if op not in (Op.BETWEEN, Op.IN, Op.NOT_IN, Op.HAS_ANY, Op.HAS_ALL)]
    plain = st.builds(Test, st.sampled_from(paths), st.sampled_from(ops), wanted)
    return plain | st.builds(Test, st.sampled_from(paths), st.sampled_from(by_fact), reference)


def several(
    *values: list[str] | list[int | float] | list[datetime] | list[bool],
) -> st.SearchStrategy[Wanted]:
    return st.lists(st.one_of(*map(st.sampled_from, values)), max_size=3).map(tuple)


ORDER = [Op.GT, Op.GTE, Op.LT, Op.LTE]
PAIRS = st.lists(st.sampled_from(NUMBERS), min_size=2, max_size=2).map(lambda pair: tuple(sorted(pair)))
SPANS = st.lists(st.sampled_from(MOMENTS), min_size=2, max_size=2).map(lambda pair: tuple(sorted(pair)))
SINGLE: st.SearchStrategy[Condition] = st.one_of(
    single(PATHS["number"], [Op.EQ, Op.NE, *ORDER], st.sampled_from(NUMBERS), times=True),
    st.builds(Test, st.sampled_from(PATHS["number"]), st.just(Op.BETWEEN), PAIRS),
    st.builds(Test, st.sampled_from(PATHS["number"]), st.sampled_from([Op.IN, Op.NOT_IN]), several(NUMBERS)),
    single(
        PATHS["text"],
        [Op.EQ, Op.NE, Op.CONTAINS, Op.STARTS_WITH, Op.ENDS_WITH],
        st.sampled_from(TEXTS),
    ),
    st.builds(Test, st.sampled_from(PATHS["text"]), st.sampled_from([Op.IN, Op.NOT_IN]), several(TEXTS)),
    st.builds(
        Test,
        st.sampled_from(PATHS["text"]),
        st.just(Op.MATCHES),
        st.sampled_from(["^a", "b$", "[上海]+", "."]),
    ),
    single(PATHS["boolean"], [Op.EQ, Op.NE], st.booleans()),
    single(PATHS["moment"], [Op.BEFORE, Op.AFTER, Op.EQ, Op.NE, *ORDER], st.sampled_from(MOMENTS)),
    st.builds(Test, st.sampled_from(PATHS["moment"]), st.just(Op.BETWEEN), SPANS),
    st.builds(
        Test,
        st.sampled_from(ALL_PATHS),
        st.sampled_from([Op.IN, Op.NOT_IN]),
        several(NUMBERS, TEXTS, [True, False], MOMENTS),
    ),
    st.builds(
        Test,
        st.sampled_from(PATHS["moment"]),
        st.sampled_from([Op.WITHIN, Op.OLDER_THAN]),
        st.sampled_from(AGES),
    ),
    single(["contact.tags", "contact.audiences"], [Op.HAS, Op.LACKS], st.sampled_from(LABELS)),
    st.builds(
        Test,
        st.just("contact.tags"),
        st.sampled_from([Op.HAS, Op.LACKS]),
        st.builds(FactRef, st.sampled_from(PATHS["text"])),
    ),
    st.builds(Test, st.just("contact.tags"), st.sampled_from([Op.HAS_ANY, Op.HAS_ALL]), several(LABELS)),
    st.builds(Test, st.sampled_from(ALL_PATHS), st.just(Op.EXISTS), st.booleans()),
)


def joined(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    some = st.lists(parts, max_size=4).map(tuple)
    return st.builds(All, some) | st.builds(Any, some) | st.builds(None_, some)


CONDITIONS = st.recursive(SINGLE, joined, max_leaves=12)
VALUES: dict[str, st.SearchStrategy[FactValue | None]] = {
    "number": st.sampled_from([*NUMBERS, float("inf"), float("nan"), math.nextafter(1.5, 2), 2**53 - 1]),
    "text": st.sampled_from([*TEXTS, "a" * 501]),
    "boolean": st.booleans(),
    "moment": st.sampled_from([*SEEN, NOW.replace(tzinfo=None)]),
    "labels": st.frozensets(st.sampled_from([*LABELS, "another"])),
}
ANYTHING: st.SearchStrategy[FactValue | None] = st.one_of(st.none(), *VALUES.values())


@st.composite
def fact_sets(draw: st.DrawFn) -> Facts:
    """Mostly well-typed facts, some missing, some None, now and then one of a wrong type."""
    facts: dict[str, FactValue | None] = {}
    for kind, paths in PATHS.items():
        for path in paths:
            choice = draw(st.integers(0, 9))
            if choice:
                facts[path] = draw(ANYTHING if choice == 1 else VALUES[kind])
    return facts


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(CONDITIONS, min_size=1, max_size=10),
    st.lists(fact_sets(), min_size=1, max_size=6),
    st.integers(-50, 50),
)
def test_the_matcher_answers_as_the_reference_does(
    conditions: list[Condition], situations: list[Facts], hours: int
) -> None:
    rules = [Rule(f"rule {place}", "shard", condition) for place, condition in enumerate(conditions)]
    matcher = Matcher(rules)
    now = NOW + timedelta(hours=hours)
    for facts in [*situations, *situations]:  # the second time many answers are known already
        truths = {rule.id: evaluate(rule.when, facts, now) for rule in rules}
        expected = tuple(rule_id for rule_id, truth in truths.items() if truth is Truth.TRUE)
        assert matcher.matching("shard", facts, now) == expected
        assert all(matcher.holds(each, facts, now) is (truths[each] is Truth.TRUE) for each in truths)
    assert matcher.surprises == 0
    matcher.close()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CONDITIONS, min_size=33, max_size=60), fact_sets())
def test_so_does_a_matcher_of_several_networks(conditions: list[Condition], facts: Facts) -> None:
    rules = [Rule(f"rule {place}", "shard", condition) for place, condition in enumerate(conditions)]
    matcher = Matcher(rules)
    expected = tuple(rule.id for rule in rules if evaluate(rule.when, facts, NOW) is Truth.TRUE)
    assert matcher.matching("shard", facts, NOW) == expected
    assert matcher.surprises == 0
    matcher.close()


@settings(max_examples=200, deadline=None)
@given(CONDITIONS, fact_sets())
def test_the_explanation_has_the_truth_that_was_decided(condition: Condition, facts: Facts) -> None:
    assert explain(condition, facts, NOW).truth is evaluate(condition, facts, NOW)


WRITTEN = st.recursive(
    SINGLE,
    lambda parts: st.builds(
        lambda kind, some: kind(tuple(some)),
        st.sampled_from([All, Any, None_]),
        st.lists(parts, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(WRITTEN, fact_sets())
def test_the_nearest_miss_is_a_smallest_set_of_tests_to_turn_round(
    condition: Condition, facts: Facts
) -> None:
    explanation = explain(placed(condition, count()), facts, NOW)
    leaves = list(leaves_of(explanation))
    missed = nearest_miss(explanation)

    sizes = (
        size
        for size in range(len(leaves) + 1)
        if any(can_become_true(explanation, chosen) for chosen in combinations(leaves, size))
    )
    assert len(missed) == next(sizes)
    assert can_become_true(explanation, missed)


def placed(condition: Condition, numbers: Iterator[int]) -> Condition:
    """The condition with a place of its own for every test, as the parser gives."""
    if isinstance(condition, Test):
        return replace(condition, at=(next(numbers),))
    return replace(condition, parts=tuple(placed(part, numbers) for part in condition.parts))


def leaves_of(explanation: Explanation) -> Iterator[Explanation]:
    if explanation.kind is Part.TEST:
        yield explanation
    for part in explanation.parts:
        yield from leaves_of(part)


def can_become_true(explanation: Explanation, chosen: tuple[Explanation, ...]) -> bool:
    """Whether some definite answers of the chosen tests make the whole true."""
    return any(
        answer(explanation, dict(zip(chosen, turned, strict=True))) is Truth.TRUE
        for turned in product((Truth.TRUE, Truth.FALSE), repeat=len(chosen))
    )


def answer(explanation: Explanation, turned: dict[Explanation, Truth]) -> Truth:
    match explanation.kind:
        case Part.TEST:
            return turned.get(explanation, explanation.truth)
        case Part.ALL:
            return all_of(answer(part, turned) for part in explanation.parts)
        case Part.ANY:
            return any_of(answer(part, turned) for part in explanation.parts)
        case Part.NONE:
            return negate(any_of(answer(part, turned) for part in explanation.parts))
