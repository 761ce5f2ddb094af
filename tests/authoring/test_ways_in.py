"""How contacts come into a journey: one way in and further ones, each with a test of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from engine.authoring.compiling.conditions import Rulebook
from engine.authoring.compiling.run_facts import program_facts
from engine.authoring.compiling.ways_in import ways_in
from engine.authoring.definitions import Defined
from engine.authoring.loading import bundle_of, load_files
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


ALSO = """
  event: order_paid
  when: {event.amount: {gte: 100}}
  reentry: always
  also:
    - {api: {parameters: {reason: {type: text, required: true}}}, when: {event.reason: vip}}
    - {event: product_viewed}
"""


def test_each_way_in_has_its_own_condition(with_journey: Callable[..., dict[str, str]]) -> None:
    bundle = bundle_of(with_journey(SEND, ALSO))
    entry = bundle.programs["welcome"].entry

    assert entry.events == ("order_paid", "journey_requested", "product_viewed")
    assert entry.rules == {
        "order_paid": "entry:welcome#order_paid",
        "journey_requested": "entry:welcome/also[0]#journey_requested",
        "product_viewed": None,
    }
    assert entry.words == "on order_paid, or asked for by a system, or on product_viewed"
    asked = bundle.condition("entry:welcome/also[0]#journey_requested")
    assert evaluate(asked, {"event.journey": "welcome", "event.reason": "vip"}, NOW) is Truth.TRUE
    assert evaluate(asked, {"event.journey": "welcome", "event.reason": "no"}, NOW) is Truth.FALSE
    assert evaluate(asked, {"event.journey": "another", "event.reason": "vip"}, NOW) is Truth.FALSE


def test_what_only_one_way_in_brings_may_be_unknown(with_journey: Callable[..., dict[str, str]]) -> None:
    bundle = bundle_of(with_journey(SEND, ALSO))
    facts = {fact.path: fact for fact in program_facts(bundle.programs["welcome"], bundle.events)}

    assert facts["journey.entry.reason"].type is FactType.TEXT
    assert facts["journey.entry.type"].choices == ("order_paid", "journey_requested", "product_viewed")
    assert facts["journey.entry.type"].always
    assert not facts["journey.entry.amount"].always and not facts["journey.entry.reason"].always


def test_a_journey_that_nobody_gives_a_second_way_in_keeps_its_version(
    with_journey: Callable[..., dict[str, str]],
) -> None:
    """People on their way are told apart by it; a key that is new in the language changes none of them."""
    plain = "{event: order_paid, reentry: always}"
    said = "{event: order_paid, reentry: always, also: []}"

    assert (
        bundle_of(with_journey(SEND, plain)).programs["welcome"].version
        == bundle_of(with_journey(SEND, said)).programs["welcome"].version
    )
