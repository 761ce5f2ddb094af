"""Who an event is about: from addresses to contacts, in bulk, safely beside others who do the same."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.contacts.profile import Profile
from engine.contacts.rows import lock_profiles
from engine.errors import NotFound, WaylineError
from engine.store.bulk import insert_new, insert_rows, is_one_of
from engine.store.tables import ContactRow, IdentityRow

USER = "user"
"""The platform of Segment's userId: who somebody is to the sender."""
ANONYMOUS = "anonymous"
"""The platform of Segment's anonymousId: which device or browser was used."""

Address = tuple[str, str]
"""A platform and an address on it."""


class RacedError(WaylineError):
    """Another transaction has just given an address to a contact; do this one again, from its start."""


@dataclass(frozen=True)
class Wanted:
    """The identities that one event names, the most trustworthy first; never empty."""

    identities: tuple[Address, ...]

    @property
    def names_user(self) -> bool:
        return any(platform == USER for platform, _ in self.identities)


@dataclass(frozen=True)
class Resolved:
    """Who a batch is about."""

    contact_ids: tuple[str, ...]
    """Of each entry, in order."""
    profiles: dict[str, Profile]
    """Of every contact that was asked for and exists; their rows are held until the transaction ends."""
    owners: Mapping[Address, str]
    """Every address that was named -> whose it is."""
    new: frozenset[Address]
    """Those of them that nobody knew before."""


def resolve_batch(
    session: Session, wanted: Sequence[Wanted], now: datetime, *, also: Collection[str] = ()
) -> Resolved:
    """The contact of each entry; contacts and identities not seen before are made, dated `now`.

    The first identity that is already known says who it is; the unknown ones become that contact's too. Where
    an entry's identities belong to different contacts, the first one wins and the others stay where they are:
    to merge people is a decision, not a side effect. A device is no person: a new user id beside the
    anonymous id of somebody who has another user id is a new contact, and the anonymous id stays where it is.
    Entries of one batch see each other in order.

    Contacts are locked before anything is made, those named in `also` among them: resolve everything that a
    transaction needs in one call, before it locks anything else. Of two transactions that meet the same new
    address at once, one waits and gets RacedError: what the other made is there when it begins anew. So does
    one that meets a contact who has just become part of another. Raises ValueError for an entry without
    identities.
    """
    if any(not entry.identities for entry in wanted):
        raise ValueError("an entry without identities cannot be resolved")
    known = _look_up(session, {address for entry in wanted for address in entry.identities})
    profiles = lock_profiles(session, {*known.values(), *also})
    if any(profile.merged_into is not None for profile in profiles.values()):
        raise RacedError("a contact has become part of another one meanwhile")
    found, new = _assign(wanted, known, _with_user(session, wanted, known))
    made = sorted(set(new.values()) - set(known.values()))
    _make_contacts(session, made, now)
    _make_identities(session, new, now)
    profiles |= {contact_id: Profile(contact_id, created_at=now) for contact_id in made}
    return Resolved(tuple(found), profiles, {**known, **new}, frozenset(new))


def survivors_of(session: Session, ids: Collection[str]) -> dict[str, str]:
    """Those of these contacts that are part of another one -> that one; nothing is locked."""
    if not ids:
        return {}
    query = select(col(ContactRow.id), col(ContactRow.merged_into)).where(
        is_one_of(session, ContactRow.id, sorted(set(ids))), col(ContactRow.merged_into).is_not(None)
    )
    return {gone: survivor for gone, survivor in session.execute(query).all() if survivor is not None}


def mark_shared(session: Session, address: Address, *, is_shared: bool) -> bool:
    """Say whether several people use an address; False when nobody has it."""
    row = session.get(IdentityRow, address)
    if row is None:
        return False
    row.is_shared = is_shared
    return True


def living(session: Session, contact_id: str) -> str:
    """The contact, or the one that it is part of by now; nothing is locked.

    NotFound for an id that nobody has, and for somebody who was erased.
    """
    named = survivors_of(session, [contact_id]).get(contact_id, contact_id)
    row = session.get(ContactRow, named)
    if row is None or row.erased_at is not None:
        raise NotFound("there is no such contact")
    return named


def owners_of(session: Session, addresses: Iterable[Address]) -> dict[Address, str]:
    """Whose these addresses are, as far as they are known; nothing is locked."""
    return _look_up(session, addresses)


def _assign(
    wanted: Sequence[Wanted], known: Mapping[Address, str], with_user: Collection[str]
) -> tuple[list[str], dict[Address, str]]:
    """The contact of each entry, and the contacts of the addresses that are not `known`."""
    owners, users = dict(known), set(with_user)
    new: dict[Address, str] = {}
    found: list[str] = []
    for entry in wanted:
        # Random: an id made from an address could be turned back into it by trying addresses.
        contact_id = _whose(entry, owners, users) or uuid.uuid4().hex
        for address in entry.identities:
            if address not in owners:
                owners[address] = new[address] = contact_id
        if entry.names_user:
            users.add(contact_id)
        found.append(contact_id)
    return found, new


def _whose(entry: Wanted, owners: Mapping[Address, str], with_user: Collection[str]) -> str | None:
    """The contact that the first known identity of the entry points to; None for somebody new."""
    for address in entry.identities:
        owner = owners.get(address)
        is_shared_device = address[0] == ANONYMOUS and entry.names_user and owner in with_user
        if owner is not None and not is_shared_device:
            return owner
    return None


def _with_user(session: Session, wanted: Sequence[Wanted], known: Mapping[Address, str]) -> set[str]:
    """Which of the contacts behind anonymous ids, beside a user id not seen before, have a user id already.

    These contacts are locked, so nobody else gives them one before this transaction ends.
    """
    asked = {
        known[address]
        for entry in wanted
        if any(address[0] == USER and address not in known for address in entry.identities)
        for address in entry.identities
        if address[0] == ANONYMOUS and address in known
    }
    if not asked:
        return set()
    query = select(col(IdentityRow.contact_id)).where(
        is_one_of(session, IdentityRow.contact_id, sorted(asked)), col(IdentityRow.platform) == USER
    )
    return set(session.scalars(query))


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
    insert_rows(session, ContactRow, [blank | {"id": contact_id} for contact_id in ids])


def _make_identities(session: Session, new: Mapping[Address, str], now: datetime) -> None:
    rows = [
        {"platform": platform, "address": address, "contact_id": contact_id, "added_at": now}
        for (platform, address), contact_id in sorted(new.items())
    ]
    if len(insert_new(session, IdentityRow, rows, returning=("address",))) < len(rows):
        raise RacedError("an address was given to a contact meanwhile")


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
