"""Counts that are missing or out of date are counted anew from the event store, in bulk and within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event as hook

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.contacts.profile import Profile, contact_facts
from engine.contacts.recounting import recount_stale, with_counts
from engine.contacts.remembering import past_events
from engine.rules.matcher import Matcher
from engine.store.database import Store
from engine.store.tables import EventRow

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FILES = {
    "wayline.yaml": "kind: workspace\nid: here\ntitle: t\nowner: us\ntimezone: UTC\nlocales: [en]\n"
    "identities: [email]\n",
    "events.yaml": "kind: events\nid: e\ntitle: t\nowner: us\nevents:\n  - id: paid\n    title: p\n"
    "    schema: {type: object, properties: {amount: {type: number}}}\n",
    "tags.yaml": "kind: tags\nid: t\ntitle: t\nowner: us\ncounts:\n"
    "  - {id: orders_30d, of: {event: paid}, within: 30d}\n"
    "  - {id: spend_30d, sum: amount, of: {event: paid, when: {event.amount: {gte: 10}}}, within: 30d}\n",
}


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return bundle_of(FILES)


@pytest.fixture(scope="module")
def matcher(bundle: Bundle) -> Iterator[Matcher]:
    matcher = Matcher(bundle.rules)
    yield matcher
    matcher.close()


@pytest.fixture
def lived(store: Store) -> Store:
    """Ann and Bob paid once a day for 40 days, the latest order first to arrive."""
    with store.begin() as session:
        for who in ("ann", "bob"):
            for day in range(40):
                session.add(
                    EventRow(
                        event_id=f"{who}{day}",
                        contact_id=who,
                        type="paid",
                        occurred_at=NOW - day * DAY,
                        received_at=NOW,
                        source="test",
                        properties={"amount": day},
                    )
                )
                session.flush()
    return store


def somebody(name: str) -> Profile:
    return Profile(name, created_at=NOW - 100 * DAY, last_event_seq=1)


def test_what_was_lost_is_counted_anew_with_one_query_for_all(
    lived: Store, bundle: Bundle, matcher: Matcher
) -> None:
    profiles = [somebody("ann"), somebody("bob"), somebody("eve")]
    statements: list[str] = []

    def note(*about: object) -> None:
        statements.append(str(about[2]))

    with lived.read() as session:
        session.connection()
        hook.listen(lived.engine, "before_cursor_execute", note)
        recount_stale(session, profiles, bundle, matcher, NOW)
        recount_stale(session, profiles, bundle, matcher, NOW)
        hook.remove(lived.engine, "before_cursor_execute", note)
    facts = [contact_facts(profile, bundle, NOW) for profile in profiles]

    assert [each["contact.orders_30d"] for each in facts] == [30, 30, 0]
    assert [each["contact.spend_30d"] for each in facts] == [sum(range(10, 30)), sum(range(10, 30)), 0]
    assert len(statements) == 1


def test_a_count_of_another_definition_is_unknown_until_then(bundle: Bundle) -> None:
    assert contact_facts(somebody("ann"), bundle, NOW)["contact.orders_30d"] is None
    assert contact_facts(Profile("new", created_at=NOW), bundle, NOW)["contact.orders_30d"] == 0


def test_another_bundle_s_counts_are_made_on_a_copy(lived: Store, bundle: Bundle, matcher: Matcher) -> None:
    ann = somebody("ann")
    ann.counts = {"orders_30d": {"v": "other"}}
    with lived.read() as session:
        seen = with_counts(session, ann, bundle, matcher, NOW)
        assert with_counts(session, seen, bundle, matcher, NOW) is seen

    assert contact_facts(seen, bundle, NOW)["contact.orders_30d"] == 30
    assert ann.counts == {"orders_30d": {"v": "other"}}


def test_the_past_comes_in_the_order_of_arrival_and_only_its_latest_part(lived: Store) -> None:
    with lived.read() as session:
        latest = dict(past_events(session, ["ann"], ["paid"], most=3))
        some = dict(past_events(session, ["ann", "bob"], ["paid"], most=99, since=NOW - 2 * DAY))
        before = latest["ann"][1].seq
        earlier = dict(past_events(session, ["ann"], ["paid"], most=1, before_seq=before))
        none = dict(past_events(session, ["ann"], ["viewed"], most=3))

    assert [event.event_id for event in latest["ann"]] == ["ann37", "ann38", "ann39"]
    assert {who: [event.event_id for event in events] for who, events in some.items()} == {
        "ann": ["ann0", "ann1"],
        "bob": ["bob0", "bob1"],
    }
    assert [event.event_id for event in earlier["ann"]] == ["ann37"]
    assert none == {}
