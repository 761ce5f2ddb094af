"""Taking events in: each once, the good beside the bad, everything of an event in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.contacts.profile import Profile
from engine.contacts.rows import write_profiles
from engine.delivery.viewing import lock_standing
from engine.errors import NotFound
from engine.governance.publishing import publish
from engine.governance.records import contact_record
from engine.intake import accepting
from engine.intake.answering import Receipt
from engine.journeys.numbers import read_number
from engine.store.database import Store
from engine.store.tables import (
    ConsentRow,
    ContactRow,
    DeadLetterRow,
    DecisionRow,
    EventRow,
    IdentityRow,
    RunRow,
    WaitRow,
)
from tests.intake.conftest import NOW, Bench

EFFECTS = (EventRow, ContactRow, IdentityRow, ConsentRow, RunRow, WaitRow, DecisionRow, DeadLetterRow)


def track(event: str, user: str = "u1", message_id: str | None = None, **more: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"type": "track", "event": event, "userId": user, **more}
    if message_id is not None:
        message["messageId"] = message_id
    return message


def order(number: int, user: str = "u1", amount: float = 10.0, **more: Any) -> dict[str, Any]:
    properties = {"order_id": f"o{number}", "amount": amount}
    return track("order_paid", user, f"order-{number}", properties=properties, **more)


def ago(**span: float) -> str:
    return (NOW - timedelta(**span)).isoformat()


def counts(receipt: Receipt) -> tuple[int, int, int]:
    return receipt.accepted, receipt.duplicates, receipt.dead


def test_an_event_becomes_a_row_a_contact_and_a_profile(bench: Bench) -> None:
    receipt = bench.accept(order(1, traits={"nickname": "小明", "email": "ming@Example.com"}))
    assert counts(receipt) == (1, 0, 0)
    event, contact = bench.one(EventRow), bench.one(ContactRow)
    assert (event.event_id, event.contact_id, event.source) == ("order-1", contact.id, "test")
    assert (contact.order_count, contact.total_spent) == (1, 10.0)
    assert (contact.attributes, contact.last_event_seq) == ({"nickname": "小明"}, event.seq)
    identities = {(row.platform, row.address) for row in bench.all(IdentityRow)}
    assert identities == {("user", "u1"), ("email", "ming@example.com")}


def test_a_batch_sent_twice_has_one_set_of_effects(bench: Bench) -> None:
    batch = [track("contact_added", message_id="m1"), order(1), order(2, "u2")]
    assert counts(bench.accept(*batch)) == (3, 0, 0)
    before = [bench.count(table) for table in EFFECTS]
    assert counts(bench.accept(*batch)) == (0, 3, 0)
    assert [bench.count(table) for table in EFFECTS] == before


def test_the_same_batch_from_several_threads_at_once_has_one_set_of_effects(bench: Bench) -> None:
    batch = [track("contact_added", f"u{number}", f"added-{number}") for number in range(10)]
    batch += [order(number, f"u{number % 10}") for number in range(20)]
    together = threading.Barrier(4)

    def accept(_: int) -> Receipt:
        together.wait()
        return bench.accept(*batch)

    with ThreadPoolExecutor(4) as pool:
        receipts = list(pool.map(accept, range(4)))
    assert sum(receipt.accepted for receipt in receipts) == 30
    assert sum(receipt.duplicates for receipt in receipts) == 90
    assert bench.count(EventRow) == 30
    assert bench.count(ContactRow) == 10
    assert all(contact.order_count == 2 for contact in bench.all(ContactRow))
    welcomes = [run for run in bench.all(RunRow) if run.journey == "welcome"]
    assert len(welcomes) == len({run.contact_id for run in welcomes}) == 10


def test_a_message_twice_in_one_batch_counts_once(bench: Bench) -> None:
    assert counts(bench.accept(order(1), order(1))) == (1, 1, 0)
    assert bench.one(ContactRow).order_count == 1


def test_a_bad_copy_does_not_hide_the_good_one_after_it(sqlite_bench: Bench) -> None:
    bad = {**order(1), "properties": {}}
    assert counts(sqlite_bench.accept(bad, order(1))) == (1, 0, 1)


def test_bad_events_become_dead_letters_whole_and_the_good_ones_go_on(bench: Bench) -> None:
    bad: dict[str, dict[str, Any]] = {
        "EV001": {"type": "track", "event": "order_paid", "userId": "u1", "properties": 1},
        "EV002": {"type": "dance", "userId": "u1"},
        "EV003": {"type": "track", "userId": "u1"},
        "EV004": {"type": "track", "event": "product_viewed", "properties": {"product_id": "p"}},
        "EV005": track("order_payed"),
        "EV006": track("order_paid", properties={"order_id": "o1", "amount": "much"}),
        "EV007": order(90, timestamp="yesterday"),
        "EV008": order(91, timestamp=ago(days=-2)),
        "EV010": {"type": "alias", "userId": "u1"},
        "EV012": order(92, "x" * 300),
    }
    receipt = bench.accept(order(1), *bad.values(), order(2))
    assert counts(receipt) == (2, 0, len(bad))
    letters = {letter.code: letter for letter in bench.all(DeadLetterRow)}
    assert {code: letter.raw for code, letter in letters.items()} == bad
    assert letters["EV005"].message.endswith("did you mean 'order_paid'?")
    assert letters["EV006"].message == "properties.amount: wanted number"
    assert bench.one(ContactRow).order_count == 2


def test_what_no_database_can_hold_becomes_a_dead_letter_too(bench: Bench) -> None:
    bad = [order(1, traits={"nickname": text}) for text in ("a\x00b", "\ud83d")]
    assert counts(bench.accept(*bad, order(3))) == (1, 0, 2)
    assert [letter.code for letter in bench.all(DeadLetterRow)] == ["EV009", "EV009"]
    assert "a\\u0000b" in bench.all(DeadLetterRow)[0].raw


def test_right_to_left_names_and_emoji_are_kept_as_sent(bench: Bench) -> None:
    name = "👩‍👩‍👧‍👦 سارة \u202bעברית"
    bench.accept(order(1, "مستخدم-😀", traits={"nickname": name}))
    assert bench.one(ContactRow).attributes == {"nickname": name}
    assert bench.one(IdentityRow).address == "مستخدم-😀"


def test_events_of_one_batch_take_effect_in_the_order_they_happened(bench: Bench) -> None:
    bench.accept(
        track("product_viewed", message_id="later", timestamp=ago(hours=1), properties={"product_id": "p"}),
        track("contact_added", message_id="earlier", timestamp=ago(hours=2)),
    )
    seqs = {event.event_id: event.seq for event in bench.all(EventRow)}
    assert seqs["earlier"] < seqs["later"]


def test_a_late_event_counts_but_starts_no_journey(bench: Bench) -> None:
    receipt = bench.accept(order(1, timestamp="1970-01-01T00:00:00Z"))
    assert counts(receipt) == (1, 0, 0)
    assert receipt.run_ids == ()
    assert bench.one(ContactRow).order_count == 1
    assert bench.count(RunRow) == 0
    # The last one: who falls asleep by an event of long ago is not woken by it.
    assert {row.reason for row in bench.all(DecisionRow)} == {"entry.late", "entry.no_match"}


def test_an_event_starts_a_run_leased_to_whoever_took_it_in(bench: Bench) -> None:
    receipt = bench.accept(track("contact_added", message_id="m1"))
    runs = {run.id: run for run in bench.all(RunRow)}
    assert set(receipt.run_ids) == set(runs)
    assert {run.waiting for run in runs.values()} == {"ready"}
    assert "welcome" in {run.journey for run in runs.values()}


def test_an_identify_only_updates_the_contact(bench: Bench) -> None:
    bench.accept({"type": "identify", "userId": "u1", "traits": {"city": "上海", "unknown": 1}})
    contact = bench.one(ContactRow)
    assert (contact.attributes, contact.last_active_at) == ({"city": "上海"}, None)
    assert bench.one(EventRow).type == "identify"


def test_an_unknown_time_zone_is_left_aside_with_a_note(bench: Bench) -> None:
    receipt = bench.accept(
        order(1, context={"timezone": "Mars/Olympus"}), order(2, traits={"timezone": "Beijing"})
    )
    assert counts(receipt) == (2, 0, 0)
    assert [note.text.split(":")[0] for note in receipt.notes] == [
        "context.timezone left aside",
        "traits.timezone left aside",
    ]
    assert bench.one(ContactRow).timezone is None


def test_the_devices_zone_and_language_are_learnt(bench: Bench) -> None:
    bench.accept(order(1, context={"timezone": "Asia/Tokyo", "locale": "en-GB"}))
    contact = bench.one(ContactRow)
    assert (contact.timezone, contact.timezone_source, contact.locale) == ("Asia/Tokyo", "device", "en")


def zone_of(bench: Bench) -> tuple[str | None, str | None]:
    contact = bench.one(ContactRow)
    return contact.timezone, contact.timezone_source


def test_a_phone_number_tells_the_zone_until_something_better_does(bench: Bench) -> None:
    bench.accept(order(1, traits={"phone": "138 1234 5678"}))
    assert zone_of(bench) == ("Asia/Shanghai", "number")
    assert ("phone", "+8613812345678") in {(row.platform, row.address) for row in bench.all(IdentityRow)}
    bench.accept(order(2, traits={"phone": "+44 7911 123456"}))
    assert zone_of(bench) == ("Europe/London", "number")
    bench.accept(order(3, context={"timezone": "Asia/Tokyo"}), order(4, traits={"phone": "+86 10 1234 5678"}))
    assert zone_of(bench) == ("Asia/Tokyo", "device")
    assert bench.one(ContactRow).numbers == {"phone": {"country": "CN", "zones": ["Asia/Shanghai"]}}


def test_a_number_with_several_clocks_leaves_the_zone_open_and_is_told_by_contact_show(bench: Bench) -> None:
    bench.accept(order(1, traits={"phone": "+34612345678"}))
    contact = bench.one(ContactRow)
    assert zone_of(bench) == (None, None)
    with bench.store.read() as session:
        record = contact_record(session, contact.id)
        standing = lock_standing(session, contact.id)
    assert record["timezone_source"] == "default"
    assert record["timezone_candidates"] == ["Atlantic/Canary", "Europe/Madrid"]
    assert standing is not None
    assert standing.timezone_candidates == ("Atlantic/Canary", "Europe/Madrid")
    bench.accept(order(2, traits={"timezone": "Europe/Madrid"}))
    with bench.store.read() as session:
        standing = lock_standing(session, contact.id)
    assert standing is not None
    assert (standing.timezone, standing.timezone_source) == ("Europe/Madrid", "stated")
    assert standing.timezone_candidates == ()


def test_a_number_that_no_country_has_is_kept_and_told_once(bench: Bench) -> None:
    first = bench.accept(order(1, traits={"phone": "+1 555 555 0123"}))
    again = bench.accept(order(2, traits={"phone": "+1 555 555 0123"}))
    assert [note.text for note in first.notes] == [
        "phone kept as it is: no country has such a number, so it tells no time zone"
    ]
    assert again.notes == ()
    assert {row.address for row in bench.all(IdentityRow)} == {"u1", "+15555550123"}
    assert zone_of(bench) == (None, None)


def test_a_number_is_read_when_it_is_new_and_not_with_every_event(sqlite_bench: Bench) -> None:
    def times_read() -> int:
        return read_number.cache_info().hits + read_number.cache_info().misses

    before = times_read()
    for number in range(5):
        sqlite_bench.accept(order(number, traits={"phone": "+8613812345678"}))
    assert times_read() == before + 1


def test_the_number_of_somebody_else_tells_nothing_of_the_contact(bench: Bench) -> None:
    bench.accept(order(1, "u2", traits={"phone": "+44 7911 123456"}))
    bench.accept(order(2, "u1"), order(3, "u1", traits={"phone": "+44 7911 123456"}))
    zones = {row.order_count: row.timezone for row in bench.all(ContactRow)}
    assert zones == {1: "Europe/London", 2: None}


def test_a_contact_whose_number_was_there_before_numbers_were_read_has_it_read_later(bench: Bench) -> None:
    bench.accept(order(1, traits={"phone": "+44 7911 123456"}))
    with bench.store.begin() as session:
        (row,) = session.scalars(select(ContactRow))
        row.timezone, row.timezone_source, row.numbers = None, None, {}
    bench.accept(order(2, traits={"phone": "+44 7911 123456"}))
    assert zone_of(bench) == ("Europe/London", "number")


def test_a_bad_address_is_dropped_with_a_note_and_the_event_kept(bench: Bench) -> None:
    receipt = bench.accept(order(1, traits={"email": "nobody"}))
    assert counts(receipt) == (1, 0, 0)
    assert [note.text for note in receipt.notes] == ["email left aside: not an address"]
    assert [row.platform for row in bench.all(IdentityRow)] == ["user"]


def test_a_consent_event_is_written_into_the_ledger(bench: Bench) -> None:
    told = {"purpose": "marketing", "channel": "email", "notice": "我同意", "mechanism": "form"}
    bench.accept(track("consent_granted", message_id="c1", properties=told, timestamp=ago(hours=1)))
    bench.accept(track("consent_withdrawn", message_id="c2", properties={"purpose": "marketing"}))
    granted, withdrawn = bench.all(ConsentRow)
    assert (granted.decision, granted.channel, granted.mechanism) == ("granted", "email", "form")
    assert granted.recorded_at == NOW - timedelta(hours=1)
    assert granted.notice_hash is not None
    assert (withdrawn.decision, withdrawn.channel) == ("withdrawn", "*")


def test_a_grant_of_a_purpose_nobody_knows_is_refused_and_its_withdrawal_is_kept(bench: Bench) -> None:
    told = {"purpose": "espionage"}
    assert counts(bench.accept(track("consent_granted", message_id="c1", properties=told))) == (0, 0, 1)
    assert counts(bench.accept(track("consent_withdrawn", message_id="c2", properties=told))) == (1, 0, 0)


def test_an_accepted_event_stays_accepted_whatever_comes_later_under_its_id(bench: Bench) -> None:
    bench.accept(order(1))
    assert counts(bench.accept({**order(1), "event": "no_such_type"})) == (0, 1, 0)


def test_without_a_published_bundle_nothing_is_kept(unpublished: Bench) -> None:
    with pytest.raises(NotFound):
        unpublished.accept(order(1), 1)
    assert unpublished.count(DeadLetterRow) == 0


def test_journey_time_decides_what_is_late(store: Store, make_bench: Callable[[Store], Bench]) -> None:
    bench = make_bench(store)
    bench.clock.advance(timedelta(days=8))
    assert bench.accept(track("contact_added", message_id="m1", timestamp=NOW.isoformat())).run_ids == ()


SMALL = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
ANY = st.recursive(
    SMALL, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
ORDERS = st.builds(order, st.integers(0, 5), st.sampled_from(["u1", "u2"]), st.floats(0, 99))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(
        ORDERS | ANY | st.fixed_dictionaries({"type": st.just("track"), "event": ANY, "userId": ANY}),
        max_size=8,
    )
)
def test_nothing_is_lost(sqlite_bench: Bench, messages: list[Any]) -> None:
    stored, letters = sqlite_bench.count(EventRow), sqlite_bench.count(DeadLetterRow)
    receipt = sqlite_bench.accept(*messages)
    assert sum(counts(receipt)) == len(messages)
    assert sqlite_bench.count(EventRow) == stored + receipt.accepted
    assert sqlite_bench.count(DeadLetterRow) == letters + receipt.dead


def test_rules_that_change_while_a_batch_is_taken_in_decide_it(
    postgres_store: Store,
    make_bench: Callable[[Store], Bench],
    shipped_files: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else its contacts could stay as the old rules have it: the sweep under the new ones has passed by."""
    bench = make_bench(postgres_store)
    files = {**shipped_files, "tags.yaml": shipped_files["tags.yaml"].replace("{gte: 2}", "{gte: 1}")}
    write = write_profiles
    publishes = [1]

    def meanwhile(session: Session, profiles: Iterable[Profile]) -> None:
        write(session, profiles)
        if publishes:
            publishes.pop()
            with bench.store.begin() as other:
                publish(other, files, by="test", now=NOW)

    monkeypatch.setattr(accepting, "write_profiles", meanwhile)
    assert counts(bench.accept(order(1))) == (1, 0, 0)
    assert "repeat_buyer" in bench.one(ContactRow).derived_tags
    assert bench.count(EventRow) == 1
