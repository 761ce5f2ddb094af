"""Which contacts a batch says are one person, and who is who while they are joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.contacts.identity import ANONYMOUS, USER, Address, owners_of
from engine.contacts.merging import BY_ALIAS, BY_IDENTITY
from engine.contacts.profile import Profile
from engine.contacts.rows import lock_profiles
from engine.intake.checking import Usable
from engine.intake.merging import Merged
from engine.intake.segment import ALIAS, IDENTIFY
from engine.store.bulk import is_one_of
from engine.store.tables import IdentityRow


@dataclass(frozen=True)
class Join:
    """That two contacts are one."""

    one: str
    other: str
    because: str
    """alias | identity"""
    by: str
    """The platform of the identity that shows it."""
    address: str
    """On that platform."""


@dataclass
class People:
    """Who the events of a batch are about; kept true while contacts are joined."""

    contact_ids: dict[int, str]
    """By position in the batch."""
    profiles: dict[str, Profile]
    owners: dict[Address, str]
    new: frozenset[Address]
    unread: set[Address]
    """Numbers that nobody has looked at yet."""

    def __post_init__(self) -> None:
        self._gone: dict[str, str] = {}

    def now(self, contact_id: str) -> str:
        """The contact, or the one that it has become part of since."""
        while contact_id in self._gone:
            contact_id = self._gone[contact_id]
        return contact_id

    def join(self, session: Session, merged: Merged) -> None:
        """Two of them have become one."""
        if merged.gone is None:
            return
        self._gone[merged.gone] = merged.survivor
        self.contact_ids = {place: self.now(each) for place, each in self.contact_ids.items()}
        self.owners = {address: self.now(each) for address, each in self.owners.items()}
        del self.profiles[merged.gone]
        self.profiles |= lock_profiles(session, [merged.survivor])


def previous_addresses(session: Session, items: Mapping[int, Usable]) -> dict[int, tuple[Address, ...]]:
    """Under which address each alias of the batch means whom it names: a user's, else a device's."""
    named = {place: item.event.previous_id for place, item in items.items() if item.event.previous_id}
    known = owners_of(session, [(USER, previous) for previous in named.values()])
    return {
        place: ((USER if (USER, previous) in known else ANONYMOUS, previous),)
        for place, previous in named.items()
    }


def joins_of(
    session: Session,
    usable: Mapping[int, Usable],
    contact_ids: Mapping[int, str],
    owners: Mapping[Address, str],
    bundle: Bundle,
) -> dict[int, list[Join]]:
    """Position -> the contacts that the event says are one, as they stood before the batch."""
    found: dict[int, list[Join]] = {}
    for position, item in usable.items():
        joins = list(_joins(item, contact_ids[position], owners, bundle.workspace.merging.by))
        if joins:
            found[position] = joins
    return _without_shared(session, found) if found else found


def _joins(item: Usable, contact_id: str, owners: Mapping[Address, str], by: Sequence[str]) -> Iterator[Join]:
    if item.event.contact_id is not None:
        return
    if item.event.type == ALIAS and item.event.previous_id is not None:
        for platform in (USER, ANONYMOUS):
            other = owners.get((platform, item.event.previous_id))
            if other is not None and other != contact_id:
                yield Join(contact_id, other, BY_ALIAS, platform, item.event.previous_id)
                return
    elif item.event.type == IDENTIFY:
        for platform, address in item.identities:
            other = owners.get((platform, address))
            if platform in by and other is not None and other != contact_id:
                yield Join(contact_id, other, BY_IDENTITY, platform, address)


def _without_shared(session: Session, found: Mapping[int, list[Join]]) -> dict[int, list[Join]]:
    """The joins without those by identities that several people use, and by devices of somebody else."""
    joins = [join for each in found.values() for join in each]
    shared = select(col(IdentityRow.platform), col(IdentityRow.address)).where(
        is_one_of(session, IdentityRow.address, sorted({join.address for join in joins})),
        col(IdentityRow.is_shared).is_(True),
    )
    excluded = {(platform, address) for platform, address in session.execute(shared).all()}
    devices = {join.other for join in joins if join.by == ANONYMOUS}
    named = select(col(IdentityRow.contact_id)).where(
        is_one_of(session, IdentityRow.contact_id, sorted(devices)), col(IdentityRow.platform) == USER
    )
    users = set(session.scalars(named))
    kept = {
        position: [
            join
            for join in each
            if join.because == BY_ALIAS
            or (
                (join.by, join.address) not in excluded and not (join.by == ANONYMOUS and join.other in users)
            )
        ]
        for position, each in found.items()
    }
    return {position: each for position, each in kept.items() if each}
