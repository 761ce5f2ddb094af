"""The consent ledger keeps what was said, in order, and shows whatever was done to it afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.contacts.consent import (
    ConsentEntry,
    consent_records,
    forget_proofs,
    record_consent,
    record_consents,
    seal,
    verify_chain,
)
from engine.gate.consent import ConsentState, settle_consent
from engine.store.database import Store
from engine.store.tables import ChainRow, ConsentRow

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

FULL = ConsentEntry(
    contact_id="c1",
    purpose="marketing",
    decision="granted",
    recorded_at=NOW,
    channel="email",
    purpose_version="2",
    legal_basis="consent",
    notice_hash="ab" * 32,
    notice_language="zh",
    mechanism="checkbox",
    source="web",
    actor="self",
    jurisdiction="CN",
    valid_until=NOW + timedelta(days=365),
    received_at=NOW + timedelta(minutes=1),
    proof="scan 17 of Wang Fang's form",
)


def entry(number: int) -> ConsentEntry:
    decision = ("granted", "withdrawn", "denied")[number % 3]
    return replace(FULL, contact_id=f"c{number % 2}", decision=decision, valid_until=None)


def test_what_was_recorded_is_what_decisions_read(store: Store) -> None:
    with store.begin() as session:
        record_consent(session, FULL)
        record_consent(session, replace(FULL, decision="withdrawn", recorded_at=NOW + timedelta(hours=1)))
        record_consent(session, replace(FULL, contact_id="someone else"))
    with store.read() as session:
        granted, withdrawn = consent_records(session, "c1")
        assert verify_chain(session) == []
    assert (granted.decision, granted.purpose, granted.channel) == ("granted", "marketing", "email")
    assert (granted.recorded_at, granted.valid_until) == (NOW, FULL.valid_until)
    assert (granted.source, granted.purpose_version, granted.legal_basis) == ("web", "2", "consent")
    answer = settle_consent([granted, withdrawn], "marketing", "email", NOW + timedelta(hours=2))
    assert answer.state is ConsentState.WITHDRAWN


def test_an_import_after_a_withdrawal_is_kept_and_gives_no_permission(store: Store) -> None:
    with store.begin() as session:
        record_consents(
            session,
            [
                replace(FULL, decision="withdrawn"),
                replace(FULL, source="import:crm", recorded_at=NOW + timedelta(days=1)),
            ],
        )
    with store.read() as session:
        records = consent_records(session, "c1")
    assert len(records) == 2
    at = NOW + timedelta(days=2)
    assert settle_consent(records, "marketing", "email", at).state is ConsentState.WITHDRAWN


def test_an_empty_ledger_is_whole(store: Store) -> None:
    with store.begin() as session:
        record_consents(session, [])
        assert verify_chain(session) == []
        assert consent_records(session, "c1") == []


def test_an_unknown_decision_is_refused(sqlite_store: Store) -> None:
    with sqlite_store.begin() as session, pytest.raises(ValueError, match="'maybe'"):
        record_consent(session, replace(FULL, decision="maybe"))


def test_many_writers_make_one_chain(store: Store) -> None:
    def write(name: int) -> None:
        for number in range(5):
            with store.begin() as session:
                record_consents(session, [replace(FULL, contact_id=f"{name}"), entry(number)])

    threads = [threading.Thread(target=write, args=[name]) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as session:
        assert verify_chain(session) == []
        assert session.get_one(ChainRow, "consent").length == 60


def test_a_transaction_that_fails_leaves_the_chain_whole(store: Store) -> None:
    with store.begin() as session:
        record_consent(session, FULL)
    with pytest.raises(LookupError), store.begin() as session:
        record_consent(session, FULL)
        raise LookupError
    with store.begin() as session:
        record_consent(session, FULL)
    with store.read() as session:
        assert verify_chain(session) == []
        assert len(consent_records(session, "c1")) == 2


_OTHER: dict[str, st.SearchStrategy[Any]] = {
    "recorded_at": st.integers(1, 10**12).map(lambda micros: NOW + timedelta(microseconds=micros)),
    "valid_until": st.none() | st.just(NOW),
    "received_at": st.none() | st.just(NOW - timedelta(days=1)),
    "form": st.sampled_from([1, 2, 3]),
    "proof_hash": st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    "decision": st.sampled_from(["granted", "denied", "withdrawn", ""]),
    "prev_hash": st.text("0123456789abcdef", min_size=64, max_size=64) | st.just(""),
    "hash": st.text("0123456789abcdef", min_size=64, max_size=64) | st.just(""),
}
_FIELDS = [field.name for field in fields(ConsentEntry)] + ["proof_hash", "form", "prev_hash", "hash"]
_text = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=10)


@contextmanager
def tampering(store: Store) -> Iterator[Session]:
    """A session on a ledger of six entries in which everything done is undone at the end."""
    session = Session(store.engine, expire_on_commit=False)
    record_consents(session, [entry(number) for number in range(6)])
    yield session
    session.rollback()
    session.close()


@given(st.data())
@settings(max_examples=60)
def test_any_change_of_any_field_of_any_entry_shows(sqlite_store_kept: Store, data: st.DataObject) -> None:
    with tampering(sqlite_store_kept) as session:
        rows = consent_rows(session)
        row = data.draw(st.sampled_from(rows), "entry")
        field = data.draw(st.sampled_from(_FIELDS), "field")
        value = data.draw(_OTHER.get(field, _text), "value")
        before = getattr(row, field)
        session.execute(update(ConsentRow).where(col(ConsentRow.id) == row.id).values({field: value}))
        if value == before:
            assert verify_chain(session) == []
        else:
            assert verify_chain(session) != []


@given(st.sets(st.integers(0, 5), min_size=1))
@settings(max_examples=30)
def test_any_missing_entries_show_also_the_last_ones(sqlite_store_kept: Store, gone: set[int]) -> None:
    with tampering(sqlite_store_kept) as session:
        rows = consent_rows(session)
        ids = [rows[place].id for place in gone]
        session.execute(delete(ConsentRow).where(col(ConsentRow.id).in_(ids)))
        assert verify_chain(session) != []


def test_forgetting_where_a_proof_is_kept_breaks_no_seal(store: Store) -> None:
    with store.begin() as session:
        record_consents(session, [FULL, replace(FULL, contact_id="c2"), replace(FULL, proof=None)])
        assert forget_proofs(session, "c1") == 1
    with store.read() as session:
        assert verify_chain(session) == []
        mine, others, without = consent_rows(session)
    assert (mine.proof, mine.proof_salt) == (None, None)
    assert mine.proof_hash is not None
    assert others.proof == FULL.proof
    assert without.proof_hash is None


def test_equal_proofs_cannot_be_told_from_their_commitments(store: Store) -> None:
    with store.begin() as session:
        record_consents(session, [FULL, FULL])
        one, other = consent_rows(session)
    assert one.proof_hash != other.proof_hash


def test_entries_of_the_first_form_keep_their_seals(store: Store) -> None:
    """As versions before the proofs wrote them: their seals say nothing of what came later."""
    plain = {"contact_id": "c1", "purpose": "marketing", "decision": "granted", "recorded_at": NOW}
    plain |= {"channel": "*", "purpose_version": "1", "legal_basis": "consent", "source": "web"}
    plain |= dict.fromkeys(["notice_hash", "notice_language", "mechanism", "jurisdiction", "valid_until"])
    plain |= {"actor": "self"}
    hash_ = seal("", plain | {"form": 1})
    # What version 0.1 wrote for exactly this entry.
    assert hash_ == "6a672662889aba93a387117c5a8ddd99e5728bd1dc479203c0abb9212b35735d"
    with store.begin() as session:
        session.execute(insert(ConsentRow).values(plain | {"prev_hash": "", "hash": hash_, "form": 1}))
        session.add(ChainRow(name="consent", length=1, hash=hash_))
    with store.begin() as session:
        record_consent(session, FULL)
        assert verify_chain(session) == []


def test_an_entry_slipped_in_by_another_hand_shows(store: Store) -> None:
    with store.begin() as session:
        record_consents(session, [entry(0), entry(1)])
        last = consent_rows(session)[-1]
        values = {name: getattr(last, name) for name in _FIELDS} | {"prev_hash": last.hash}
        session.execute(insert(ConsentRow).values(values))
        assert verify_chain(session) != []


def test_entries_that_changed_places_show(store: Store) -> None:
    with store.begin() as session:
        record_consents(session, [entry(0), entry(1), entry(2)])
        first, second, _ = consent_rows(session)
        for id_, other in ((first.id, second), (second.id, first)):
            values = {name: getattr(other, name) for name in _FIELDS}
            session.execute(update(ConsentRow).where(col(ConsentRow.id) == id_).values(values))
        assert verify_chain(session) != []


def consent_rows(session: Session) -> list[ConsentRow]:
    rows = list(session.scalars(select(ConsentRow).order_by(col(ConsentRow.id))))
    session.expunge_all()
    return rows
