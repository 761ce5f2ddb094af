"""Conditions as authors write them: what they become, and every mistake with its code, place and way out."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any as Anything

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules.condition import All, Any, Condition, FactRef, None_, Op, Test, YamlPath
from engine.rules.facts import BUILT_IN, Catalogue, Fact, FactType
from engine.rules.parsing import DEEPEST, FAULTS, MOST_TESTS, TESTS_FOR, Fault, parse_condition

CATALOGUE = Catalogue(
    [
        *BUILT_IN,
        Fact("event.amount", FactType.NUMBER, "what it cost"),
        Fact("event.product_id", FactType.TEXT, "which product"),
        Fact("contact.city", FactType.TEXT, "where"),
        Fact("contact.subscribed", FactType.BOOLEAN, "reads the letter"),
        Fact("contact.interests", FactType.LABELS, "likes", ("books", "music")),
    ]
)


def parsed(raw: object) -> Condition:
    condition, faults = parse_condition(raw, CATALOGUE)
    assert faults == []
    assert condition is not None
    return condition


def faults_of(raw: object, at: YamlPath = ()) -> list[Fault]:
    condition, faults = parse_condition(raw, CATALOGUE, at=at)
    assert condition is None
    assert faults
    return faults


def test_the_example_of_the_language_is_read() -> None:
    raw = {
        "all": [
            {"event.amount": {"gte": 100}},
            {"contact.tags": {"has": "vip"}},
            {"contact.last_order_at": {"older_than": "30d"}},
            {"any": [{"contact.city": {"in": ["上海", "北京"]}}, {"contact.order_count": {"gte": 3}}]},
            {"none": [{"contact.tags": {"has_any": ["employee", "do_not_disturb"]}}]},
        ]
    }

    assert parsed(raw) == All(
        (
            Test("event.amount", Op.GTE, 100, ("all", 0, "event.amount", "gte")),
            Test("contact.tags", Op.HAS, "vip", ("all", 1, "contact.tags", "has")),
            Test(
                "contact.last_order_at",
                Op.OLDER_THAN,
                timedelta(days=30),
                ("all", 2, "contact.last_order_at", "older_than"),
            ),
            Any(
                (
                    Test("contact.city", Op.IN, ("上海", "北京"), ("all", 3, "any", 0, "contact.city", "in")),
                    Test(
                        "contact.order_count", Op.GTE, 3, ("all", 3, "any", 1, "contact.order_count", "gte")
                    ),
                ),
                ("all", 3, "any"),
            ),
            None_(
                (
                    Test(
                        "contact.tags",
                        Op.HAS_ANY,
                        ("employee", "do_not_disturb"),
                        ("all", 4, "none", 0, "contact.tags", "has_any"),
                    ),
                ),
                ("all", 4, "none"),
            ),
        ),
        ("all",),
    )


@pytest.mark.parametrize(
    "raw",
    [
        {"event.amount": {"gte": 1}, "contact.city": "上海"},
        [{"event.amount": {"gte": 1}}, {"contact.city": "上海"}],
        {"event.amount": {"gte": 1, "lte": 9}},
    ],
)
def test_several_paths_tests_or_list_items_all_mean_and(raw: object) -> None:
    condition = parsed(raw)
    assert isinstance(condition, All)
    assert len(condition.parts) == 2


def test_a_value_alone_means_equals() -> None:
    assert parsed({"contact.city": "上海"}) == Test("contact.city", Op.EQ, "上海", ("contact.city",))
    assert parsed({"contact.subscribed": False}) == Test(
        "contact.subscribed", Op.EQ, False, ("contact.subscribed",)
    )


def test_a_value_may_be_another_fact_times_a_number() -> None:
    raw = {"event.amount": {"gt": {"fact": "contact.average_order_value", "times": 1.5}}}
    at = ("event.amount", "gt")
    assert parsed(raw) == Test("event.amount", Op.GT, FactRef("contact.average_order_value", 1.5), at)
    assert parsed({"contact.city": {"fact": "event.product_id"}}) == Test(
        "contact.city", Op.EQ, FactRef("event.product_id"), ("contact.city",)
    )
    assert parsed({"contact.tags": {"has": {"fact": "event.product_id"}}}) == Test(
        "contact.tags", Op.HAS, FactRef("event.product_id"), ("contact.tags", "has")
    )


def test_moments_are_read_with_their_offset() -> None:
    raw = {"contact.created_at": {"after": "2026-03-01T08:00:00+08:00"}}
    assert parsed(raw) == Test(
        "contact.created_at", Op.AFTER, datetime(2026, 3, 1, tzinfo=UTC), ("contact.created_at", "after")
    )


def test_places_begin_with_the_path_given() -> None:
    condition, _ = parse_condition({"contact.city": "上海"}, CATALOGUE, at=("enter", "when"))
    assert isinstance(condition, Test)
    assert condition.at == ("enter", "when", "contact.city")
    assert faults_of({"contact.town": "上海"}, ("enter", "when"))[0].at == ("enter", "when", "contact.town")


FAULTY: list[tuple[object, str, YamlPath, str]] = [
    # what is written, code, place, part of message or hint
    ({"contact.tag": {"has": "x"}}, "RS101", ("contact.tag",), "contact.tags"),
    ({"weather.rain": True}, "RS101", ("weather.rain",), "wayline facts"),
    ({"aal": [{"contact.city": "x"}]}, "RS101", ("aal",), "'all'"),
    (
        {"event.amount": {"gt": {"fact": "contact.total_spend"}}},
        "RS101",
        ("event.amount", "gt", "fact"),
        "total_spent",
    ),
    ({"event.amount": {"roughly": 5}}, "RS102", ("event.amount", "roughly"), "tests for"),
    ({"contact.city": {"startswith": "x"}}, "RS102", ("contact.city", "startswith"), "starts_with"),
    ({"event.amount": {">": 5}}, "RS102", ("event.amount", ">"), "'gt'"),
    ({"contact.city": {5: "x"}}, "RS102", ("contact.city", "5"), "5"),
    ({"contact.last_order_at": {">": "x"}}, "RS102", ("contact.last_order_at", ">"), "use after; tests"),
    ({"contact.tags": {"=": "vip"}}, "RS102", ("contact.tags", "="), "use has; tests"),
    ({"contact.tags": "vip"}, "RS103", ("contact.tags",), "use has"),
    ({"contact.tags": {"eq": "vip"}}, "RS103", ("contact.tags", "eq"), "use has"),
    ({"contact.tags": {"in": ["vip"]}}, "RS103", ("contact.tags", "in"), "use has_any"),
    ({"contact.city": {"gt": "x"}}, "RS103", ("contact.city", "gt"), "starts_with"),
    ({"contact.last_order_at": {"gt": 5}}, "RS103", ("contact.last_order_at", "gt"), "use after"),
    ({"event.amount": {"within": "3d"}}, "RS103", ("event.amount", "within"), "number"),
    ({"contact.subscribed": {"gt": True}}, "RS103", ("contact.subscribed", "gt"), "eq, ne, exists"),
    ({"event.amount": {"gt": "5"}}, "RS104", ("event.amount", "gt"), "quotes away"),
    ({"event.amount": {"gt": True}}, "RS104", ("event.amount", "gt"), "true"),
    ({"event.amount": {"gt": float("nan")}}, "RS104", ("event.amount", "gt"), "NaN"),
    ({"contact.city": 5}, "RS104", ("contact.city",), "put it in quotes"),
    ({"contact.city": {"eq": ["a"]}}, "RS104", ("contact.city", "eq"), "use in"),
    ({"contact.city": {"in": "a"}}, "RS104", ("contact.city", "in"), "a list"),
    ({"contact.city": {"in": ["a", 5]}}, "RS104", ("contact.city", "in", 1), "5"),
    ({"contact.tags": {"has": ["a"]}}, "RS104", ("contact.tags", "has"), "has_any"),
    ({"contact.subscribed": "yes"}, "RS104", ("contact.subscribed",), "'yes'"),
    ({"contact.city": {"exists": "yes"}}, "RS104", ("contact.city", "exists"), "true or false"),
    ({"event.amount": {"between": 5}}, "RS104", ("event.amount", "between"), "[10, 20]"),
    ({"contact.city": {"matches": 5}}, "RS104", ("contact.city", "matches"), "regular expression"),
    (
        {"contact.last_order_at": {"older_than": 30}},
        "RS105",
        ("contact.last_order_at", "older_than"),
        "30d for days",
    ),
    (
        {"contact.last_order_at": {"within": "3 days"}},
        "RS105",
        ("contact.last_order_at", "within"),
        "'3 days'",
    ),
    ({"contact.last_order_at": {"within": "0d"}}, "RS105", ("contact.last_order_at", "within"), "above zero"),
    (
        {"contact.last_order_at": {"within": "999999w"}},
        "RS105",
        ("contact.last_order_at", "within"),
        "hundred",
    ),
    (
        {"contact.last_order_at": {"after": "2026-03-01"}},
        "RS106",
        ("contact.last_order_at", "after"),
        "offset",
    ),
    ({"contact.last_order_at": {"after": "30d"}}, "RS106", ("contact.last_order_at", "after"), "older_than"),
    ({"contact.last_order_at": {"after": 2026}}, "RS106", ("contact.last_order_at", "after"), "quotes"),
    (
        {"contact.last_order_at": {"after": "0001-01-01T00:00:00+08:00"}},
        "RS106",
        ("contact.last_order_at", "after"),
        "calendar",
    ),
    ({"event.amount": {"between": [7, 3]}}, "RS107", ("event.amount", "between"), "[3, 7]"),
    ({"event.amount": {"between": [1, 2, 3]}}, "RS107", ("event.amount", "between"), "two values"),
    ({}, "RS108", (), "empty"),
    ([], "RS108", (), "empty"),
    ({"all": []}, "RS108", ("all",), "'all'"),
    ({"any": [{}]}, "RS108", ("any", 0), "empty"),
    ({"contact.city": {}}, "RS108", ("contact.city",), "contact.city"),
    ({"contact.city": {"in": []}}, "RS108", ("contact.city", "in"), "no values"),
    ({"contact.city": {"contains": ""}}, "RS108", ("contact.city", "contains"), "every text"),
    ({"contact.city": {"matches": ""}}, "RS108", ("contact.city", "matches"), "every text"),
    ({"event.amount": {"gt": 5, "lt": 3}}, "RS109", ("event.amount", "lt"), "gt 5"),
    ({"event.amount": {"gt": {"fact": "event.amount"}}}, "RS109", ("event.amount", "gt", "fact"), "itself"),
    ({"contact.stage": "neu"}, "RS110", ("contact.stage",), "new, growing"),
    ({"contact.stage": {"in": ["new", "old"]}}, "RS110", ("contact.stage", "in", 1), "'old'"),
    ({"contact.interests": {"has": "film"}}, "RS110", ("contact.interests", "has"), "books"),
    ({"contact.city": {"matches": "("}}, "RS111", ("contact.city", "matches"), "'('"),
    ({"contact.city": {"matches": "(a+)+"}}, "RS112", ("contact.city", "matches"), "starts_with"),
    ({"contact.city": {"matches": "a" * 201}}, "RS112", ("contact.city", "matches"), "201"),
    ({"contact.city": "a" * 2001}, "RS113", ("contact.city",), "2001"),
    ({"event.amount": {"gt": 2**60}}, "RS113", ("event.amount", "gt"), "exact"),
    ({"event.amount": {"in": list(range(1001))}}, "RS113", ("event.amount", "in"), "1001"),
    ("contact.city", "RS114", (), "a map"),
    (None, "RS114", (), "null"),
    ({5: "x"}, "RS114", (), "5"),
    ({"contact.city": ["a"]}, "RS114", ("contact.city",), "use in"),
    ({"contact.tags": ["a"]}, "RS114", ("contact.tags",), "use has_any"),
    ({"contact.city": None}, "RS114", ("contact.city",), "exists: false"),
    ({"any": {"contact.city": "x"}}, "RS114", ("any",), "a list"),
    ({"event.amount": {"gt": {"fakt": "x"}}}, "RS115", ("event.amount", "gt"), "'fakt'"),
    ({"event.amount": {"gt": {}}}, "RS115", ("event.amount", "gt"), "'fact' is missing"),
    ({"event.amount": {"gt": {"fact": "contact.city"}}}, "RS115", ("event.amount", "gt", "fact"), "text"),
    (
        {"event.amount": {"gt": {"fact": "contact.total_spent", "times": 0}}},
        "RS115",
        ("event.amount", "gt", "times"),
        "other than 0",
    ),
    (
        {"contact.city": {"eq": {"fact": "event.product_id", "times": 2}}},
        "RS115",
        ("contact.city", "eq", "times"),
        "only numbers",
    ),
    ({"event.amount": {"in": {"fact": "contact.total_spent"}}}, "RS115", ("event.amount", "in"), "'in'"),
]


@pytest.mark.parametrize(("raw", "code", "at", "says"), FAULTY)
def test_a_mistake_is_named_with_its_code_place_and_way_out(
    raw: object, code: str, at: YamlPath, says: str
) -> None:
    (fault,) = faults_of(raw)
    assert (fault.code, fault.at) == (code, at)
    assert says in f"{fault.message} {fault.hint}"
    assert fault.message[-1] not in ".!"
    assert not fault.message[0].isupper()


def test_every_code_has_a_meaning_and_a_mistake_that_shows_it() -> None:
    assert {code for _, code, _, _ in FAULTY} == set(FAULTS)
    assert all(meaning and not meaning.endswith(".") for meaning in FAULTS.values())


def test_all_mistakes_are_reported_at_once() -> None:
    raw = {
        "contact.tag": {"has": "x"},
        "event.amount": {"gt": "5", "lte": None},
        "any": [{"contact.city": {"matches": "("}}, {"contact.stage": "neu"}],
    }
    assert [fault.code for fault in faults_of(raw)] == ["RS101", "RS104", "RS104", "RS111", "RS110"]


def test_nesting_and_size_are_bounded() -> None:
    deep: object = {"contact.city": "x"}
    for _ in range(DEEPEST + 1):
        deep = {"any": [deep]}
    assert faults_of(deep)[0].code == "RS113"
    wide = {"any": [{"contact.city": f"city {place}"} for place in range(MOST_TESTS + 1)]}
    assert faults_of(wide)[0].code == "RS113"
    bottomless: list[object] = []
    bottomless.append(bottomless)
    assert faults_of(bottomless)[0].code == "RS113"


CONTRADICTIONS: list[object] = [
    {"event.amount": {"gt": 5, "lt": 5}},
    {"event.amount": {"gte": 5, "lt": 5}},
    {"event.amount": {"eq": 5, "gt": 7}},
    {"event.amount": {"between": [1, 3], "gt": 3}},
    {"event.amount": {"in": [1, 2], "not_in": [2, 1]}},
    [{"event.amount": 5}, {"event.amount": 6}],
    {"all": [{"event.amount": {"gt": 5}}, {"all": [{"event.amount": {"lt": 3}}]}]},
    {"any": [{"event.amount": {"gt": 5, "lt": 3}}, {"contact.city": "x"}]},
    {"contact.city": {"eq": "上海", "ne": "上海"}},
    {"contact.city": {"in": ["上海", "苏州"], "starts_with": "北"}},
    {"contact.city": {"exists": False, "eq": "上海"}},
    {"contact.last_order_at": {"within": "7d", "older_than": "30d"}},
    {"contact.last_order_at": {"within": "7d", "older_than": "7d"}},
    {
        "contact.last_order_at": {
            "before": "2026-01-01T00:00:00Z",
            "after": "2026-02-01T00:00:00Z",
        }
    },
    {"contact.tags": {"has": "vip", "lacks": "vip"}},
    {"contact.tags": {"has_all": ["vip", "new"], "lacks": "vip"}},
    {"event.amount": {"eq": {"fact": "contact.total_spent"}, "gt": {"fact": "contact.total_spent"}}},
]
POSSIBLE: list[object] = [
    {"event.amount": {"gte": 5, "lte": 5}},
    {"any": [{"event.amount": {"gt": 5}}, {"event.amount": {"lt": 3}}]},
    {"event.amount": {"gt": 5}, "none": [{"event.amount": {"lt": 3}}]},
    {"event.amount": {"in": [1, 2], "ne": 1}},
    {"event.amount": {"between": [1, 3], "gte": 3}},
    {"contact.last_order_at": {"older_than": "7d", "within": "30d"}},
    {"contact.last_order_at": {"older_than": "7d", "before": "2020-01-01T00:00:00Z"}},
    {"contact.tags": {"has": "vip", "lacks": "new"}},
    {"contact.city": {"exists": True, "eq": "上海"}},
    {"contact.city": {"in": ["上海", "北京"], "matches": "^北"}},
]


@pytest.mark.parametrize("raw", CONTRADICTIONS)
def test_what_can_never_hold_is_a_mistake(raw: object) -> None:
    assert [fault.code for fault in faults_of(raw)] == ["RS109"]


@pytest.mark.parametrize("raw", POSSIBLE)
def test_what_can_hold_is_none(raw: object) -> None:
    parsed(raw)


UNFIT = [(kind, op) for kind in FactType for op in Op if op not in TESTS_FOR[kind]]


@pytest.mark.parametrize(("kind", "op"), UNFIT, ids=[f"{op} of {kind}" for kind, op in UNFIT])
def test_a_test_that_does_not_fit_is_answered_with_all_that_do(kind: FactType, op: Op) -> None:
    fact = next(each for each in CATALOGUE if each.type is kind)
    fitting = [each.value for each in Op if each in TESTS_FOR[kind]]

    (fault,) = faults_of({fact.path: {op.value: 1}})

    assert fault.code == "RS103"
    assert fault.hint.endswith(": " + ", ".join(fitting))
    if fault.hint.startswith("use "):
        assert re.split("[ ,;]", fault.hint)[1] in fitting


@pytest.mark.parametrize(("sign", "op"), [("=", "eq"), (">", "gt"), ("<=", "lte"), ("!=", "ne")])
def test_a_sign_is_swapped_for_the_test_that_it_stands_for(sign: str, op: str) -> None:
    assert [fault.swap for fault in faults_of({"event.amount": {sign: 5}})] == [(sign, op)]


def test_a_sign_that_means_another_test_is_only_hinted_at() -> None:
    assert [fault.swap for fault in faults_of({"contact.last_order_at": {">=": "x"}})] == [()]


def test_every_test_fits_some_type_of_fact() -> None:
    assert set().union(*TESTS_FOR.values()) == set(Op)


SCALARS = st.sampled_from(
    [
        None,
        True,
        0,
        5,
        -1.5,
        "",
        "x",
        "30d",
        "2026-03-01T00:00:00Z",
        "vip",
        "(a+)+",
        "fact",
        10**30,
        float("inf"),
    ]
)
KEYS = st.sampled_from(
    ["all", "any", "none", "fact", "times", *(fact.path for fact in CATALOGUE), *(op.value for op in Op), 7]
)
RAW = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(RAW)
def test_whatever_is_written_becomes_a_condition_or_mistakes_that_can_be_found(raw: object) -> None:
    condition, faults = parse_condition(raw, CATALOGUE)

    assert (condition is None) == bool(faults)
    for fault in faults:
        assert fault.code in FAULTS
        assert is_in(raw, fault.at)


def is_in(raw: Anything, path: YamlPath) -> bool:
    """Whether the path leads to something in the data; names that are not text are given as text."""
    for step in path:
        if isinstance(raw, dict):
            raw = {str(key): value for key, value in raw.items()}
        raw = raw[step]
    return True
