"""The matcher under load, at the limits of durable_rules, when it is interrupted and when it is closed."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType

import pytest

from engine.rules.condition import All, Any, Condition, FactRef, None_, Op, Rule, Test
from engine.rules.evaluator import evaluate
from engine.rules.facts import Facts
from engine.rules.matcher import Matcher
from engine.rules.truth import Truth

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rules_of(*conditions: Condition, shard: str = "s") -> list[Rule]:
    return [Rule(f"{shard} {place}", shard, each) for place, each in enumerate(conditions)]


def assert_right(rules: list[Rule], situations: list[Facts]) -> None:
    """The matcher says what the reference says, and its networks never had to be given up."""
    matcher = Matcher(rules)
    for facts in situations:
        expected = tuple(rule.id for rule in rules if evaluate(rule.when, facts, NOW) is Truth.TRUE)
        assert matcher.matching(rules[0].shard, facts, NOW) == expected
    assert matcher.surprises == 0
    matcher.close()


def test_rules_come_out_in_the_order_they_were_defined() -> None:
    matcher = Matcher(rules_of(*[Test("event.n", Op.GTE, place % 7) for place in range(100)]))

    assert matcher.matching("s", {"event.n": 3}, NOW) == tuple(
        f"s {place}" for place in range(100) if place % 7 <= 3
    )


def test_shards_are_asked_apart() -> None:
    always = Test("event.n", Op.EXISTS, True)
    matcher = Matcher([*rules_of(always, shard="one"), *rules_of(always, always, shard="two")])

    assert matcher.matching("one", {"event.n": 1}, NOW) == ("one 0",)
    assert matcher.matching("two", {"event.n": 1}, NOW) == ("two 0", "two 1")
    assert matcher.matching("three", {"event.n": 1}, NOW) == ()


def test_one_rule_can_be_asked_by_its_id() -> None:
    matcher = Matcher(rules_of(Test("event.n", Op.GT, 3), Test("event.n", Op.GT, 5)))

    assert matcher.holds("s 0", {"event.n": 4}, NOW)
    assert not matcher.holds("s 1", {"event.n": 4}, NOW)
    with pytest.raises(KeyError):
        matcher.holds("s 2", {"event.n": 4}, NOW)


def test_two_rules_with_one_id_are_refused() -> None:
    rule = Rule("same", "s", Test("event.n", Op.GT, 3))
    with pytest.raises(ValueError, match="same"):
        Matcher([rule, rule])


def test_a_rule_without_tests_holds_or_not_by_itself() -> None:
    assert_right(rules_of(All(()), Any(()), None_(()), All((Any(()), All(())))), [{}, {"event.n": 1}])


# --- what crashes, hangs or misleads durable_rules when it is given it as it stands


def test_more_than_513_siblings_on_one_fact() -> None:
    rules = rules_of(*[Test("event.n", Op.EQ, place) for place in range(700)])
    assert_right(rules, [{"event.n": place} for place in (-1, 0, 511, 512, 513, 699, 700)])


def test_six_hundred_siblings_that_are_all_true_at_once() -> None:
    rules = rules_of(*[Test("event.n", Op.GT, place) for place in range(600)])
    assert_right(rules, [{"event.n": 1000}, {"event.n": 64.5}, {"event.n": None}])


def test_three_hundred_equal_rules() -> None:
    same = All((Test("event.n", Op.GT, 3), Test("event.city", Op.EQ, "上海")))
    assert_right(
        rules_of(*[same] * 300),
        [{"event.n": 4, "event.city": "上海"}, {"event.n": 3, "event.city": "上海"}],
    )


def test_three_thousand_rules_in_one_shard() -> None:
    seeded = random.Random(3)
    rules = rules_of(
        *[
            All(
                (
                    Test(f"event.n{seeded.randrange(20)}", Op.GTE, seeded.randrange(50)),
                    Test(
                        "event.city", Op.IN, (f"city {seeded.randrange(30)}", f"city {seeded.randrange(30)}")
                    ),
                    None_((Test(f"event.n{seeded.randrange(20)}", Op.GT, seeded.randrange(30, 60)),)),
                )
            )
            for _ in range(3_000)
        ]
    )
    situations: list[Facts] = [
        {"event.city": f"city {turn}", **{f"event.n{path}": seeded.randrange(60) for path in range(20)}}
        for turn in range(8)
    ]
    assert_right(rules, situations)


def test_deep_and_wide_alternatives_do_not_explode() -> None:
    def tower(depth: int, path: int) -> Condition:
        if depth == 0:
            return Any(tuple(Test(f"event.n{path}", Op.EQ, value) for value in range(3)))
        return Any(tuple(All((tower(depth - 1, path * 2 + side), tower(depth - 1, path))) for side in (0, 1)))

    product = All(
        tuple(Any((Test(f"event.n{n}", Op.EQ, 1), Test(f"event.n{n}", Op.EQ, 2))) for n in range(24))
    )
    deep: Condition = Test("event.n0", Op.EQ, 1)
    for level in range(120):
        deep = Any((All((deep, Test(f"event.n{level % 9}", Op.GTE, 0))), Test("event.n1", Op.EQ, level)))
    seeded = random.Random(5)
    situations: list[Facts] = [
        {f"event.n{n}": value for n in range(32) if (value := seeded.choice([None, 0, 1, 2, 5])) is not None}
        for _ in range(60)
    ]
    situations += [{f"event.n{n}": 1 + n % 2 for n in range(32)}]
    assert_right(rules_of(tower(3, 1), product, None_((product,)), deep, None_((deep,))), situations)


def test_one_rule_with_hundreds_of_tests_and_facts() -> None:
    every = All(tuple(Test(f"event.n{n}", Op.GT, n) for n in range(300)))
    full: dict[str, int] = {f"event.n{n}": n + 1 for n in range(300)}
    assert_right(rules_of(every, None_((every,))), [full, {**full, "event.n150": 0}, {"event.n1": 5}, {}])


def test_two_hundred_rules_with_facts_of_their_own_are_all_true() -> None:
    rules = rules_of(*[All(tuple(Test(f"event.n{n}_{m}", Op.EQ, m) for m in range(6))) for n in range(200)])
    assert_right(rules, [{f"event.n{n}_{m}": m for n in range(200) for m in range(6)}])


def test_facts_named_and_valued_to_collide_or_escape() -> None:
    # evt-462789 and evt-679192 have one 32-bit hash; the rest would end or bend the C side's text.
    names = ["evt-462789", "evt-679192", "id", "sid", "$s", 'a"b', "a\\", "", "u.age", "上海\n"]
    rules = rules_of(*[Test(name, Op.EQ, text) for name in names for text in names])
    assert_right(rules, [{name: text} for name in names for text in [*names, "x" * 70_000]])


def test_ages_are_counted_from_the_moment_given() -> None:
    matcher = Matcher(rules_of(Test("contact.seen_at", Op.OLDER_THAN, timedelta(days=30))))
    facts: Facts = {"contact.seen_at": NOW}

    assert matcher.matching("s", facts, NOW + timedelta(days=29)) == ()
    assert matcher.matching("s", facts, NOW + timedelta(days=30)) == ("s 0",)
    assert matcher.matching("s", facts, NOW) == ()


# --- threads


def test_eight_threads_get_the_answers_that_one_would() -> None:
    seeded = random.Random(8)
    rules = rules_of(
        *[
            Any(
                (
                    Test(f"event.n{seeded.randrange(6)}", Op.GT, seeded.randrange(9)),
                    Test("event.city", Op.EQ, seeded.choice("abc")),
                    Test("event.n0", Op.LT, FactRef("event.n1", 2.0)),
                )
            )
            for _ in range(60)
        ]
    )
    situations: list[Facts] = [
        {"event.city": seeded.choice("abcd"), **{f"event.n{n}": seeded.randrange(10) for n in range(6)}}
        for _ in range(100)
    ]
    matcher = Matcher(rules)
    expected = [
        tuple(rule.id for rule in rules if evaluate(rule.when, facts, NOW) is Truth.TRUE)
        for facts in situations
    ]

    def ask(thread: int) -> list[tuple[str, ...]]:
        order = list(range(len(situations)))
        random.Random(thread).shuffle(order)
        found: dict[int, tuple[str, ...]] = {}
        for place in order:
            found[place] = matcher.matching("s", situations[place], NOW)
        return [found[place] for place in range(len(situations))]

    with ThreadPoolExecutor(8) as pool:
        assert all(answers == expected for answers in pool.map(ask, range(8)))
    assert matcher.surprises == 0
    matcher.close()


# --- interruptions and the end


class Interruption(BaseException):
    """What a signal handler may raise between any two steps, as Ctrl-C does."""


@contextmanager
def interrupting_after(call: str, error: BaseException) -> Iterator[None]:
    """Raise `error` right after the named C function returned, through the interpreter's own profiler."""

    def watch(frame: FrameType, event: str, arg: Callable[..., object] | None) -> None:
        if event == "c_return" and getattr(arg, "__name__", "") == call:
            sys.setprofile(None)
            raise error

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


C_CALLS = ["assert_fact", "start_action_for_state", "complete_and_start_action", "retract_fact"]


@pytest.mark.parametrize("call", ["create_ruleset", *C_CALLS])
def test_an_interrupted_question_leaves_no_wrong_answers_behind(call: str) -> None:
    matcher = Matcher(rules_of(Test("event.n", Op.GT, 3), Test("event.n", Op.GT, 5)))
    if call != "create_ruleset":  # another answer than the one to come: that one must not be known yet
        assert matcher.matching("s", {"event.n": 4}, NOW) == ("s 0",)

    with pytest.raises(Interruption), interrupting_after(call, Interruption()):
        matcher.matching("s", {"event.n": 9}, NOW)

    for _ in range(3):
        assert matcher.matching("s", {"event.n": 9}, NOW) == ("s 0", "s 1")
        assert matcher.matching("s", {"event.n": 4}, NOW) == ("s 0",)
        assert matcher.matching("s", {"event.n": 1}, NOW) == ()
    assert matcher.surprises == 0
    matcher.close()


@pytest.mark.parametrize("call", ["create_ruleset", *C_CALLS])
def test_when_the_core_fails_the_reference_answers(call: str) -> None:
    matcher = Matcher(rules_of(Test("event.n", Op.GT, 3), Test("event.n", Op.GT, 5)))
    if call != "create_ruleset":  # another answer than the one to come: that one must not be known yet
        assert matcher.matching("s", {"event.n": 4}, NOW) == ("s 0",)

    with interrupting_after(call, MemoryError()):
        assert matcher.matching("s", {"event.n": 9}, NOW) == ("s 0", "s 1")
    assert matcher.surprises == 1
    with interrupting_after(call, MemoryError()):
        assert matcher.holds("s 1", {"event.n": 9}, NOW)

    assert matcher.matching("s", {"event.n": 4}, NOW) == ("s 0",)
    matcher.close()


def test_a_closed_matcher_still_answers_and_can_be_closed_again() -> None:
    matcher = Matcher(
        [*rules_of(Test("event.n", Op.GT, 3)), *rules_of(Test("event.n", Op.GT, 3), shard="unasked")]
    )
    assert matcher.matching("s", {"event.n": 9}, NOW) == ("s 0",)
    matcher.close()
    matcher.close()

    assert matcher.matching("s", {"event.n": 9}, NOW) == ("s 0",)
    assert matcher.matching("unasked", {"event.n": 9}, NOW) == ("unasked 0",)
    assert not matcher.holds("s 0", {"event.n": 1}, NOW)
