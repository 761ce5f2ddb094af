"""What people write to us: once, as an event of whoever has the address; a word of opting out is heard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from textwrap import dedent

import pytest

from engine.clock import FixedClock
from engine.contacts.consent import consent_records
from engine.contacts.suppressing import suppress_address
from engine.errors import CommandError
from engine.gate.consent import consent_for
from engine.governance.erasing import Eraser
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.deadletters import retry
from engine.intake.inbound import Heard, Hearing, Inbound, event_id, hear
from engine.intake.incoming import IncomingEvent
from engine.runs.service import Runs
from engine.simulation.population import from_store
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ConsentRow, ContactRow, DeadLetterRow, EventRow, IdentityRow, IntentRow
from tests.intake.conftest import NOW, Bench, NothingToDeliver

FILES = {
    "wayline.yaml": """
        kind: workspace
        id: here
        title: here
        owner: us
        timezone: Asia/Shanghai
        locales: [en]
        identities: [email, phone]
        numbers: {phone: {country: CN}}
        """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: us
        purposes:
          - {id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 2d}
        """,
    "channels.yaml": """
        kind: channels
        id: channels
        title: channels
        owner: us
        channels:
          - {id: sms, plugin: file, identity: phone, settings: {folder: out}}
          - {id: sms_spare, plugin: file, identity: phone, settings: {folder: out}}
          - {id: letter, plugin: file, identity: email, settings: {folder: out}}
        """,
}
SAID = Inbound("sms", "13800138000", "mo-1", "请问几点开门")


@pytest.fixture(scope="session")
def files(shipped_files: Mapping[str, str]) -> dict[str, str]:
    """Two channels to phone numbers and one to another kind of address, and the shipped words."""
    here = {name: dedent(text) for name, text in FILES.items()}
    return {**here, "opt_outs.yaml": shipped_files["compliance/opt_outs.yaml"]}


@pytest.fixture
def phones(store: Store, shelf: BundleShelf, files: dict[str, str]) -> Bench:
    """One contact with consent."""
    clock = FixedClock(NOW)
    with store.begin() as session:
        publish(session, files, by="test", now=NOW)
    bench = Bench(
        store, shelf, Intake(store, shelf, Runs(store, shelf, NothingToDeliver(), clock), clock), clock
    )
    bench.accept(
        {"type": "identify", "userId": "u1", "traits": {"phone": "138 0013 8000"}},
        {
            "type": "track",
            "event": "consent_granted",
            "userId": "u1",
            "properties": {"purpose": "marketing"},
        },
    )
    return bench


def told(bench: Bench, *messages: Inbound) -> Hearing:
    return hear(bench.store, bench.shelf, bench.intake, messages, source="test", now=bench.clock.now())


def received(bench: Bench) -> list[EventRow]:
    return [row for row in bench.all(EventRow) if row.type == "message_received"]


def test_a_message_is_an_event_of_whoever_has_the_address_once(phones: Bench) -> None:
    at = NOW - timedelta(minutes=3)
    assert told(phones, replace(SAID, at=at), replace(SAID, text="again")).heard == (
        Heard.TAKEN,
        Heard.REPEATED,
    )
    assert told(phones, SAID).heard == (Heard.REPEATED,)
    (event,) = received(phones)
    (contact,) = phones.all(ContactRow)
    assert (event.contact_id, event.occurred_at) == (contact.id, at)
    assert event.properties == {"channel": "sms", "text": "请问几点开门"}
    assert "138" not in event.event_id
    assert "mo-1" not in event.event_id


def test_the_same_id_on_another_channel_is_another_message(phones: Bench) -> None:
    assert told(phones, SAID, replace(SAID, channel="sms_spare")).heard == (Heard.TAKEN, Heard.TAKEN)


def test_an_address_nobody_has_is_somebody_new(phones: Bench) -> None:
    assert told(phones, replace(SAID, address="13900139000")).heard == (Heard.TAKEN,)
    assert phones.count(ContactRow) == 2


def test_what_is_no_address_is_a_dead_letter_that_can_be_tried_again(
    phones: Bench, files: dict[str, str]
) -> None:
    hearing = told(phones, replace(SAID, address="nobody"), replace(SAID, provider_id="mo-2"))
    assert hearing.heard == (Heard.REFUSED, Heard.TAKEN)
    letter = phones.one(DeadLetterRow)
    assert letter.code == "EV004"
    assert letter.raw["messageId"] == event_id(SAID)
    lenient = files["wayline.yaml"].replace("numbers: {phone: {country: CN}}", "numbers: {}")
    with phones.store.begin() as session:
        publish(session, {**files, "wayline.yaml": lenient}, by="test", now=NOW)
    assert retry(phones.store, phones.intake, phones.clock).resolved == (letter.id,)
    assert len(received(phones)) == 2


def test_a_channel_that_is_none_is_said_so_and_nothing_is_kept(phones: Bench) -> None:
    with pytest.raises(CommandError, match="no channel 'smss' in this workspace; there are: letter, sms"):
        told(phones, SAID, replace(SAID, channel="smss"))
    assert not received(phones)
    assert not phones.count(DeadLetterRow)


def test_a_long_text_is_cut_and_what_cannot_be_stored_is_replaced(phones: Bench) -> None:
    told(
        phones,
        replace(SAID, text="a\x00" + "长" * 20_000, properties={"complexity": "simple", "opt_out": "x"}),
    )
    (event,) = received(phones)
    assert event.properties["text"] == "a\ufffd" + "长" * 9_998
    assert event.properties["complexity"] == "simple"
    assert "opt_out" not in event.properties


def test_the_message_it_answers_is_named_when_it_is_one_of_theirs(phones: Bench) -> None:
    (contact,) = phones.all(ContactRow)
    with phones.store.begin() as session:
        for key, whose in (("k1", contact.id), ("k2", "somebody")):
            session.add(
                IntentRow(
                    key=key,
                    step_id="s",
                    contact_id=whose,
                    purpose="marketing",
                    content="c",
                    bundle_hash="h",
                    channel="sms",
                    provider_id=f"p-{key}",
                    created_at=NOW,
                    updated_at=NOW,
                )
            )
    for number, named in enumerate(("k1", "p-k1", "p-k2", "none")):
        told(phones, replace(SAID, provider_id=f"mo-{number}", answers=named))
    assert [row.properties.get("answers") for row in received(phones)] == ["k1", "k1", None, None]


@pytest.mark.parametrize("text", ["ＴＤ", "退订", " stop! "])
def test_a_word_of_opting_out_withdraws_for_every_channel_to_the_address(phones: Bench, text: str) -> None:
    told(phones, replace(SAID, text=text))
    event, *withdrawn = [row for row in phones.all(EventRow) if row.source in {"test", "wayline"}][2:]
    assert event.type == "message_received"
    assert event.properties["opt_out"].startswith("sms_")
    assert [row.type for row in withdrawn] == ["consent_withdrawn"] * 2
    said = [row for row in phones.all(ConsentRow) if row.decision == "withdrawn"]
    assert [(row.purpose, row.channel, row.mechanism) for row in said] == [
        ("*", "sms", "opt_out_word"),
        ("*", "sms_spare", "opt_out_word"),
    ]
    assert all(row.proof is not None and event.event_id in row.proof and row.proof_hash for row in said)
    assert all(row.received_at == NOW for row in said)


def test_the_gate_hears_it_at_once_and_other_addresses_keep_their_consent(phones: Bench) -> None:
    told(phones, replace(SAID, text="退订"))
    with phones.store.read() as session:
        (contact,) = phones.all(ContactRow)
        records = consent_records(session, contact.id)
        purpose = phones.shelf.live(session).purposes["marketing"]
    answers = {
        name: consent_for(records, purpose, name, NOW).is_granted for name in ("sms", "sms_spare", "letter")
    }
    assert answers == {"sms": False, "sms_spare": False, "letter": True}


def test_a_word_counts_by_whichever_way_it_comes(phones: Bench) -> None:
    phones.accept(
        {
            "type": "track",
            "event": "message_received",
            "userId": "u1",
            "properties": {"text": "T", "channel": "sms"},
        },
        {"type": "track", "event": "message_received", "userId": "u2", "properties": {"text": "T"}},
        {"type": "track", "event": "message_received", "userId": "u3", "properties": {"text": "退订"}},
    )
    said = {(row.channel, row.contact_id) for row in phones.all(ConsentRow) if row.decision == "withdrawn"}
    assert len(said) == 3
    assert sorted(channel for channel, _ in said) == ["*", "sms", "sms_spare"]


def test_whoever_lives_a_recorded_opt_out_again_withdraws_once(phones: Bench) -> None:
    told(phones, replace(SAID, text="TD"))
    (contact,) = phones.all(ContactRow)
    with phones.store.read() as session:
        bundle = phones.shelf.live(session)
        (history,) = from_store(session, [contact.id], bundle, NOW - timedelta(1), NOW + timedelta(1))
    assert [each.event for each in history.happenings][-1] == "message_received"
    assert "consent_withdrawn" not in [each.event for each in history.happenings]


def test_what_they_wrote_goes_when_they_are_erased(phones: Bench) -> None:
    told(phones, SAID)
    (contact,) = phones.all(ContactRow)
    Eraser(phones.store, phones.clock, "secret").erase(contact.id, by="me", reason="asked")
    assert all(not row.properties for row in received(phones))


@pytest.mark.parametrize(
    ("closed", "event", "source", "is_open"),
    [
        ("hard_bounce", "message_received", "api:ops", True),
        ("hard_bounce", "contact_added", "callback:sms", True),
        ("hard_bounce", "contact_added", "api", False),
        ("hard_bounce", "contact_added", "callback:letter", False),
        ("hard_bounce", "consent_granted", "callback:sms", False),
        ("complaint", "message_received", "api:ops", False),
    ],
)
def test_an_address_that_bounced_and_turns_out_to_be_in_use_is_open_again(
    phones: Bench, closed: str, event: str, source: str, is_open: bool
) -> None:
    number = "+8613800138000"
    with phones.store.begin() as session:
        assert suppress_address(session, "phone", number, closed)
        assert suppress_address(session, "user", "u1", "hard_bounce")
    said = {"channel": "sms"} if event == "message_received" else {"purpose": "marketing"}
    told = IncomingEvent("again", event, (("phone", "13800138000"), ("user", "u1")), said)
    receipt = phones.intake.accept([told], source=source)
    assert (receipt.accepted, receipt.dead) == (1, 0)
    found = {row.platform: row.suppressed for row in phones.all(IdentityRow)}
    assert found["phone"] == (None if is_open else closed)
    assert found["user"] == "hard_bounce", "it is another platform's"
