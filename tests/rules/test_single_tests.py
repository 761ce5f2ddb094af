"""Every test of the language on every sort of fact, by the evaluator and by the matcher."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from engine.rules.condition import FactRef, None_, Op, Rule, Test, Wanted
from engine.rules.evaluator import evaluate
from engine.rules.facts import FactValue
from engine.rules.matcher import Matcher
from engine.rules.truth import Truth

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHANGHAI = timezone(timedelta(hours=8))
DAY = timedelta(days=1)
LABELS = frozenset({"vip", "员工"})
T, F, U = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN

CASES: list[tuple[Op, Wanted, object, Truth]] = [
    # numbers
    (Op.EQ, 5, 5, T),
    (Op.EQ, 5, 5.0, T),
    (Op.EQ, 5, 4, F),
    (Op.EQ, 0.1, 0.1, T),
    (Op.EQ, 1, True, U),
    (Op.EQ, 5, "5", U),
    (Op.EQ, 5, None, U),
    (Op.EQ, 5, float("nan"), U),
    (Op.EQ, 5, float("inf"), U),
    (Op.NE, 5, 4, T),
    (Op.NE, 5, 5, F),
    (Op.NE, 5, "x", U),
    (Op.GT, 5, 5.000001, T),
    (Op.GT, 5, 5, F),
    (Op.GT, 5, 10**400, T),
    (Op.GTE, 5, 5, T),
    (Op.GTE, 5, 4.99, F),
    (Op.LT, 5, 4, T),
    (Op.LT, 5, -(10**30), T),
    (Op.LT, 5, 5, F),
    (Op.LT, 5, "4", U),
    (Op.LTE, 5, 5, T),
    (Op.LTE, 5, 6, F),
    (Op.LTE, 5, NOW, U),
    (Op.BETWEEN, (3, 7), 3, T),
    (Op.BETWEEN, (3, 7), 7, T),
    (Op.BETWEEN, (3, 7), 7.01, F),
    (Op.BETWEEN, (3, 7), 2, F),
    (Op.BETWEEN, (3, 7), "5", U),
    (Op.IN, (1, 2.5), 2.5, T),
    (Op.IN, (1, 2.5), 1.0, T),
    (Op.IN, (1, 2.5), 2, F),
    (Op.IN, (1, 2.5), True, U),
    (Op.NOT_IN, (1, 2.5), 2, T),
    (Op.NOT_IN, (1, 2.5), 1, F),
    (Op.NOT_IN, (1, 2.5), None, U),
    # text
    (Op.EQ, "上海", "上海", T),
    (Op.EQ, "上海", "上海 ", F),
    (Op.EQ, "true", True, U),
    (Op.EQ, "", "", T),
    (Op.NE, "🎁", "🎁", F),
    (Op.NE, "🎁", "🎀", T),
    (Op.IN, ("上海", "北京"), "北京", T),
    (Op.IN, ("上海", "北京"), "广州", F),
    (Op.IN, ("上海", "北京"), 3, U),
    (Op.NOT_IN, ("a",), "b", T),
    (Op.NOT_IN, ("a",), "a", F),
    (Op.CONTAINS, "海", "上海市", T),
    (Op.CONTAINS, "海", "北京", F),
    (Op.CONTAINS, "vip", LABELS, U),
    (Op.STARTS_WITH, "上", "上海", T),
    (Op.STARTS_WITH, "海", "上海", F),
    (Op.STARTS_WITH, "1", 13, U),
    (Op.ENDS_WITH, "海", "上海", T),
    (Op.ENDS_WITH, "上", "上海", F),
    (Op.MATCHES, "^1[3-9]", "138", T),
    (Op.MATCHES, "海", "上海市", T),
    (Op.MATCHES, "^海$", "上海", F),
    (Op.MATCHES, "a", 5, U),
    (Op.MATCHES, "a", "a" * 501, U),
    # true and false
    (Op.EQ, True, True, T),
    (Op.EQ, True, False, F),
    (Op.EQ, True, 1, U),
    (Op.EQ, False, False, T),
    (Op.NE, True, False, T),
    (Op.NE, True, None, U),
    # moments
    (Op.BEFORE, NOW, NOW - DAY, T),
    (Op.BEFORE, NOW, NOW, F),
    (Op.BEFORE, NOW, NOW.astimezone(SHANGHAI) - DAY, T),
    (Op.BEFORE, NOW, NOW.replace(tzinfo=None), U),
    (Op.AFTER, NOW, NOW + DAY, T),
    (Op.AFTER, NOW, NOW.astimezone(SHANGHAI), F),
    (Op.AFTER, NOW, "2026-03-02", U),
    (Op.BETWEEN, (NOW, NOW + DAY), NOW + DAY, T),
    (Op.BETWEEN, (NOW, NOW + DAY), NOW - DAY, F),
    (Op.BETWEEN, (NOW, NOW + DAY), 5, U),
    (Op.WITHIN, DAY, NOW - DAY + timedelta(seconds=1), T),
    (Op.WITHIN, DAY, NOW - DAY, F),
    (Op.WITHIN, DAY, NOW + timedelta(hours=1), T),
    (Op.WITHIN, DAY, NOW + 2 * DAY, F),
    (Op.WITHIN, DAY, 3, U),
    (Op.OLDER_THAN, DAY, NOW - DAY, T),
    (Op.OLDER_THAN, DAY, NOW - DAY + timedelta(microseconds=1), F),
    (Op.OLDER_THAN, DAY, NOW + 2 * DAY, F),
    (Op.OLDER_THAN, DAY, None, U),
    (Op.OLDER_THAN, DAY, datetime(1, 1, 1, tzinfo=UTC), T),
    # labels
    (Op.HAS, "员工", LABELS, T),
    (Op.HAS, "employee", LABELS, F),
    (Op.HAS, "vip", frozenset(), F),
    (Op.HAS, "vip", "vip", U),
    (Op.HAS, "vip", None, U),
    (Op.LACKS, "vip", frozenset(), T),
    (Op.LACKS, "vip", LABELS, F),
    (Op.LACKS, "vip", None, U),
    (Op.HAS_ANY, ("x", "vip"), LABELS, T),
    (Op.HAS_ANY, ("x", "y"), LABELS, F),
    (Op.HAS_ANY, ("x",), "x", U),
    (Op.HAS_ALL, ("员工", "vip"), LABELS, T),
    (Op.HAS_ALL, ("员工", "x"), LABELS, F),
    (Op.HAS_ALL, ("员工",), 1, U),
    # being there: always an answer
    (Op.EXISTS, True, "", T),
    (Op.EXISTS, True, 0, T),
    (Op.EXISTS, True, None, F),
    (Op.EXISTS, False, None, T),
    (Op.EXISTS, False, float("nan"), F),
    # values that no author can write are never settled, nor do they break anything
    (Op.GT, "a", "b", U),
    (Op.EQ, LABELS, LABELS, U),  # type: ignore[list-item]
    (Op.IN, "abc", "a", U),
    (Op.WITHIN, 5, NOW, U),
    (Op.BETWEEN, (1, NOW), 1, U),
]


@pytest.mark.parametrize(("op", "wanted", "value", "truth"), CASES)
def test_a_test_settles_as_the_language_says(op: Op, wanted: Wanted, value: object, truth: Truth) -> None:
    facts: dict[str, FactValue | None] = {"event.x": value}  # type: ignore[dict-item]
    test = Test("event.x", op, wanted)

    assert evaluate(test, facts, NOW) is truth
    with_none = {"event.y": 1} if value is None else facts
    assert evaluate(test, with_none, NOW) is truth

    matcher = Matcher([Rule("yes", "s", test), Rule("no", "s", None_((test,)))])
    expected = {Truth.TRUE: ("yes",), Truth.FALSE: ("no",), Truth.UNKNOWN: ()}[truth]
    assert matcher.matching("s", facts, NOW) == expected
    assert matcher.surprises == 0
    matcher.close()


BETWEEN_FACTS: list[tuple[Op, FactRef, object, object, Truth]] = [
    (Op.GT, FactRef("event.y", 1.5), 300, 200, F),
    (Op.GT, FactRef("event.y", 1.5), 300.5, 200, T),
    (Op.GTE, FactRef("event.y", 1.5), 300, 200, T),
    (Op.EQ, FactRef("event.y"), "上海", "上海", T),
    (Op.NE, FactRef("event.y"), "上海", "北京", T),
    (Op.EQ, FactRef("event.y"), "1", 1, U),
    (Op.EQ, FactRef("event.y"), 1, True, U),
    (Op.EQ, FactRef("event.y"), 1, None, U),
    (Op.EQ, FactRef("event.y"), None, 1, U),
    (Op.EQ, FactRef("event.y", 2.0), 1, "x", U),
    (Op.LT, FactRef("event.y", 2.0), 1, 10**400, U),
    (Op.LT, FactRef("event.y"), 1, 10**400, T),
    (Op.LT, FactRef("event.y", 10.0), 1, 1e308, U),
    (Op.BEFORE, FactRef("event.y"), NOW - DAY, NOW, T),
    (Op.AFTER, FactRef("event.y"), NOW - DAY, NOW, F),
    (Op.CONTAINS, FactRef("event.y"), "上海市", "上海", T),
    (Op.ENDS_WITH, FactRef("event.y"), "上海市", "上海", F),
    (Op.HAS, FactRef("event.y"), LABELS, "vip", T),
    (Op.LACKS, FactRef("event.y"), LABELS, "vip", F),
    (Op.HAS, FactRef("event.y"), LABELS, 5, U),
    (Op.MATCHES, FactRef("event.y"), "a", "a", U),
    (Op.BETWEEN, FactRef("event.y"), 1, 1, U),
]


@pytest.mark.parametrize(("op", "wanted", "value", "other", "truth"), BETWEEN_FACTS)
def test_a_fact_is_held_against_another(
    op: Op, wanted: FactRef, value: object, other: object, truth: Truth
) -> None:
    facts: dict[str, FactValue | None] = {"event.x": value, "event.y": other}  # type: ignore[dict-item]
    test = Test("event.x", op, wanted)

    assert evaluate(test, facts, NOW) is truth

    matcher = Matcher([Rule("yes", "s", test), Rule("no", "s", None_((test,)))])
    expected = {Truth.TRUE: ("yes",), Truth.FALSE: ("no",), Truth.UNKNOWN: ()}[truth]
    assert matcher.matching("s", facts, NOW) == expected
    matcher.close()


def test_within_and_older_than_share_the_past_between_them() -> None:
    for seconds in range(0, 200_000, 9_999):
        facts: dict[str, FactValue | None] = {"event.x": NOW - timedelta(seconds=seconds)}
        recent = evaluate(Test("event.x", Op.WITHIN, DAY), facts, NOW)
        old = evaluate(Test("event.x", Op.OLDER_THAN, DAY), facts, NOW)
        assert {recent, old} == {Truth.TRUE, Truth.FALSE}
