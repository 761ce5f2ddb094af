"""Who an event is about: from addresses to contacts, in bulk, safely beside others who do the same."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.store.bulk import insert_new, is_one_of
from engine.store.tables import ContactRow, IdentityRow

Address = tuple[str, str]
"""A platform and an address on it; `user` is Segment's userId, `anonymous` its anonymousId."""


@dataclass(frozen=True)
class Wanted:
    """The identities that one event names, the most trustworthy first; never empty."""

    identities: tuple[Address, ...]


def resolve_batch(session: Session, wanted: Sequence[Wanted], now: datetime) -> list[str]:
    """The contact of each entry, in order; contacts and identities not seen before are made, dated `now`.

    The first identity that is already known says who it is; the unknown ones become that contact's too. Where
    an entry's identities belong to different contacts, the first one wins and the others stay where they are:
    to merge people is a decision, not a side effect. Entries of one batch see each other in order.

    Two processes that meet the same new address at once agree on one contact. Resolve all identities of a
    transaction in one call and before locking contacts: every caller takes identities first, in one order.
    Raises ValueError for an entry without identities.
    """
    if any(not entry.identities for entry in wanted):
        raise ValueError("an entry without identities cannot be resolved")
    known = _look_up(session, {address for entry in wanted for address in entry.identities})
    found, new = _assign(wanted, known, {})
    if not new:
        return found
    insert_new(
        session,
        IdentityRow,
        [
            {"platform": platform, "address": address, "contact_id": contact_id, "added_at": now}
            for (platform, address), contact_id in sorted(new.items())
        ],
    )
    # What another transaction inserted meanwhile counts, and with it the contact it chose.
    settled = _look_up(session, new)
    lost = {address: owner for address, owner in settled.items() if owner != new[address]}
    if lost:
        found, again = _assign(wanted, known | lost, new)
        for (platform, address), contact_id in sorted(again.items()):
            if new[platform, address] != contact_id:
                session.execute(
                    update(IdentityRow)
                    .where(col(IdentityRow.platform) == platform, col(IdentityRow.address) == address)
                    .values(contact_id=contact_id)
                )
        new = again
    _make_contacts(session, set(new.values()) - set(known.values()) - set(lost.values()), now)
    return found


def _assign(
    wanted: Sequence[Wanted], known: Mapping[Address, str], planned: Mapping[Address, str]
) -> tuple[list[str], dict[Address, str]]:
    """The contact of each entry, and the contacts of the addresses that are not `known`.

    A new contact takes the id that `planned` gives its first address, so that planning again changes little.
    """
    owners = dict(known)
    new: dict[Address, str] = {}
    found: list[str] = []
    for entry in wanted:
        contact_id = next((owners[address] for address in entry.identities if address in owners), None)
        if contact_id is None:
            # Random: an id made from an address could be turned back into it by trying addresses.
            contact_id = planned.get(entry.identities[0]) or uuid.uuid4().hex
        for address in entry.identities:
            if address not in owners:
                owners[address] = new[address] = contact_id
        found.append(contact_id)
    return found, new


def _look_up(session: Session, addresses: Iterable[Address]) -> dict[Address, str]:
    """The owners of those addresses that are known."""
    owners: dict[Address, str] = {}
    # One statement for each platform: an index range per address, where pairs would make the planner think.
    for platform, group in groupby(sorted(set(addresses)), key=lambda pair: pair[0]):
        query = select(col(IdentityRow.address), col(IdentityRow.contact_id)).where(
            col(IdentityRow.platform) == platform,
            is_one_of(session, IdentityRow.address, [address for _, address in group]),
        )
        owners |= {(platform, address): owner for address, owner in session.execute(query).all()}
    return owners


def _make_contacts(session: Session, ids: Iterable[str], now: datetime) -> None:
    blank = ContactRow(id="", created_at=now).model_dump()
    insert_new(session, ContactRow, [blank | {"id": contact_id} for contact_id in sorted(ids)])


def addresses_of(session: Session, contact_ids: Iterable[str]) -> dict[str, list[IdentityRow]]:
    """The identities of each contact, by platform, the oldest first; contacts without any are left out."""
    query = (
        select(IdentityRow)
        .where(col(IdentityRow.contact_id).in_(sorted(set(contact_ids))))
        .order_by(col(IdentityRow.platform), col(IdentityRow.added_at), col(IdentityRow.address))
    )
    found: dict[str, list[IdentityRow]] = {}
    for row in session.scalars(query):
        found.setdefault(row.contact_id, []).append(row)
    return found
