"""Explanations say what was found and wanted, and nothing that identifies a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.rules.condition import All, Any, FactRef, None_, Op, Test, Wanted
from engine.rules.explaining import Part, describe, explain, nearest_miss
from engine.rules.facts import BUILT_IN, Catalogue, Fact, Facts, FactType
from engine.rules.truth import Truth

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("op", "wanted", "facts", "line"),
    [
        (
            Op.OLDER_THAN,
            timedelta(days=30),
            {"x": NOW - timedelta(days=47, hours=3)},
            "+ x  (was 47d ago, wanted older_than 30d)",
        ),
        (
            Op.WITHIN,
            timedelta(days=7),
            {"x": NOW + timedelta(hours=3)},
            "+ x  (was 3h ahead, wanted within 7d)",
        ),
        (Op.GTE, 3, {"x": 2}, "- x  (was 2, wanted gte 3)"),
        (Op.GTE, 3, {}, "? x  (nothing known, wanted gte 3)"),
        (Op.EQ, True, {"x": False}, "- x  (was false, wanted eq true)"),
        (Op.IN, ("上海", "北京"), {"x": "广州"}, "- x  (was 广州, wanted in [上海, 北京])"),
        (Op.HAS, "vip", {"x": frozenset({"b", "a"})}, "- x  (was a, b, wanted has vip)"),
        (Op.HAS, "vip", {"x": frozenset()}, "- x  (was without labels, wanted has vip)"),
        (Op.EXISTS, False, {"x": "anything"}, "- x  (is known, wanted exists false)"),
        (Op.BEFORE, NOW, {"x": NOW}, "- x  (was 0s ago, wanted before 2026-03-01T12:00:00Z)"),
        (
            Op.GT,
            FactRef("y", 1.5),
            {"x": 300, "y": 180},
            "+ x  (was 300, wanted gt 1.5 times y, here 270)",
        ),
        (Op.GT, FactRef("y"), {"x": 300}, "? x  (was 300, wanted gt y, here nothing known)"),
        (Op.GT, 3, {"x": "text"}, "? x  (was text, wanted gt 3)"),
    ],
)
def test_a_test_is_told_with_what_was_found_and_wanted(
    op: Op, wanted: Wanted, facts: Facts, line: str
) -> None:
    assert str(explain(Test("x", op, wanted, ("when", 0)), facts, NOW)) == line


@pytest.mark.parametrize(
    "telling",
    ["ann@example.com", "13812341234", "+86 138-1234-1234", "6222 0000 1111 2222", "a" * 41, "two\nlines"],
)
def test_texts_that_may_name_somebody_are_only_measured(telling: str) -> None:
    assert describe(telling, NOW) == f"text of {len(telling)} characters"
    assert telling not in describe(frozenset({telling, "vip"}), NOW)


def test_personal_facts_are_never_repeated() -> None:
    catalogue = Catalogue([*BUILT_IN, Fact("contact.name", FactType.TEXT, "the name", personal=True)])
    condition = All(
        (Test("contact.name", Op.EQ, "Bo"), Test("contact.locale", Op.EQ, FactRef("contact.name")))
    )

    explanation = explain(
        condition, {"contact.name": "Ann", "contact.locale": "zh"}, NOW, personal=catalogue.personal
    )

    assert [str(part) for part in explanation.parts] == [
        "- contact.name  (is known, wanted eq Bo)",
        "- contact.locale  (was zh, wanted eq contact.name, here known)",
    ]


def test_many_labels_are_cut_short() -> None:
    found = describe(frozenset(f"label {place:02}" for place in range(20)), NOW)
    assert found.startswith("label 00, ")
    assert found.endswith(" and 12 more")


def test_the_tree_keeps_the_shape_and_the_places() -> None:
    condition = All(
        (
            Test("a", Op.EQ, 1, ("all", 0)),
            Any((Test("b", Op.EQ, 1, ("any", 0)),), ("any",)),
            None_((Test("c", Op.EQ, 1, ("none", 0)),), ("none",)),
        ),
        ("all",),
    )

    explanation = explain(condition, {"a": 1, "b": 2}, NOW)

    assert (explanation.kind, explanation.truth, explanation.at) == (Part.ALL, Truth.FALSE, ("all",))
    assert [(part.kind, part.truth, part.at) for part in explanation.parts] == [
        (Part.TEST, Truth.TRUE, ("all", 0)),
        (Part.ANY, Truth.FALSE, ("any",)),
        (Part.NONE, Truth.UNKNOWN, ("none",)),
    ]
    assert str(explanation.parts[1]) == "- any of"


def test_the_nearest_miss_takes_the_cheapest_way() -> None:
    one, two, three = (Test(name, Op.EQ, 1, (name,)) for name in ("one", "two", "three"))
    condition = All((Any((All((one, two)), three)), Test("four", Op.EQ, 1, ("four",))))

    missed = nearest_miss(explain(condition, {"one": 0, "two": 0, "three": 0}, NOW))

    assert [each.text for each in missed] == ["three", "four"]


def test_a_none_is_missed_by_what_is_true_in_it() -> None:
    condition = None_((Test("a", Op.EQ, 1), Test("b", Op.EQ, 1), Test("c", Op.EQ, 1)))

    missed = nearest_miss(explain(condition, {"a": 1, "b": 0, "c": 1}, NOW))

    assert [each.text for each in missed] == ["a", "c"]
