"""Addresses and contacts that must not be written to, whatever any consent says."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.errors import NotFound
from engine.store.database import lock_contacts
from engine.store.tables import ContactRow, IdentityRow


@dataclass(frozen=True)
class Suppression:
    """One thing that is suppressed; `address` is None for the contact as a whole."""

    contact_id: str
    platform: str | None
    address: str | None
    reason: str


def suppress_address(session: Session, platform: str, address: str, reason: str) -> bool:
    """Whether the address is known; it is suppressed then (`hard_bounce`, `complaint`, …).

    The first reason stays: a complaint is not turned into a bounce by what comes after it.
    """
    where = (col(IdentityRow.platform) == platform, col(IdentityRow.address) == address)
    if session.scalar(select(col(IdentityRow.contact_id)).where(*where)) is None:
        return False
    session.execute(
        update(IdentityRow).where(*where, col(IdentityRow.suppressed).is_(None)).values(suppressed=reason)
    )
    return True


def allow_address(session: Session, platform: str, address: str) -> None:
    """Lift the suppression of an address; nothing happens when there is none."""
    session.execute(
        update(IdentityRow)
        .where(col(IdentityRow.platform) == platform, col(IdentityRow.address) == address)
        .values(suppressed=None)
    )


def suppress_contact(session: Session, contact_id: str, reason: str) -> None:
    """Suppress a contact on every channel; the first reason stays. NotFound for an unknown contact."""
    row = _locked(session, contact_id)
    row.suppressed = row.suppressed or reason


def allow_contact(session: Session, contact_id: str) -> None:
    """Lift the suppression of a contact; its addresses keep theirs. NotFound for an unknown contact."""
    _locked(session, contact_id).suppressed = None


def list_suppressions(session: Session, *, limit: int = 100) -> list[Suppression]:
    """What is suppressed: contacts first, then addresses, at most `limit` of them."""
    contacts = session.execute(
        select(col(ContactRow.id), col(ContactRow.suppressed))
        .where(col(ContactRow.suppressed).is_not(None))
        .order_by(col(ContactRow.id))
        .limit(limit)
    )
    found = [Suppression(contact_id, None, None, reason) for contact_id, reason in contacts if reason]
    addresses = session.scalars(
        select(IdentityRow)
        .where(col(IdentityRow.suppressed).is_not(None))
        .order_by(col(IdentityRow.platform), col(IdentityRow.address))
        .limit(limit - len(found))
    )
    found += (
        Suppression(row.contact_id, row.platform, row.address, row.suppressed)
        for row in addresses
        if row.suppressed
    )
    return found


def _locked(session: Session, contact_id: str) -> ContactRow:
    row = lock_contacts(session, [contact_id]).get(contact_id)
    if row is None:
        raise NotFound(f"no contact {contact_id}")
    return row
