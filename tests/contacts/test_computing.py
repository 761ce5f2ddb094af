"""What the rules make of a profile, layer by layer, and when it is due again."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.authoring.bundle import Bundle, EventType
from engine.authoring.loading import bundle_of
from engine.contacts.computing import OWN_DOING, Crossing, change_tags, compute, count_send
from engine.contacts.counting import count_event
from engine.contacts.profile import Profile
from engine.contacts.updating import apply_event
from engine.journeys.event import Event
from engine.rules.evaluator import evaluate
from engine.rules.matcher import Matcher
from engine.rules.truth import Truth

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)

RULES = {
    "tags.yaml": """
        kind: tags
        id: tags
        title: Tags
        owner: tests
        counts:
          - {id: interactions_7d, of: {activity: true}, within: 7d}
        scores:
          - id: recency
            of: contact.last_order_at
            bands:
              - {within: 30d, score: 5}
              - {within: 90d, score: 3}
            else: 1
          - id: frequency
            of: contact.order_count
            bands: [{at_least: 3, score: 5}, {at_least: 1, score: 2}]
        classes:
          - id: activity
            cases:
              - {is: frequent, when: {contact.interactions_7d: {gte: 3}}}
              - {is: silent, when: {contact.last_active_at: {older_than: 30d}}}
            else: normal
          - id: stage
            cases:
              - {is: churned, when: {contact.last_order_at: {older_than: 90d}}}
              - {is: valued, when: {contact.frequency: {gte: 4}, contact.recency: {gte: 3}}}
              - {is: growing, when: {contact.order_count: {gte: 1}}}
            else: new
        tags:
          - {tag: warm, level: behaviour, when: {contact.activity: {in: [frequent, normal]}}}
          - {tag: big_spender, level: value, when: {contact.total_spent: {gte: 100}}}
          - {tag: inside, level: basic, when: {contact.tags: {has: employee}}}
    """,
    "lapsed.yaml": """
        kind: audience
        id: lapsed
        title: Lapsed
        owner: tests
        when: {contact.last_order_at: {older_than: 30d}, contact.tags: {lacks: inside}}
    """,
    "tired.yaml": """
        kind: audience
        id: tired
        title: Tired
        owner: tests
        when: {contact.sends_since_active: {gte: 3}, contact.tags: {has: warm}}
    """,
}


@pytest.fixture(scope="module")
def rules(small_files: Mapping[str, str]) -> Bundle:
    return bundle_of({**small_files, **{name: textwrap.dedent(text) for name, text in RULES.items()}})


@pytest.fixture(scope="module")
def matcher(rules: Bundle) -> Iterator[Matcher]:
    matcher = Matcher(rules.rules)
    yield matcher
    matcher.close()


def profile(**fields: Any) -> Profile:
    return Profile("c1", created_at=NOW - 200 * DAY, last_event_seq=1, **fields)


def test_every_layer_sees_those_before_it(rules: Bundle, matcher: Matcher) -> None:
    contact = profile(last_order_at=NOW - 40 * DAY, order_count=4, last_active_at=NOW - DAY)

    computed = compute(contact, rules, matcher, NOW)

    assert contact.scores == {"recency": 3, "frequency": 5}
    assert (contact.stage, contact.classes) == ("valued", {"activity": "normal"})
    assert contact.derived_tags == {"warm"}
    assert contact.audiences == {"lapsed"}
    assert computed.facts["contact.stage"] == "valued"
    assert computed.facts["contact.audiences"] == frozenset({"lapsed"})
    assert computed.crossings == (Crossing("lapsed", True),)


def test_a_score_without_else_is_missing_where_no_band_fits(rules: Bundle, matcher: Matcher) -> None:
    contact = profile()

    facts = compute(contact, rules, matcher, NOW).facts

    assert contact.scores == {"recency": 1}
    assert facts["contact.frequency"] is None


def test_those_left_come_before_those_entered(rules: Bundle, matcher: Matcher) -> None:
    contact = profile(audiences={"lapsed"}, sends_since_active=3, last_active_at=NOW)

    crossings = compute(contact, rules, matcher, NOW).crossings

    assert crossings == (Crossing("lapsed", False), Crossing("tired", True))
    assert compute(contact, rules, matcher, NOW).crossings == ()


def test_an_audience_that_is_no_more_is_left_in_silence(rules: Bundle, matcher: Matcher) -> None:
    contact = profile(audiences={"abolished"})

    assert compute(contact, rules, matcher, NOW).crossings == ()
    assert contact.audiences == set()


def test_a_workspace_without_rules_computes_nothing(small_files: Mapping[str, str]) -> None:
    bare = bundle_of({name: text for name, text in small_files.items() if name != "tags.yaml"})
    contact = profile(stage="new", scores={"old": 1}, derived_tags={"old"}, last_active_at=NOW)

    computed = compute(contact, bare, Matcher(bare.rules), NOW)

    assert (contact.stage, contact.scores, contact.derived_tags) == (None, {}, set())
    assert (contact.profile_due_at, computed.crossings) == (None, ())


def test_messages_without_an_answer_are_counted_until_the_contact_does_something(
    rules: Bundle, matcher: Matcher
) -> None:
    contact = profile(last_active_at=NOW - DAY)
    for _ in range(3):
        count_send(contact, rules, None, None, NOW)
    assert (contact.sends_since_active, contact.last_send_at) == (3, NOW)
    assert contact.profile_due_at == NOW + OWN_DOING
    compute(contact, rules, matcher, NOW + OWN_DOING)
    assert "tired" in contact.audiences

    view = EventType("product_viewed", "", {}, None)
    apply_event(contact, Event("e", "product_viewed", "c1", NOW, NOW, seq=2), view)
    compute(contact, rules, matcher, NOW + OWN_DOING)
    assert (contact.sends_since_active, contact.audiences) == (0, set())


def test_tags_that_a_step_changes_make_the_contact_due_and_the_same_tags_do_not(
    rules: Bundle, matcher: Matcher
) -> None:
    contact = profile(tags={"a"})
    change_tags(contact, ["a"], ["b"], NOW)
    assert not contact.profile_due_at

    change_tags(contact, ["employee"], ["a"], NOW)
    assert (contact.tags, contact.profile_due_at) == ({"employee"}, NOW + OWN_DOING)
    compute(contact, rules, matcher, NOW + OWN_DOING)
    assert contact.derived_tags == {"warm", "inside"}


moments = st.none() | st.integers(-4_000, 0).map(lambda hours: NOW + timedelta(hours=hours))
profiles = st.builds(
    profile,
    last_order_at=moments,
    last_active_at=moments,
    order_count=st.integers(0, 4),
    total_spent=st.sampled_from([0.0, 250.0]),
    sends_since_active=st.integers(0, 4),
    tags=st.sets(st.sampled_from(["employee", "vip"])),
)
pasts = st.fixed_dictionaries(
    {
        "scores": st.just({"recency": 4, "gone": 1}),
        "classes": st.just({"activity": "frequent"}),
        "stage": st.sampled_from([None, "valued"]),
        "derived_tags": st.sets(st.sampled_from(["warm", "inside", "gone"])),
        "audiences": st.sets(st.sampled_from(["lapsed", "tired"])),
        "profile_due_at": moments,
    }
)
arrivals = st.lists(st.integers(0, 20 * 24).map(lambda hours: NOW - timedelta(hours=hours)), max_size=6)


@settings(max_examples=150)
@given(contact=profiles, past=pasts)
def test_what_is_computed_hangs_on_facts_and_moment_alone(
    rules: Bundle, matcher: Matcher, contact: Profile, past: dict[str, Any]
) -> None:
    other = deepcopy(contact)
    for name, value in past.items():
        setattr(other, name, value)
    before = set(other.audiences)

    once = compute(contact, rules, matcher, NOW)
    again = compute(other, rules, matcher, NOW)

    assert (contact, once.facts) == (other, again.facts)
    assert contact.audiences == (before | {each.audience for each in again.crossings if each.entered}) - {
        each.audience for each in again.crossings if not each.entered
    }
    true = {rule.id for rule in rules.rules if evaluate(rule.when, once.facts, NOW) is Truth.TRUE}
    assert contact.derived_tags == {tag.tag for tag in rules.tags if tag.rule in true}
    assert contact.audiences == {each.id for each in rules.profile.audiences if each.rule in true}


@settings(max_examples=150)
@given(contact=profiles, seen=arrivals, chance=st.integers(0, 1000))
def test_nothing_changes_by_time_alone_before_the_contact_is_due(
    rules: Bundle, matcher: Matcher, contact: Profile, seen: list[datetime], chance: int
) -> None:
    contact.last_event_seq = 0
    for seq, at in enumerate(sorted(seen), 1):
        event = Event(f"e{seq}", "product_viewed", "c1", at, at, seq=seq)
        count_event(contact, event, rules, matcher)
        apply_event(contact, event, rules.events["product_viewed"])
    compute(contact, rules, matcher, NOW)
    due_at = contact.profile_due_at

    until = due_at - TICK if due_at is not None else NOW + 1000 * DAY
    for moment in (NOW + (until - NOW) * chance / 1000, until):
        later = deepcopy(contact)
        compute(later, rules, matcher, moment)
        assert later == contact
    assert due_at is None or due_at > NOW
