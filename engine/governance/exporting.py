"""All that is held of one contact, as one JSON document: what people may ask for under the law."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import SQLModel

from engine.contacts.merging import members_of
from engine.errors import NotFound
from engine.governance.records import Record, plain
from engine.store.tables import (
    CallRow,
    CapPlaceRow,
    ConsentRow,
    ContactRow,
    DecisionRow,
    ErasureRow,
    EventRow,
    ExposureRow,
    IdentityRow,
    IntentRow,
    MergeRow,
    PatternRow,
    ReceiptRow,
    RunRow,
    TaskRow,
    WaitRow,
)

EXPORTED: Mapping[str, tuple[type[SQLModel], str]] = {
    "contacts": (ContactRow, "id"),
    "identities": (IdentityRow, "contact_id"),
    "consents": (ConsentRow, "contact_id"),
    "events": (EventRow, "contact_id"),
    "runs": (RunRow, "contact_id"),
    "waits": (WaitRow, "contact_id"),
    "messages": (IntentRow, "contact_id"),
    "places": (CapPlaceRow, "contact_id"),
    "receipts": (ReceiptRow, "contact_id"),
    "decisions": (DecisionRow, "contact_id"),
    "tasks": (TaskRow, "contact_id"),
    "calls": (CallRow, "contact_id"),
    "arms": (ExposureRow, "contact_id"),
    "patterns": (PatternRow, "id"),
    "merges": (MergeRow, "survivor"),
    "erasures": (ErasureRow, "contact_id"),
}
"""Part of the document -> the table, and which of its columns names the contact."""
_NOBODYS = frozenset({"lease_owner", "lease_until", "lease", "proof_salt"})
"""Columns that say nothing about a person."""


def export_contact(session: Session, contact_id: str) -> Record:
    """Everything held of a contact and of those merged into them; addresses are not masked.

    NotFound when there is none. Times are ISO 8601 in UTC.
    """
    if session.get(ContactRow, contact_id) is None:
        raise NotFound("there is no such contact")
    made_of = [contact_id, *members_of(session, contact_id)]
    document: Record = {"contact_id": contact_id, "format": "wayline.contact.v1"}
    for name, (row, column) in EXPORTED.items():
        keys = [getattr(row, key.name) for key in row.__table__.primary_key.columns]  # type: ignore[attr-defined]
        query = select(row).where(getattr(row, column).in_(made_of)).order_by(*keys)
        document[name] = [plain(each, without=_NOBODYS) for each in session.scalars(query)]
    return document
