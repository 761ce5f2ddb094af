"""What events and traits do to a profile."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.authoring.bundle import Bundle, EventType
from engine.contacts.profile import Profile, contact_facts
from engine.contacts.updating import apply_event, apply_traits, learn_number, learn_timezone
from engine.journeys.event import Event

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDER = EventType("order_paid", "", {}, "order")
VIEW = EventType("product_viewed", "", {}, None)
BOUNCE = EventType("bounced", "", {}, None, counts_as_activity=False)
DELETED = EventType("contact_deleted", "", {}, "deleted")


def profile() -> Profile:
    return Profile("c1", created_at=NOW - timedelta(days=90))


def event(kind: EventType, occurred_at: datetime = NOW, seq: int = 1, **properties: Any) -> Event:
    return Event(f"e{seq}", kind.id, "c1", occurred_at, NOW, properties=properties, seq=seq)


def test_a_paid_order_counts_and_dates_the_contact() -> None:
    contact = apply_event(profile(), event(ORDER, NOW - timedelta(days=2), amount=320), ORDER)
    assert (contact.order_count, contact.total_spent) == (1, 320.0)
    assert (
        contact.first_order_at == contact.last_order_at == contact.last_active_at == NOW - timedelta(days=2)
    )


def test_an_order_that_arrives_late_moves_the_first_and_not_the_last() -> None:
    contact = apply_event(profile(), event(ORDER, NOW, seq=1, amount=10), ORDER)
    apply_event(contact, event(ORDER, NOW - timedelta(days=5), seq=2, amount=10), ORDER)
    assert (contact.first_order_at, contact.last_order_at) == (NOW - timedelta(days=5), NOW)
    assert contact.last_active_at == NOW
    assert contact.last_event_seq == 2


def test_what_happens_to_a_contact_is_no_activity_of_theirs() -> None:
    assert apply_event(profile(), event(BOUNCE), BOUNCE).last_active_at is None
    assert apply_event(profile(), event(VIEW), VIEW).last_active_at == NOW


def test_a_clock_that_runs_ahead_does_not_make_a_contact_active_in_the_future() -> None:
    assert apply_event(profile(), event(VIEW, NOW + timedelta(hours=20)), VIEW).last_active_at == NOW


@pytest.mark.parametrize("amount", [None, "12", True, float("nan"), 1e300])
def test_an_order_without_a_usable_amount_counts_and_adds_nothing(amount: object) -> None:
    contact = apply_event(profile(), event(ORDER, amount=amount), ORDER)
    assert (contact.order_count, contact.total_spent) == (1, 0.0)


def test_someone_who_left_is_suppressed_and_an_older_reason_stays() -> None:
    assert apply_event(profile(), event(DELETED), DELETED).suppressed == "deleted"
    asked = profile()
    asked.suppressed = "complaint"
    assert apply_event(asked, event(DELETED), DELETED).suppressed == "complaint"


histories = st.lists(
    st.tuples(
        st.sampled_from([ORDER, VIEW, BOUNCE]),
        st.integers(-200_000, 2_000).map(lambda minutes: NOW + timedelta(minutes=minutes)),
        st.integers(0, 10_000_000).map(lambda cents: cents / 100),
    ),
    max_size=30,
)


@given(histories, st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_the_order_in_which_events_arrive_does_not_matter(
    history: list[tuple[EventType, datetime, float]], chance: random.Random
) -> None:
    arrived = list(history)
    chance.shuffle(arrived)
    results = []
    for sequence in (history, arrived):
        contact = profile()
        for seq, (kind, at, amount) in enumerate(sequence, 1):
            apply_event(contact, event(kind, at, seq, amount=amount), kind)
        results.append(contact)
    assert results[0] == results[1]


def test_traits_fill_what_the_workspace_declares_and_ignore_the_rest(small: Bundle) -> None:
    contact = profile()
    traits = {
        "timezone": "Asia/Tokyo",
        "locale": "en-GB",
        "tags": ["vip", "vip", "employee"],
        "city": "上海",
        "visits": 3,
        "member": False,
        "birthday": "1990-05-01T00:00:00+08:00",
        "likes": ["tea", "books", "tea"],
        "email": "ana@example.com",
        "shoe_size": 38,
    }
    assert apply_traits(contact, traits, small.workspace, NOW) == []
    assert (contact.timezone, contact.timezone_source, contact.locale) == ("Asia/Tokyo", "stated", "en")
    assert contact.tags == {"vip", "employee"}
    assert contact.attributes == {
        "city": "上海",
        "visits": 3,
        "member": False,
        "birthday": "1990-05-01T00:00:00+08:00",
        "likes": ["books", "tea"],
    }
    facts = contact_facts(contact, small, NOW)
    assert facts["contact.birthday"] == datetime(1990, 4, 30, 16, tzinfo=UTC)
    assert facts["contact.likes"] == frozenset({"tea", "books"})


@pytest.mark.parametrize(
    ("trait", "value"),
    [
        ("timezone", "Mars/Olympus"),
        ("timezone", 8),
        ("locale", "the one of my grandmother"),
        ("locale", ["zh"]),
        ("tags", "vip"),
        ("tags", ["vip", 3]),
        ("tags", [""]),
        ("tags", {}),
        ("tags", {"remove": "vip"}),
        ("tags", {"add": ["vip"], "drop": ["new"]}),
        ("tags", {"add": ["vip"], "remove": [3]}),
        ("city", 3),
        ("visits", "3"),
        ("visits", True),
        ("visits", float("inf")),
        ("member", "yes"),
        ("member", 1),
        ("birthday", "1990-05-01T00:00:00"),
        ("birthday", "9999-12-31T23:59:59-12:00"),
        ("birthday", "0001-01-01T00:00:00+12:00"),
        ("birthday", 641520000),
        ("likes", "tea"),
        ("likes", [1]),
    ],
)
def test_a_trait_that_does_not_fit_is_named_and_left_aside_and_the_others_stay(
    small: Bundle, trait: str, value: object
) -> None:
    contact, untouched = profile(), profile()
    good = {"city": "上海"} if trait != "city" else {"visits": 3}
    [fault] = apply_traits(contact, {trait: value} | good, small.workspace, NOW)
    assert fault.name == trait
    assert str(fault).startswith(f"traits.{trait} left aside: not ")
    assert str(value) not in str(fault)
    untouched.attributes = dict(good)
    assert contact == untouched


def test_tags_that_were_given_are_taken_off_by_name(small: Bundle) -> None:
    """Whose hand-over to a person was cancelled would be answered by nobody for ever."""
    contact = profile()
    contact.tags = {"with_person", "vip"}
    traits = {"tags": {"add": ["employee"], "remove": ["with_person", "never_had"]}}
    assert apply_traits(contact, traits, small.workspace, NOW) == []
    assert contact.tags == {"vip", "employee"}


def test_null_takes_an_attribute_away(small: Bundle) -> None:
    contact = profile()
    contact.attributes = {"city": "上海"}
    assert apply_traits(contact, {"city": None, "visits": None}, small.workspace, NOW) == []
    assert contact.attributes == {}


@pytest.mark.parametrize(
    ("stated", "kept"),
    [("zh", "zh"), ("zh_CN.UTF-8", "zh"), ("EN", "en"), ("fr-CA", "fr"), ("zh-Hant-TW", "zh")],
)
def test_a_locale_becomes_the_nearest_the_workspace_speaks(small: Bundle, stated: str, kept: str) -> None:
    contact = profile()
    assert apply_traits(contact, {"locale": stated}, small.workspace, NOW) == []
    assert contact.locale == kept


def test_a_stated_zone_is_not_replaced_by_a_guess() -> None:
    contact = profile()
    assert learn_timezone(contact, "Asia/Shanghai", "device")
    assert learn_timezone(contact, "Europe/Paris", "stated")
    assert learn_timezone(contact, "Asia/Tokyo", "device")
    assert (contact.timezone, contact.timezone_source) == ("Europe/Paris", "stated")
    assert not learn_timezone(contact, "Nowhere", "stated")
    assert contact.timezone == "Europe/Paris"


NUMBERS = {
    "+8613812345678": ["Asia/Shanghai"],
    "+819012345678": ["Asia/Tokyo"],
    "+34612345678": ["Atlantic/Canary", "Europe/Madrid"],
    "+15555550123": [],
}
ZONES = st.sampled_from(["Asia/Tokyo", "Europe/Paris", "Nowhere"])


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["stated", "device"]), ZONES),
            st.tuples(st.sampled_from(["sms", "whatsapp"]), st.sampled_from(sorted(NUMBERS))),
        ),
        max_size=8,
    )
)
def test_the_latest_of_the_best_source_is_the_zone(news: list[tuple[str, str]]) -> None:
    contact = profile()
    said: dict[str, str] = {}
    for source, what in news:
        if source in ("sms", "whatsapp"):
            assert learn_number(contact, source, what, None) == bool(NUMBERS[what])
        else:
            assert learn_timezone(contact, what, source) == (what != "Nowhere")
        if NUMBERS.get(what) != [] and what != "Nowhere":
            said[source] = what
    open_ = sorted({zone for each in ("sms", "whatsapp") if each in said for zone in NUMBERS[said[each]]})
    best = next((each for each in ("stated", "device") if each in said), None)
    if best is not None:
        assert (contact.timezone, contact.timezone_source) == (said[best], best)
    elif len(open_) == 1:
        assert (contact.timezone, contact.timezone_source) == (open_[0], "number")
    else:
        assert (contact.timezone, contact.timezone_source) == (None, None)
    assert contact.timezone_candidates == (tuple(open_) if contact.timezone is None else ())


@given(
    st.dictionaries(
        st.sampled_from(["timezone", "locale", "tags", "city", "visits", "member", "birthday", "likes", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
@settings(max_examples=100)
def test_no_trait_whatever_it_holds_breaks_a_profile(small: Bundle, traits: dict[str, Any]) -> None:
    contact = profile()
    faults = apply_traits(contact, traits, small.workspace, NOW)
    assert {fault.name for fault in faults} <= set(traits)
    contact_facts(contact, small, NOW)
