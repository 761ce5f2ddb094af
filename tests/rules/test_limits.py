"""Just below, at and just above every number at which durable_rules refuses, crashes, hangs or is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from engine.rules.condition import All, Any, Condition, None_, Op, Rule, Test
from engine.rules.evaluator import evaluate
from engine.rules.facts import Facts
from engine.rules.matcher import Matcher
from engine.rules.network import MOST_COMPARISONS, MOST_RULES, Network, NetworkSpoilt
from engine.rules.normal_form import Comparison, Relation
from engine.rules.truth import Truth

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def around(*limits: int) -> list[int]:
    return [limit + step for limit in limits for step in (-1, 0, 1)]


def assert_right(conditions: Sequence[Condition], *situations: Facts) -> None:
    """The matcher says what the reference says, and its networks never had to be given up."""
    rules = [Rule(f"rule {place}", "s", each) for place, each in enumerate(conditions)]
    matcher = Matcher(rules)
    for facts in situations:
        expected = tuple(rule.id for rule in rules if evaluate(rule.when, facts, NOW) is Truth.TRUE)
        assert matcher.matching("s", facts, NOW) == expected
    assert matcher.surprises == 0
    matcher.close()


# 8 rules fill one of our networks; 64 waiting conditions the C stack; 255 equal rules its list of rules
# behind one condition; 511 its table of siblings; 4096 its list of rules.
@pytest.mark.parametrize("count", around(8, 64, 255, 512, 4096))
def test_any_number_of_rules_can_be_true_at_once(count: int) -> None:
    assert_right(
        [Test("event.n", Op.GTE, place) for place in range(count)],
        {"event.n": count},
        {"event.n": count / 2},
        {},
    )


@pytest.mark.parametrize("count", around(8, 64, 255, 512))
def test_any_number_of_rules_can_be_the_same(count: int) -> None:
    same = All((Test("event.n", Op.GT, 3), Test("event.city", Op.EQ, "上海")))
    assert_right([same] * count, {"event.n": 4, "event.city": "上海"}, {"event.n": 4, "event.city": "北京"})


@pytest.mark.parametrize("count", around(64, 255, 512))
def test_any_number_of_texts_can_be_told_apart(count: int) -> None:
    rules = [Test("event.text", Op.EQ, f"text {place}") for place in range(count)]
    assert_right(rules, *({"event.text": f"text {place}"} for place in (0, count // 2, count - 1, count)))


@pytest.mark.parametrize("count", around(8, 64, 255))
def test_any_number_of_labels_can_be_asked_for(count: int) -> None:
    single = [Test("contact.tags", op, f"tag {place}") for place in range(count) for op in (Op.HAS, Op.LACKS)]
    every: list[Condition] = [All(tuple(single[::2])), All(tuple(single[1::2])), None_(tuple(single[::2]))]
    held = frozenset(f"tag {place}" for place in range(0, count, 2))
    whole = frozenset(f"tag {place}" for place in range(count))
    assert_right(
        [*single, *every], {"contact.tags": held}, {"contact.tags": whole}, {"contact.tags": frozenset()}, {}
    )


# 24 comparisons are the most one of our conjunctions has; a C document has at most 252 names.
@pytest.mark.parametrize("count", around(24, 252))
def test_one_rule_can_ask_for_any_number_of_facts(count: int) -> None:
    tests = tuple(Test(f"event.n{place}", Op.GT, place) for place in range(count))
    full: dict[str, int] = {f"event.n{place}": place + 1 for place in range(count)}
    assert_right(
        [All(tests), Any(tests), None_(tests), None_((All(tests),))],
        full,
        {**full, f"event.n{count - 1}": 0},
        {"event.n1": 5},
        dict.fromkeys(full, 0),
        {},
    )


@pytest.mark.parametrize("count", around(8, 16))
def test_one_rule_can_have_any_number_of_alternatives(count: int) -> None:
    pairs = tuple(
        All((Test(f"event.n{place}", Op.EQ, 1), Test("event.city", Op.NE, f"city {place}")))
        for place in range(count)
    )
    facts: Facts = {f"event.n{place}": 1 for place in range(count)}
    assert_right(
        [Any(pairs), None_(pairs), All(pairs)], {**facts, "event.city": "city 1"}, {"event.n1": 1}, {}
    )


def test_five_thousand_rules_are_decided() -> None:
    rules = [
        Rule(
            f"rule {place}",
            f"s{place % 12}",
            All((
                Test("event.n", Op.GTE, place % 97),
                Test("event.city", Op.IN, (f"city {place % 13}", f"city {place % 7}")),
                None_((Test("contact.tags", Op.HAS, f"tag {place % 31}"),)),
            )),
        )
        for place in range(5_000)
    ]  # fmt: skip
    matcher = Matcher(rules)
    matcher.prepare()
    for shard in ("s0", "s5", "s11"):
        facts: Facts = {"event.n": 60, "event.city": "city 3", "contact.tags": frozenset({"tag 2", "tag 5"})}
        mates = [rule for rule in rules if rule.shard == shard]
        expected = tuple(rule.id for rule in mates if evaluate(rule.when, facts, NOW) is Truth.TRUE)
        assert expected
        assert matcher.matching(shard, facts, NOW) == expected
    assert matcher.surprises == 0
    matcher.close()


# --- one network: what it takes, and what it refuses before the C side sees it


def own_columns(rules: int, comparisons: int) -> list[list[Comparison]]:
    return [
        [Comparison(rule * comparisons + column, Relation.GTE, column) for column in range(comparisons)]
        for rule in range(rules)
    ]


def test_a_full_network_answers_the_largest_question_it_takes() -> None:
    network = Network(own_columns(MOST_RULES, MOST_COMPARISONS))
    asked = list(range(MOST_RULES))
    assert sorted(network.decide(asked, lambda column: 1_000)) == asked
    assert sorted(network.decide(asked, lambda column: column % MOST_COMPARISONS)) == asked
    assert network.decide(asked, lambda column: 0) == []
    network.close()


@pytest.mark.parametrize(
    ("rules", "comparisons"), [(MOST_RULES + 1, 1), (1, MOST_COMPARISONS + 1)], ids=["rules", "comparisons"]
)
def test_a_network_refuses_more_than_is_safe(rules: int, comparisons: int) -> None:
    with pytest.raises(ValueError, match="do not fit into one network; it takes 8 rules of 24"):
        Network(own_columns(rules, comparisons))


def test_what_a_question_can_hold_is_inside_the_limits_that_were_measured() -> None:
    names_in_a_document = len({"id", "sid"}) + MOST_RULES + MOST_RULES * MOST_COMPARISONS

    assert names_in_a_document <= 252
    # Waiting on the C stack 64, rules behind one condition 255, siblings 511, rules 4096.
    assert MOST_RULES + 1 <= 64


def test_no_two_names_in_a_network_have_the_same_hash() -> None:
    names = ["id", "sid", "$s", "$forward", "m", "d", "w", "sid-0", "0"]
    names += [f"r{place}" for place in range(MOST_RULES)]
    names += [f"p{place}" for place in range(MOST_RULES * MOST_COMPARISONS)]
    assert fnv32("evt-462789") == fnv32("evt-679192")  # the hash that is meant

    assert [name for name, times in Counter(map(fnv32, names)).items() if times > 1] == []


def fnv32(name: str) -> int:
    hashed = 0x811C9DC5
    for byte in name.encode():
        hashed = ((hashed ^ byte) * 0x01000193) & 0xFFFFFFFF
    return hashed


def test_a_closed_network_says_so() -> None:
    network = Network(own_columns(1, 1))
    network.close()
    with pytest.raises(NetworkSpoilt, match="closed"):
        network.decide([0], lambda column: 1)


CODES: list[tuple[Relation, Callable[[int, int], bool]]] = [
    (Relation.EQ, lambda found, wanted: found == wanted),
    (Relation.NE, lambda found, wanted: found != wanted),
    (Relation.LT, lambda found, wanted: found < wanted),
    (Relation.LTE, lambda found, wanted: found <= wanted),
    (Relation.GT, lambda found, wanted: found > wanted),
    (Relation.GTE, lambda found, wanted: found >= wanted),
]


@pytest.mark.parametrize(("relation", "holds"), CODES, ids=lambda each: getattr(each, "value", ""))
def test_the_network_itself_decides_every_relation(
    relation: Relation, holds: Callable[[int, int], bool]
) -> None:
    marks = [0, 1, 2, 9_999, 10_000, 2**31]
    network = Network([[Comparison(0, relation, mark)] for mark in marks])
    for found in [*marks, 5, 2**31 + 1]:
        fired = network.decide(range(len(marks)), lambda column, found=found: found)  # type: ignore[misc]
        assert sorted(fired) == [place for place, mark in enumerate(marks) if holds(found, mark)]
    network.close()
