"""How contacts come into a journey: one way in and further ones, each with a test of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from engine.authoring.compiling.conditions import Rulebook
from engine.authoring.compiling.ways_in import ways_in
from engine.authoring.definitions import Defined
from engine.authoring.loading import load_files
from engine.authoring.models.journey import EnterEntry
from engine.authoring.reading.source import read
from engine.errors import Place
from engine.rules.condition import Op, Test
from engine.rules.evaluator import evaluate
from engine.rules.facts import Catalogue, Fact, FactType
from engine.rules.truth import Truth

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
SEND = "  - {send: hi, content: hello, channels: [email]}\n"
AMOUNT, LIST = Fact("event.amount", FactType.NUMBER, ""), Fact("event.list", FactType.TEXT, "")
OWN = Test("event.list", Op.EQ, "lapsed", ("enter", "list"))


@pytest.mark.parametrize(
    ("enter", "code", "path"),
    [("{reentry: always}", "RS004", "enter"), ("{event: []}", "RS005", "enter.event")],
)
def test_a_journey_without_a_way_in_is_refused(
    with_journey: Callable[..., dict[str, str]], enter: str, code: str, path: str
) -> None:
    found = load_files(with_journey(SEND, enter)).errors

    assert [(problem.code, problem.path) for problem in found] == [(code, path)]


def test_an_event_named_twice_is_listened_to_once() -> None:
    enter = EnterEntry(event=("order_paid", "cart_added", "order_paid"))

    assert [way.events for way in ways_in(enter, "shop")] == [("order_paid", "cart_added")]


@pytest.mark.parametrize("written", [None, {"event.amount": {"gt": 10}}])
def test_the_way_s_own_test_must_hold_beside_what_is_written(written: object) -> None:
    source = read("enter:\n  list: lapsed\n  when: {event.amount: {gt: 10}}\n", "a.yaml")
    book = Rulebook()
    defined = Defined(EnterEntry(event=("order_paid",)), source, ())
    book.add(defined, ("enter", "when"), written, Catalogue([AMOUNT, LIST]), [("entry:a", "s")], also=OWN)
    (rule,) = book.rules

    assert evaluate(rule.when, {"event.list": "lapsed", "event.amount": 20}, NOW) is Truth.TRUE
    assert evaluate(rule.when, {"event.list": "other", "event.amount": 20}, NOW) is Truth.FALSE
    small = evaluate(rule.when, {"event.list": "lapsed", "event.amount": 5}, NOW)
    assert small is (Truth.TRUE if written is None else Truth.FALSE)
    assert book.test_places["entry:a", OWN.at] == Place("a.yaml", 2, 3)
