"""All patterns of a bundle over one contact's events: conditions, links, what is kept and what is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.journeys.event import Event, event_facts
from engine.journeys.recognising import LONGEST_TEXT, Recogniser
from engine.rules.matcher import Matcher

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HEAD = "kind: {kind}\nid: {id}\ntitle: t\nowner: us\n"


def journey(name: str, pattern: str) -> dict[str, str]:
    head = HEAD.format(kind="journey", id=name) + "purpose: care\n"
    steps = "steps: [{wait: long, for: 1d}]\n"
    return {f"{name}.yaml": f"{head}enter: {{pattern: {pattern}, reentry: always}}\n{steps}"}


FILES = {
    "wayline.yaml": HEAD.format(kind="workspace", id="default")
    + "timezone: UTC\nlocales: [en]\nidentities: [email]\n",
    "purposes.yaml": HEAD.format(kind="purposes", id="p")
    + 'purposes: [{id: care, title: c, version: "1", kind: transactional, max_hold: 1d}]\n',
    "events.yaml": HEAD.format(kind="events", id="e")
    + """events:
  - id: carted
    title: c
    schema:
      type: object
      properties:
        product: {type: string}
        kinds: {type: array, items: {type: string}}
        price: {type: number}
  - {id: paid, title: p, schema: {type: object, properties: {product: {type: string}}}}
""",
    **journey(
        "same",
        "{sequence: [{event: carted, as: first}, {event: carted, as: second, when:"
        " {second.product: {fact: first.product}, second.price: {lt: 100}}}], within: 2h}",
    ),
    **journey("many", "{count: {event: [carted, paid]}, at_least: 3, within: 1h}"),
    **journey(
        "later",
        "{sequence: [{event: carted, as: first}, {event: paid, as: then, when:"
        " {then.occurred_at: {after: {fact: first.received_at}}}}], within: 2d}",
    ),
    **journey(
        "kinds",
        "{sequence: [{event: carted, as: one, when: {one.kinds: {has: tea}}}, {event: carted, as: two, when:"
        " {event.kinds: {has: tea}, two.product: {ne: {fact: one.product}}}}], within: 2h}",
    ),
}


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return bundle_of(FILES)


@pytest.fixture(scope="module")
def recogniser(bundle: Bundle) -> Iterator[Recogniser]:
    matcher = Matcher(bundle.rules)
    yield Recogniser(bundle.patterns, matcher)
    matcher.close()


class Contact:
    """One contact's events; what is kept goes through JSON text."""

    def __init__(self, recogniser: Recogniser) -> None:
        self.recogniser = recogniser
        self.pasts = recogniser.begin()
        self.events: list[Event] = []

    def does(self, kind: str, at: timedelta = 0 * HOUR, **properties: Any) -> set[str]:
        seq = len(self.events) + 1
        event = Event(f"e{seq}", kind, "c", NOW + at, NOW + at, properties=properties, seq=seq)
        self.events.append(event)
        seen, pasts = self.recogniser.look(event, json.loads(json.dumps(self.pasts)))
        self.pasts = pasts
        return {name for name in seen.patterns if "/" not in name}


@pytest.fixture
def contact(recogniser: Recogniser) -> Contact:
    return Contact(recogniser)


def test_the_same_product_twice_completes_and_another_does_not(contact: Contact) -> None:
    assert contact.does("carted", product="a", price=5) == set()
    assert contact.does("carted", 0.1 * HOUR, product="b", price=5) == set()
    assert "same" in contact.does("carted", 0.2 * HOUR, product="a", price=5)


def test_what_an_event_must_be_by_itself_is_asked_of_it_alone(contact: Contact) -> None:
    contact.does("carted", product="a", price=5)

    assert "same" not in contact.does("carted", 0.1 * HOUR, product="a", price=100)
    assert "same" in contact.does("carted", 0.2 * HOUR, product="a", price=99)


def test_events_of_several_types_count_together(contact: Contact) -> None:
    contact.does("carted")
    contact.does("paid", 0.1 * HOUR)

    assert "many" in contact.does("carted", 0.2 * HOUR)


def test_a_fact_that_is_missing_compares_with_nothing(contact: Contact) -> None:
    contact.does("carted", price=5)

    assert "same" not in contact.does("carted", 0.1 * HOUR, product="a", price=5)


def test_a_text_too_long_to_keep_compares_with_nothing(contact: Contact) -> None:
    contact.does("carted", product="a" * (LONGEST_TEXT + 1), price=5)
    assert "same" not in contact.does("carted", 0.1 * HOUR, product="a" * (LONGEST_TEXT + 1), price=5)
    assert len(json.dumps(contact.pasts)) < 2 * LONGEST_TEXT


def test_moments_of_earlier_events_can_be_compared(contact: Contact) -> None:
    contact.does("carted")

    assert "later" in contact.does("paid", HOUR)


def test_label_sets_and_own_names_are_asked_as_facts_are(contact: Contact) -> None:
    contact.does("carted", product="a", kinds=["tea", "gift"])

    assert "kinds" not in contact.does("carted", 0.1 * HOUR, product="b", kinds=["cups"])
    assert "kinds" in contact.does("carted", 0.2 * HOUR, product="c", kinds=["tea"])


def test_an_event_of_another_type_leaves_everything_as_it_is(contact: Contact) -> None:
    before = dict(contact.pasts)

    assert contact.does("opened") == set()
    assert contact.pasts == before


def test_how_far_a_count_has_come_is_a_label_of_its_own(recogniser: Recogniser) -> None:
    event, _ = recogniser.look(Event("e", "paid", "c", NOW, NOW, seq=1), recogniser.begin())

    assert event_facts(event)["event.patterns"] == frozenset({"many 1/3"})


def test_a_past_of_another_definition_completes_nothing_until_rebuilt(contact: Contact) -> None:
    contact.does("carted", product="a", price=5)
    contact.does("paid", 0.1 * HOUR)
    old = {**contact.pasts, "many": {**contact.pasts["many"], "v": "older"}}

    assert not contact.recogniser.is_current(old)
    assert contact.recogniser.rebuilt(contact.events, old) == contact.pasts
    assert contact.recogniser.is_current(contact.recogniser.rebuilt((), {}))


def test_the_rules_of_patterns_have_places_in_the_file(bundle: Bundle) -> None:
    ids = {rule.id: rule.shard for rule in bundle.rules if rule.id.startswith("pattern:same/")}

    assert ids == {
        "pattern:same/second#carted": "pattern:carted",
        "pattern:same/second": "pattern:same/second",
    }
    assert {bundle.rule_places[name].file for name in ids} == {"same.yaml"}
    assert bundle.patterns["many"].events == ("carted", "paid")
    assert bundle.programs["many"].entry.events == ("carted", "paid")
