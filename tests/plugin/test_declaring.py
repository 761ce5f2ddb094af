"""Facts and types of events that plugins declare: what is refused, and what becomes of answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.plugin import ContactFact, EventKind, Known
from engine.plugin.describing import describe
from engine.plugin.knowing import NOBODY, Knowing
from engine.plugin.tallying import tallied
from engine.plugin.testing import check_event_kind, check_fact
from tests.plugin.vault import loaded, offering

BORN = ContactFact("generation", "text", "which generation", ("birth_year",), lambda known: "young")
VISITED = EventKind(
    "shop_visited", "a visit", {"type": "object", "properties": {"minutes": {"type": "number"}}}
)


_asked: list[int] = []


def forgetful(_: Mapping[str, Known]) -> str:
    """Another answer each time."""
    _asked.append(1)
    return str(len(_asked))


def knows(compute: Callable[[Mapping[str, Known]], Any], **values: Any) -> Knowing:
    fact = replace(BORN, compute=compute, **values)
    return Knowing(lambda: {fact.name: fact})


def test_what_is_declared_is_found_by_name_and_shown() -> None:
    registry = loaded(offering("ages", register_facts=[BORN], register_event_types=[VISITED]))
    assert dict(registry.facts) == {"generation": BORN}
    assert dict(registry.event_types) == {"shop_visited": VISITED}
    (shown,) = describe(registry)
    assert shown["state"] == "active"
    fact, event = shown["offers"]
    assert (fact["kind"], fact["name"], fact["type"]) == ("fact", "generation", "text")
    assert (event["kind"], event["schema"]) == ("event type", VISITED.schema)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "Generation"}, "lower_snake"),
        ({"name": "order_count"}, "built-in fact"),
        ({"title": ""}, "title"),
        ({"type": "age"}, "type must be one of"),
        ({"reads": ()}, "reads must be"),
        ({"reads": ["birth_year"]}, "reads must be"),
        ({"reads": ("contact.birth_year",)}, "reads must be"),
        ({"reads": ("tags",)}, "cannot be read"),
        ({"compute": None}, "plain function"),
        ({"choices": ("a", 1)}, "choices must be texts"),
        ({"choices": ("a",), "type": "number"}, "only a text has choices"),
        ({"version": True}, "whole number"),
    ],
)
def test_a_fact_that_could_not_be_used_is_left_out_and_named(wrong: dict[str, Any], said: str) -> None:
    registry = loaded(
        offering("ages", register_facts=[replace(BORN, **wrong)], register_event_types=[VISITED])
    )
    (fault,) = registry.faults
    assert fault.code == "PL003" and said in fault.message
    assert not registry.facts and registry.event_types


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "shop visited"}, "lower_snake"),
        ({"schema": []}, "must be a mapping"),
        ({"schema": {"properties": {1, 2}}}, "not JSON"),
        ({"schema": {"maximum": float("nan")}}, "not JSON"),
        ({"schema": {"type": "objekt"}}, "no JSON Schema"),
        ({"schema": {"type": "array"}}, "of an object"),
    ],
)
def test_an_event_type_that_could_not_be_used_is_left_out_and_named(wrong: dict[str, Any], said: str) -> None:
    registry = loaded(
        offering("shop", register_event_types=[replace(VISITED, **wrong)], register_facts=[BORN])
    )
    (fault,) = registry.faults
    assert fault.code == "PL003" and said in fault.message
    assert not registry.event_types and registry.facts


def test_of_two_facts_of_one_name_neither_is_used() -> None:
    registry = loaded(offering("one", register_facts=[BORN]), offering("two", register_facts=[BORN]))
    assert not registry.facts
    assert {fault.code for fault in registry.faults} == {"PL002"}


def test_a_fact_gets_what_it_reads_and_nothing_else_and_is_asked_once_for_the_same() -> None:
    asked: list[Mapping[str, Known]] = []

    def compute(known: Mapping[str, Known]) -> str:
        asked.append(known)
        return "young"

    knowing = knows(compute, reads=("birth_year", "locale"))
    contact = {"contact.birth_year": 1999, "contact.locale": None, "contact.total_spent": 5.0}
    for _ in range(3):
        assert knowing.values(("generation",), contact) == {"contact.generation": "young"}
    assert asked == [{"birth_year": 1999}]
    knowing.values(("generation",), {"contact.birth_year": True})
    knowing.values(("generation",), {"contact.birth_year": 1})
    assert asked[1:] == [{"birth_year": True}, {"birth_year": 1}], "equal is not the same"


@pytest.mark.parametrize(
    ("type_", "answer", "value"),
    [
        ("number", 7, 7),
        ("number", None, None),
        ("number", True, None),
        ("number", float("nan"), None),
        ("number", "7", None),
        ("instant", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
        ("instant", datetime(2026, 1, 1), None),  # noqa: DTZ001
        ("labels", {"a"}, frozenset({"a"})),
        ("labels", frozenset({1}), None),
        ("labels", ["a"], None),
        ("text", "x" * 10_001, None),
    ],
)
def test_an_answer_is_of_the_declared_type_or_missing(type_: str, answer: Any, value: Any) -> None:
    assert knows(lambda _: answer, type=type_).values(("generation",), {}) == {"contact.generation": value}


def test_a_text_that_is_none_of_the_choices_is_missing_and_counted() -> None:
    knowing = knows(lambda _: "ancient", name="of_choices", choices=("young", "old"))
    assert knowing.values(("of_choices",), {}) == {"contact.of_choices": None}
    told = tallied("fact", "of_choices")
    assert told is not None and told["failures"] == {"nonsense": 1}


def test_a_fact_that_raises_or_hangs_is_missing_and_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()

    def explode(_: object) -> str:
        raise ValueError("13800138000")

    assert knows(explode, name="raises").values(("raises",), {}) == {"contact.raises": None}
    assert knows(lambda _: never.wait(), name="hangs").values(("hangs",), {}) == {"contact.hangs": None}
    never.set()
    raised, hung = tallied("fact", "raises"), tallied("fact", "hangs")
    assert raised is not None and raised["failures"] == {"raised": 1}
    assert "13800138000" not in raised["latest_failure"]
    assert hung is not None and hung["failures"] == {"slow": 1}


def test_without_its_plugin_a_fact_is_missing() -> None:
    assert NOBODY.values(("generation",), {"contact.birth_year": 1}) == {"contact.generation": None}


def test_the_kit_passes_what_keeps_the_contract() -> None:
    check_fact(BORN, examples=[({"birth_year": 1999}, "young"), ({}, "young")])
    check_event_kind(VISITED, examples=[{"minutes": 5}, {}])


@pytest.mark.parametrize(
    ("fact", "examples", "said"),
    [
        (replace(BORN, reads=()), [], "reads"),
        (BORN, [({"birth_year": 1999}, "old")], "answered 'young'"),
        (replace(BORN, compute=lambda known: known["birth_year"]), [({"birth_year": "x"}, "x")], "KeyError"),
        (replace(BORN, compute=lambda _: 5), [({}, 5)], "no text"),
        (replace(BORN, compute=forgetful), [], "second time"),
    ],
)  # fmt: skip
def test_the_kit_says_what_breaks_the_contract(fact: Any, examples: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_fact(fact, examples=examples)


def test_the_kit_says_which_event_would_become_a_dead_letter() -> None:
    with pytest.raises(AssertionError, match="minutes"):
        check_event_kind(VISITED, examples=[{"minutes": "five"}])
    with pytest.raises(AssertionError, match="EventKind"):
        check_event_kind("shop_visited")  # type: ignore[arg-type]
