"""What is remembered of profiles says what the rules would say if they were asked again."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.contacts.computing import (
    AtEveryTurn,
    Deriving,
    Outlook,
    change_tags,
    compute,
    count_send,
    spare_sweep,
)
from engine.contacts.counting import count_event, next_count_turn_at
from engine.contacts.deriving import Derivations
from engine.contacts.profile import Profile, contact_facts
from engine.contacts.updating import apply_event
from engine.journeys.event import Event
from engine.rules.facts import Facts
from engine.rules.matcher import Matcher

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

RULES = {
    "tags.yaml": """
        kind: tags
        id: tags
        title: Tags
        owner: tests
        counts:
          - {id: interactions_7d, of: {activity: true}, within: 7d}
          - {id: spend_30d, of: {event: order_paid}, sum: amount, within: 30d}
        scores:
          - id: recency
            of: contact.last_order_at
            bands: [{within: 30d, score: 5}, {within: 90d, score: 3}]
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
              - {is: valued, when: {contact.frequency: {gt: {fact: contact.recency}}}}
              - {is: rising, when: {contact.spend_30d: {gt: {fact: contact.total_spent, times: 0.5}}}}
              - {is: balanced, when: {contact.order_count: {lte: {fact: contact.frequency}}}}
        tags:
          - {tag: warm, level: behaviour, when: {contact.activity: {in: [frequent, normal]}}}
          - {tag: inside, level: basic, when: {contact.tags: {has_any: [employee, vip]}}}
          - {tag: local, level: basic, when: {contact.tags: {has: {fact: contact.locale}}}}
    """,
    "lapsed.yaml": """
        kind: audience
        id: lapsed
        title: Lapsed
        owner: tests
        when: {contact.last_order_at: {older_than: 30d}, contact.tags: {has_all: [inside, vip]}}
    """,
    "tired.yaml": """
        kind: audience
        id: tired
        title: Tired
        owner: tests
        when: {contact.sends_since_active: {gte: 3}, contact.tags: {has: warm}}
    """,
}


@pytest.fixture(scope="module", params=["every tag", "tags by name"])
def rules(small_files: Mapping[str, str], request: pytest.FixtureRequest) -> Bundle:
    files = {name: textwrap.dedent(text) for name, text in RULES.items()}
    if request.param == "tags by name":
        files["tags.yaml"] = "\n".join(
            line for line in files["tags.yaml"].splitlines() if "local" not in line
        )
    return bundle_of({**small_files, **files})


@pytest.fixture(scope="module")
def matcher(rules: Bundle) -> Iterator[Matcher]:
    matcher = Matcher(rules.rules)
    yield matcher
    matcher.close()


@pytest.fixture(scope="module")
def derivations(rules: Bundle, matcher: Matcher) -> Derivations:
    return Derivations(rules, matcher)


moments = st.none() | st.integers(-4_000, 0).map(lambda hours: NOW + timedelta(hours=hours))
profiles = st.builds(
    lambda **fields: Profile("c1", created_at=NOW - 200 * DAY, last_event_seq=1, **fields),
    locale=st.sampled_from([None, "vip", "zh"]),
    last_order_at=moments,
    last_active_at=moments,
    order_count=st.integers(0, 6),
    total_spent=st.sampled_from([0.0, 100.0, 250.0]),
    sends_since_active=st.integers(0, 4),
    tags=st.sets(st.sampled_from(["employee", "vip", "zh", "other"])),
)


@settings(max_examples=200)
@given(contact=profiles, hours=st.integers(0, 2000))
def test_a_remembered_answer_is_the_one_that_the_rules_give(
    rules: Bundle, matcher: Matcher, derivations: Derivations, contact: Profile, hours: int
) -> None:
    now, other = NOW + timedelta(hours=hours), deepcopy(contact)

    asked = compute(contact, rules, matcher, now)
    remembered = compute(other, rules, matcher, now, deriving=derivations)

    due_at, other.profile_due_at = other.profile_due_at, contact.profile_due_at
    assert (other, remembered) == (contact, asked)
    assert due_at is None or (contact.profile_due_at is not None and contact.profile_due_at <= due_at)
    assert remembered.facts == contact_facts(contact, rules, now)


def test_of_whom_the_same_is_true_the_rules_are_asked_once(rules: Bundle, matcher: Matcher) -> None:
    class Counting(Matcher):
        asked = 0

        def matching(self, shard: str, facts: object, now: datetime) -> tuple[str, ...]:
            self.asked += 1
            return ()

    nobody = Counting(rules.rules)
    derivations = Derivations(rules, nobody)
    for number in range(5):
        ann = Profile(f"c{number}", created_at=NOW, last_order_at=NOW - number * DAY, total_spent=number)
        derivations.find(contact_facts(ann, rules, NOW), frozenset(), NOW)
    assert nobody.asked == 4  # one for each layer

    late = Profile("late", created_at=NOW, last_order_at=NOW - 40 * DAY)
    derivations.find(contact_facts(late, rules, NOW), frozenset(), NOW)
    assert nobody.asked == 8


def test_what_time_will_change_is_asked_once_of_all_to_whom_it_does_the_same(
    rules: Bundle, matcher: Matcher
) -> None:
    asked: list[str] = []

    class Noting(Matcher):
        def matching(self, shard: str, facts: Facts, now: datetime) -> tuple[str, ...]:
            asked.append(shard)
            return super().matching(shard, facts, now)

    noting = Noting(rules.rules)
    derivations = Derivations(rules, noting)
    for number in range(1, 5):
        bought_at = NOW - number * DAY
        ann = Profile(f"c{number}", created_at=NOW, last_order_at=bought_at, total_spent=1, order_count=1)
        compute(ann, rules, noting, NOW, deriving=derivations)
        assert ann.profile_due_at == bought_at + 30 * DAY, "then the recency falls"
        if number == 1:
            asked.clear()
    assert not asked
    noting.close()


happenings = st.lists(
    st.tuples(
        st.sampled_from(["product_viewed", "order_paid", "message", "look", "look"]),
        st.integers(0, 40 * 24).map(lambda hours: timedelta(hours=hours)),
        st.sampled_from([timedelta(), timedelta(hours=5)]),
    ),
    max_size=12,
)


class Swept:
    """One contact as production sees them: computed with every event, and when they are due."""

    def __init__(
        self, rules: Bundle, matcher: Matcher, deriving: Deriving, *, has_outlook: bool = False
    ) -> None:
        self.has_outlook = has_outlook
        """Whether it goes on from what was foreseen, as virtual time does."""
        self.outlook: Outlook | None = None
        self.profile = Profile("c1", created_at=NOW)
        self.rules, self.matcher, self.deriving = rules, matcher, deriving
        self.now, self.seq = NOW, 0
        self.sweeps = 0
        self.seen: list[tuple[object, ...]] = []
        """Each moment at which something else was derived than before, and what."""

    def facts(self) -> Facts:
        return contact_facts(self.profile, self.rules, self.now)

    def compute(self) -> None:
        outlook = self.outlook if self.has_outlook else None
        computed = compute(
            self.profile, self.rules, self.matcher, self.now, deriving=self.deriving, outlook=outlook
        )
        self.outlook = computed.outlook
        profile = self.profile
        derived = (profile.scores, profile.classes, profile.stage, profile.derived_tags, profile.audiences)
        if not self.seen or self.seen[-1][1:] != derived:
            self.seen.append((self.now, *derived))

    def live(self, until: datetime) -> None:
        while (due_at := self.profile.profile_due_at) is not None and due_at <= until:
            self.now = due_at
            self.sweeps += 1
            self.compute()
        self.now = until

    def do(self, what: str, age: timedelta, amount: float) -> None:
        if what == "message":
            count_send(self.profile, self.rules, None, None, self.now)
            self.outlook = None
            if isinstance(self.deriving, Derivations):
                self.outlook = spare_sweep(self.profile, self.facts(), self.now, self.deriving)
        elif what == "tagged":
            self.outlook = None
            change_tags(self.profile, ["vip"], ["other"], self.now)
        elif what != "look":
            self.seq += 1
            event = Event(
                f"e{self.seq}",
                what,
                "c1",
                self.now - age,
                self.now,
                properties={"amount": amount},
                seq=self.seq,
            )
            count_event(self.profile, event, self.rules, self.matcher)
            apply_event(self.profile, event, self.rules.events[what])
            self.outlook = None
            self.compute()


doings = st.lists(
    st.tuples(
        st.sampled_from(["product_viewed", "order_paid", "message", "tagged", "look"]),
        st.integers(0, 40 * 24).map(lambda hours: timedelta(hours=hours)),
        st.sampled_from([timedelta(), timedelta(hours=5)]),
        st.sampled_from([7.5, 150.0, -20.0]),
    ),
    max_size=12,
)


@settings(max_examples=200)
@given(doings=doings)
@example(doings=[("order_paid", DAY, timedelta(), 7.5), *[("message", DAY, timedelta(), 0.0)] * 3])
def test_sweeps_that_would_change_nothing_are_spared_and_no_others(
    rules: Bundle,
    matcher: Matcher,
    derivations: Derivations,
    doings: list[tuple[str, timedelta, timedelta, float]],
) -> None:
    every = Swept(rules, matcher, AtEveryTurn(rules, matcher))
    spared = Swept(rules, matcher, derivations)
    foreseen = Swept(rules, matcher, derivations, has_outlook=True)
    for world in (every, spared, foreseen):
        for what, later, age, amount in doings:
            world.live(world.now + later)
            world.do(what, age, amount)
        world.live(NOW + 900 * DAY)

    assert spared.seen == foreseen.seen == every.seen
    assert foreseen.sweeps == spared.sweeps <= every.sweeps
    assert spared.profile.profile_due_at == every.profile.profile_due_at
    assert foreseen.profile == spared.profile


@settings(max_examples=200)
@given(happenings=happenings)
def test_what_counts_say_is_remembered_only_while_it_is_so(
    rules: Bundle, matcher: Matcher, happenings: list[tuple[str, timedelta, timedelta]]
) -> None:
    contact = Profile("c1", created_at=NOW)
    now = NOW
    for seq, (what, later, age) in enumerate(happenings, 1):
        now += later
        if what == "message":
            count_send(contact, rules, None, None, now)
        elif what != "look":
            event = Event(f"e{seq}", what, "c1", now - age, now, properties={"amount": 7.5}, seq=seq)
            count_event(contact, event, rules, matcher)
            apply_event(contact, event, rules.events[what])
        forgetful = deepcopy(contact)
        forgetful.counted = None
        assert contact_facts(contact, rules, now) == contact_facts(forgetful, rules, now)
        forgetful.counted = None
        assert next_count_turn_at(contact, rules, now) == next_count_turn_at(forgetful, rules, now)
