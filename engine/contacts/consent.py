"""The append-only consent ledger: every entry seals the one before it, so that later changes show."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import String, bindparam, insert, or_, select, union_all, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.gate.consent import ConsentRecord
from engine.store.bulk import insert_new, is_one_of, table_of
from engine.store.prepared import Prepared
from engine.store.tables import ChainRow, ConsentRow, ContactRow, MergeRow

CHAIN = "consent"
# Built once and over the table: every send asks it twice.
_CONSENT, _CONTACT = table_of(ConsentRow), table_of(ContactRow)
_OF_DECISIONS = tuple(name for name in (each.name for each in fields(ConsentRecord)) if name in _CONSENT.c)
# What is sealed keeps the id it was said under, so those who are part of a contact are asked for, too.
_THEM = union_all(
    select(bindparam("contact_id", type_=String).label("id")),
    select(_CONTACT.c.id).where(_CONTACT.c.merged_into == bindparam("contact_id")),
)
_RECORDS = Prepared(
    select(_CONSENT.c.contact_id, *(_CONSENT.c[name] for name in _OF_DECISIONS))
    .where(_CONSENT.c.contact_id.in_(_THEM))
    .order_by(_CONSENT.c.id)
)

DECISIONS = frozenset({"granted", "denied", "withdrawn", "pending"})


@dataclass(frozen=True)
class ConsentEntry:
    """One thing a contact said (or another system reports they said).

    Nothing that the chain seals names a person: the contact stands there by their random id, the notice by
    its hash, the proof by a commitment to it. So erasing a contact's addresses and proofs breaks no seal.
    """

    contact_id: str
    purpose: str
    """A purpose id, or `*` for all purposes."""
    decision: str
    """granted | denied | withdrawn | pending (asked for, and to be confirmed)"""
    recorded_at: datetime
    """Journey time from which it counts: when it was said."""
    channel: str = "*"
    """A channel id, or `*` for all channels."""
    purpose_version: str = "1"
    legal_basis: str = "consent"
    notice_hash: str | None = None
    notice_language: str | None = None
    mechanism: str | None = None
    source: str = ""
    actor: str = "self"
    jurisdiction: str | None = None
    valid_until: datetime | None = None
    received_at: datetime | None = None
    """Journey time by the server's own clock at which it came to the ledger; never the sender's word."""
    proof: str | None = None
    """Where the proof is kept, as a file's name; may name a person, and is forgotten with them."""

    @property
    def record(self) -> ConsentRecord:
        """As decisions see it."""
        return ConsentRecord(**{name: getattr(self, name) for name in _OF_DECISIONS})


@dataclass(frozen=True)
class ChainFault:
    """Where the ledger is not what was written; `entry_id` is None when entries at the end are missing."""

    entry_id: int | None
    message: str


def record_consent(session: Session, entry: ConsentEntry) -> None:
    """Append one entry to the ledger."""
    record_consents(session, [entry])


def record_consents(session: Session, entries: Sequence[ConsentEntry]) -> None:
    """Append entries in the order given. ValueError for a decision the ledger does not know.

    The chain's end is locked until the transaction ends: lock contacts before, and write the ledger late.
    An import is appended like anything else; that it never overrides a withdrawal is how the ledger is read.
    """
    if not entries:
        return
    for entry in entries:
        if entry.decision not in DECISIONS:
            raise ValueError(f"{entry.decision!r} is not a consent decision")
    end = _lock_end(session)
    rows = []
    for entry in entries:
        row = asdict(entry) | {"form": FORM, "proof_salt": None, "proof_hash": None}
        if entry.proof is not None:
            # Salted: a short reference could else be guessed from its hash after it was forgotten.
            row["proof_salt"] = secrets.token_hex(16)
            row["proof_hash"] = commitment(row["proof_salt"], entry.proof)
        row["prev_hash"] = end.hash
        end.hash = row["hash"] = seal(end.hash, row)
        rows.append(row)
    end.length += len(rows)
    session.execute(insert(ConsentRow), rows)
    session.flush()


def consent_records(session: Session, contact_id: str) -> list[ConsentRecord]:
    """Everything the ledger holds of one contact, in the order written, as decisions need it.

    What those said who were joined with this contact is there under their names: see `ConsentRecord.joined`.
    """
    return consent_records_of(session, [contact_id])[0]


def consent_records_of(session: Session, contact_ids: Sequence[str]) -> list[list[ConsentRecord]]:
    """`consent_records` of each of these contacts."""
    asked = [{"contact_id": contact_id} for contact_id in contact_ids]
    return [
        _told(session, contact_id, rows)
        for contact_id, rows in zip(contact_ids, _RECORDS.rows_for(session, asked), strict=True)
    ]


def _told(session: Session, contact_id: str, rows: Sequence[Any]) -> list[ConsentRecord]:
    if all(row[0] == contact_id for row in rows):
        return [ConsentRecord(*row[1:]) for row in rows]
    ways = joined_ways(session, contact_id, {row[0] for row in rows})
    return [replace(ConsentRecord(*row[1:]), **said_under(row[0], contact_id, ways)) for row in rows]


Ways = Mapping[str, tuple[tuple[str, datetime], ...]]
"""Contact -> with whom it was joined, and when, step by step up to the one that is asked for."""


def joined_ways(session: Session, contact_id: str, others: Collection[str]) -> Ways:
    """How `others` came to be part of the contact."""
    steps = {
        row.gone: (row.joined_to, row.at)
        for row in session.scalars(
            select(MergeRow).where(
                col(MergeRow.undone_at).is_(None), is_one_of(session, MergeRow.survivor, [contact_id])
            )
        )
    }
    ways: dict[str, tuple[tuple[str, datetime], ...]] = {}
    for other in others:
        here = other
        way: list[tuple[str, datetime]] = []
        while here in steps and here != contact_id and len(way) <= len(steps):
            here, at = steps[here]
            way.append((here, at))
        ways[other] = tuple(way)
    return ways


def ways_at(session: Session, contact_id: str, at: datetime) -> Ways:
    """Whom the contact was made of at that moment (journey time), and how; itself included."""
    ways: dict[str, tuple[tuple[str, datetime], ...]] = {contact_id: ()}
    last = [contact_id]
    while last:
        query = select(MergeRow).where(
            is_one_of(session, MergeRow.joined_to, last),
            col(MergeRow.at) <= at,
            or_(col(MergeRow.undone_at).is_(None), col(MergeRow.undone_at) > at),
        )
        found = [row for row in session.scalars(query) if row.gone not in ways]
        ways |= {row.gone: ((row.joined_to, row.at), *ways[row.joined_to]) for row in found}
        last = [row.gone for row in found]
    return ways


def said_under(named: str, contact_id: str, ways: Ways) -> dict[str, Any]:
    """`said_by` and `joined` of an entry that stands under a name."""
    if named == contact_id:
        return {}
    way = tuple(("" if into == contact_id else into, at) for into, at in ways.get(named, ()))
    return {"said_by": named, "joined": way}


def forget_proofs(session: Session, contact_id: str) -> int:
    """Forget where the proofs of a contact's consents are kept, for they may name the contact; how many.

    The chain stays whole: what it seals is the commitment to each.
    """
    found = session.execute(
        update(_CONSENT)
        .where(_CONSENT.c.contact_id == contact_id, _CONSENT.c.proof.is_not(None))
        .values(proof=None, proof_salt=None)
    )
    return int(getattr(found, "rowcount", 0))


def verify_chain(session: Session, *, kept: tuple[int, str] | None = None) -> list[ChainFault]:
    """Every place where the ledger was changed, cut or added to by another hand; empty when it is whole.

    Someone who can rewrite the whole ledger and its end can still forge it. So keep its end (`chain_end`)
    elsewhere: with `kept`, the entry at that place must still be the one that stood there.
    """
    faults = []
    held = kept is None or kept == (0, "")
    previous, length = "", 0
    for row in _entries(session):
        length += 1
        if row.prev_hash != previous:
            faults.append(ChainFault(row.id, "does not follow the entry before it"))
        fields = {name: getattr(row, name) for name in _SEALED[FORM]}
        if row.form not in _SEALED or row.hash != seal(row.prev_hash, fields | {"form": row.form}):
            faults.append(ChainFault(row.id, "was changed after it was written"))
        elif row.proof is not None and row.proof_hash != commitment(row.proof_salt or "", row.proof):
            faults.append(ChainFault(row.id, "has another proof than was written"))
        previous = row.hash
        held = held or kept == (length, previous)
    if not held:
        faults.append(ChainFault(None, "does not hold the end that was noted: it was written anew"))
    end = session.get(ChainRow, CHAIN, populate_existing=True) or ChainRow(name=CHAIN)
    if (end.length, end.hash) != (length, previous):
        faults.append(ChainFault(None, f"{end.length} entries were written, {length} are there"))
    return faults


def chain_end(session: Session) -> tuple[int, str]:
    """How many entries the ledger has and the hash of its last one: what to keep elsewhere."""
    end = session.get(ChainRow, CHAIN)
    return (0, "") if end is None else (end.length, end.hash)


def seal(previous: str, fields: Mapping[str, Any]) -> str:
    """The hash of an entry: SHA-256 over the previous entry's hash and the fields as canonical JSON.

    Which fields these are depends on the entry's `form`.
    """
    plain = {name: _plain(fields[name]) for name in _SEALED[fields["form"]]}
    return hashlib.sha256(previous.encode() + orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()


def commitment(salt: str, proof: str) -> str:
    """What the chain seals of a proof: it shows whether one is the same, and nothing when it is gone."""
    return hashlib.sha256(f"{salt}\x00{proof}".encode()).hexdigest()


FORM = 2
"""Of the entries that are written now."""
_FIRST = (
    *("contact_id", "purpose", "decision", "recorded_at", "channel", "purpose_version", "legal_basis"),
    *("notice_hash", "notice_language", "mechanism", "source", "actor", "jurisdiction", "valid_until"),
)
_SEALED = {1: _FIRST, 2: (*_FIRST, "received_at", "proof_hash", "form")}
"""Form -> the fields that its seal covers. An old entry keeps the seal it was given."""


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def _lock_end(session: Session) -> ChainRow:
    query = (
        select(ChainRow)
        .where(col(ChainRow.name) == CHAIN)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    end = session.scalars(query).one_or_none()
    if end is None:
        insert_new(session, ChainRow, [ChainRow(name=CHAIN).model_dump()])
        end = session.scalars(query).one()
    return end


def _entries(session: Session) -> Iterator[ConsentRow]:
    query = (
        select(ConsentRow)
        .order_by(col(ConsentRow.id))
        .execution_options(yield_per=1000, populate_existing=True)
    )
    yield from session.scalars(query)
