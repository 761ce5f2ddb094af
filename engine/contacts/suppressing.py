"""Addresses and contacts that must not be written to, whatever any consent says."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.errors import NotFound
from engine.store.bulk import insert_new, is_one_of
from engine.store.database import lock_contacts
from engine.store.tables import ContactRow, IdentityRow, SuppressionRow

HARD_BOUNCE = "hard_bounce"
CAME_BACK = (HARD_BOUNCE, "complaint")
"""Reasons that are something new about the contact, and not an operator's word."""
_SAID = {HARD_BOUNCE: "bounced", "complaint": "complained"}
Address = tuple[str, str]
"""A platform and an address on it, as it is stored."""


@dataclass(frozen=True)
class Blocked:
    """One address to be suppressed, known or not."""

    platform: str
    address: str
    reason: str
    """`hard_bounce`, `complaint`, `block_list`, …"""


@dataclass(frozen=True)
class Suppression:
    """One thing that is suppressed; `address` is None for the contact as a whole."""

    contact_id: str
    platform: str | None
    address: str | None
    reason: str


def suppress_address(
    session: Session, platform: str, address: str, reason: str, *, tell: bool = True
) -> bool:
    """Whether the address is known; it is suppressed then (`hard_bounce`, `complaint`, …).

    The first reason stays: a complaint is not turned into a bounce by what comes after it. What came back is
    told to the journeys once, soon afterwards, unless `tell` is False: it is nothing new then.
    """
    where = (col(IdentityRow.platform) == platform, col(IdentityRow.address) == address)
    if session.scalar(select(col(IdentityRow.contact_id)).where(*where)) is None:
        return False
    session.execute(
        update(IdentityRow)
        .where(*where, col(IdentityRow.suppressed).is_(None))
        .values(suppressed=reason, is_told=not (tell and reason in CAME_BACK))
    )
    return True


def block(session: Session, secret: str, found: Sequence[Blocked], *, source: str, now: datetime) -> int:
    """Suppress addresses for good, those too that nobody has yet; how many were not on the list before.

    The list holds keyed hashes: whoever reads it learns no address, and it outlives the contact.
    """
    rows = [
        {
            "platform": each.platform,
            "digest": digest_of(secret, each.platform, each.address),
            "reason": each.reason,
            "source": source,
            "added_at": now,
        }
        for each in dict.fromkeys(found)
    ]
    new = insert_new(session, SuppressionRow, rows, returning=("digest",)) if rows else []
    for each in found:
        suppress_address(session, each.platform, each.address, each.reason)
    return len(new)


def newly_returned(session: Session, found: Sequence[Blocked]) -> dict[str, set[str]]:
    """Contacts whose addresses are among these and were not closed before, with what was said of them.

    As a receipt would say it: bounced | complained. An address that is closed had its message told of then.
    """
    told: dict[str, set[str]] = {}
    for each in dict.fromkeys(found):
        said = _SAID.get(each.reason)
        contact_id = session.scalar(
            select(col(IdentityRow.contact_id)).where(
                col(IdentityRow.platform) == each.platform,
                col(IdentityRow.address) == each.address,
                col(IdentityRow.suppressed).is_(None),
            )
        )
        if said is not None and contact_id is not None:
            told.setdefault(contact_id, set()).add(said)
    return told


def unblock(session: Session, secret: str, platform: str, address: str) -> bool:
    """Whether the address was suppressed; it may be written to again."""
    was = session.scalar(
        select(col(IdentityRow.suppressed)).where(
            col(IdentityRow.platform) == platform, col(IdentityRow.address) == address
        )
    )
    allow_address(session, platform, address)
    gone = session.execute(
        delete(SuppressionRow).where(
            col(SuppressionRow.platform) == platform,
            col(SuppressionRow.digest) == digest_of(secret, platform, address),
        )
    )
    return was is not None or bool(getattr(gone, "rowcount", 0))


def reopen(session: Session, secret: str | None, found: Collection[Address]) -> int:
    """Let addresses be written to again that bounced for good, for they have turned out to be in use; how
    many. What was closed for another reason stays so."""
    reopened = 0
    for platform in sorted({platform for platform, _ in found}):
        named = sorted({address for where, address in found if where == platform})
        bounced = session.scalars(
            select(col(IdentityRow.address)).where(
                col(IdentityRow.platform) == platform,
                is_one_of(session, IdentityRow.address, named),
                col(IdentityRow.suppressed) == HARD_BOUNCE,
            )
        ).all()
        for address in sorted(bounced):
            if secret is None:
                allow_address(session, platform, address)
            else:
                unblock(session, secret, platform, address)
        reopened += len(bounced)
    return reopened


def suppress_returning(session: Session, secret: str, new: Collection[Address]) -> int:
    """Suppress those of the new addresses that are on the list, however they came back; how many.

    Call it in the transaction that makes them: nothing can be sent to them before.
    """
    if not new:
        return 0
    digests = {digest_of(secret, *address): address for address in new}
    query = select(col(SuppressionRow.digest), col(SuppressionRow.reason)).where(
        is_one_of(session, SuppressionRow.digest, sorted(digests))
    )
    listed = session.execute(query).all()
    for digest, reason in listed:
        suppress_address(session, *digests[digest], reason, tell=False)
    return len(listed)


def listed_hashes(session: Session, *, limit: int = 100) -> Iterable[SuppressionRow]:
    """Entries of the hashed list, the latest first."""
    query = select(SuppressionRow).order_by(
        col(SuppressionRow.added_at).desc(), col(SuppressionRow.platform), col(SuppressionRow.digest)
    )
    return session.scalars(query.limit(limit)).all()


def digest_of(secret: str, platform: str, address: str) -> str:
    """The keyed hash that stands for an address on the list; another secret gives another one."""
    text = f"{platform}\x00{address}".encode()
    return hmac.new(secret.encode(), b"wayline suppression\x00" + text, hashlib.sha256).hexdigest()


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
