"""Hearings in the store: written beside the address by which somebody was heard."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.contacts.hearing import HeardOn, Hearing, as_document, of_document, with_hearing
from engine.contacts.identity import Address
from engine.store.bulk import is_one_of
from engine.store.tables import IdentityRow


@dataclass(frozen=True)
class HeardOf:
    """That a contact was heard, and the addresses that the event names."""

    contact_id: str
    hearing: Hearing
    named: Collection[Address] = ()


def write_hearings(session: Session, found: Sequence[HeardOf]) -> None:
    """Keep when contacts, whom the transaction has locked, were heard.

    That is kept with the address on the channel's platform that the event names, if it is theirs; else with
    the one that came last. Without any there is nothing that a window could be of.
    """
    if not found:
        return
    ids = sorted({each.contact_id for each in found})
    rows = session.execute(
        select(
            col(IdentityRow.contact_id),
            col(IdentityRow.platform),
            col(IdentityRow.address),
            col(IdentityRow.heard),
        )
        .where(is_one_of(session, IdentityRow.contact_id, ids))
        .order_by(col(IdentityRow.added_at).desc(), col(IdentityRow.address))
    ).all()
    theirs: dict[tuple[str, str], list[str]] = {}
    known: dict[Address, HeardOn] = {}
    for contact_id, platform, address, heard in rows:
        theirs.setdefault((contact_id, platform), []).append(address)
        known[platform, address] = of_document(heard)
    changed: dict[Address, HeardOn] = {}
    for each in found:
        platform = each.hearing.platform
        addresses = theirs.get((each.contact_id, platform), [])
        named = [address for address in addresses if (platform, address) in each.named]
        for address in (named or addresses)[:1]:
            where = platform, address
            known[where] = changed[where] = with_hearing(known[where], each.hearing)
    _write(session, changed)


def _write(session: Session, changed: Mapping[Address, HeardOn]) -> None:
    for (platform, address), heard in sorted(changed.items(), key=lambda item: item[0]):
        session.execute(
            update(IdentityRow)
            .where(col(IdentityRow.platform) == platform, col(IdentityRow.address) == address)
            .values(heard=as_document(heard))
            .execution_options(synchronize_session=False)
        )
