"""The record of contacts who turned out to be one, and who is made of whom."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.contacts.joining import Joined, document_of, part, profile_of_document
from engine.contacts.profile import Profile
from engine.errors import CommandError
from engine.store.tables import ContactRow, MergeRow

BY_ALIAS, BY_IDENTITY, BY_OPERATOR = "alias", "identity", "operator"


class MergeRefusedError(CommandError):
    """The two must not become one; the message says why, and what would have made it a yes."""


@dataclass(frozen=True)
class Asked:
    """Who says that two contacts are one, and why."""

    because: str
    """alias | identity | operator"""
    by: str
    """A source of events, or an operator."""
    reason: str = ""
    cause: str | None = None
    """The event that told of it."""


def members_of(session: Session, survivor: str) -> list[str]:
    """The contacts that are part of this one, by their ids."""
    query = select(col(ContactRow.id)).where(col(ContactRow.merged_into) == survivor)
    return list(session.scalars(query.order_by(col(ContactRow.id))))


def must_be_mergeable(session: Session, one: Profile, other: Profile, asked: Asked, at_most: int) -> None:
    """MergeRefusedError when the two must not become one; both are locked, and neither is part of another."""
    for profile in (one, other):
        if profile.erased_at is not None:
            raise MergeRefusedError("one of the two was erased: nothing is left to be joined")
    if asked.because == BY_OPERATOR:
        return
    query = select(func.count()).where(col(ContactRow.merged_into).in_([one.id, other.id]))
    if (session.scalar(query) or 0) + 2 > at_most:
        raise MergeRefusedError(
            f"they would be more than {at_most} contacts in one, which is rather something that several "
            "people share; an operator can still merge them (`wayline contact merge`), or the workspace "
            "can allow more (`merging.at_most`)"
        )


def write_merge(
    session: Session,
    before: Profile,
    gone: Profile,
    joined: Joined,
    asked: Asked,
    told: Mapping[str, Any],
    now: datetime,
) -> MergeRow:
    """Write the merge down, and have all that `gone` is made of point at the survivor."""
    row = MergeRow(
        id=uuid.uuid4().hex,
        gone=gone.id,
        joined_to=before.id,
        survivor=before.id,
        at=now,
        because=asked.because,
        by=asked.by,
        reason=asked.reason,
        cause=asked.cause,
        profiles={
            "before": document_of(before),
            "gone": document_of(gone),
            "joined": document_of(joined.profile),
        },
        told={**told, "set_aside": sorted({*joined.set_aside, *joined.set_aside.get("attributes", {})})},
    )
    point_at(session, [gone.id], before.id)
    session.add(row)
    session.flush()
    return row


def point_at(session: Session, gone: Collection[str], survivor: str) -> None:
    """Have these contacts, and all that they are made of, be part of `survivor`."""
    session.execute(
        update(ContactRow)
        .where(col(ContactRow.merged_into).in_(sorted(gone)))
        .values(merged_into=survivor)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(MergeRow)
        .where(col(MergeRow.survivor).in_(sorted(gone)), col(MergeRow.undone_at).is_(None))
        .values(survivor=survivor)
        .execution_options(synchronize_session=False)
    )


def merges_of(session: Session, contact_id: str) -> Sequence[MergeRow]:
    """Every merge that made the contact what it is, or made it part of another, undone ones too; by date."""
    query = select(MergeRow).where(
        (col(MergeRow.survivor) == contact_id)
        | (col(MergeRow.gone) == contact_id)
        | (col(MergeRow.joined_to) == contact_id)
    )
    return session.scalars(query.order_by(col(MergeRow.at), col(MergeRow.id))).all()


def merge_to_undo(session: Session, gone: str) -> MergeRow:
    """The merge by which the contact is part of another one. CommandError when it is of nobody."""
    query = select(MergeRow).where(col(MergeRow.gone) == gone, col(MergeRow.undone_at).is_(None))
    row = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if row is None:
        raise CommandError("this contact is not part of another one; there is nothing to be undone")
    return row


def made_of(session: Session, survivor: str, gone: str) -> list[str]:
    """Of those who are part of `survivor`, `gone` and all that came with it."""
    steps: dict[str, str] = dict(
        session.execute(
            select(col(MergeRow.gone), col(MergeRow.joined_to)).where(
                col(MergeRow.survivor) == survivor, col(MergeRow.undone_at).is_(None)
            )
        ).all()
    )
    found = {gone}
    while more := {each for each, to in steps.items() if to in found} - found:
        found |= more
    return sorted(found)


def take_out_of_later_merges(session: Session, row: MergeRow) -> None:
    """Take what came by `row`, which is about to be undone, out of what later merges remember.

    Each keeps the profiles as they were when it happened. Those of merges that came after this one hold what
    came by it: undone later, they would give it back to somebody whose it is no longer.
    """
    query = select(MergeRow).where(col(MergeRow.survivor) == row.survivor, col(MergeRow.undone_at).is_(None))
    rows = [each for each in session.scalars(query) if each.profiles]
    before, joined, gone = (profile_of_document(row.profiles[name]) for name in ("before", "joined", "gone"))
    for later, side in _later_merges(rows, row):
        corrected = dict(later.profiles)
        for name in (side, "joined"):
            remains, _ = part(profile_of_document(corrected[name]), before, joined, gone)
            corrected[name] = document_of(remains)
        later.profiles = corrected
    session.flush()


def _later_merges(rows: Sequence[MergeRow], row: MergeRow) -> Iterator[tuple[MergeRow, str]]:
    """Of the merges that made one contact, those after `row` that what came by it went through, each with the
    profile that held it: the one `before`, or the one that was `gone`.
    """
    gone_by = {each.gone: each for each in rows}
    while True:
        # A merge is an event of its survivor, so its number tells the order of those into the same contact.
        number = row.profiles["before"]["last_event_seq"]
        for each in rows:
            if each.joined_to == row.joined_to and each.profiles["before"]["last_event_seq"] > number:
                yield each, "before"
        onward = gone_by.get(row.joined_to)
        if onward is None:
            return
        yield onward, "gone"
        row = onward


def write_parting(
    session: Session, row: MergeRow, members: Collection[str], by: str, reason: str, now: datetime
) -> None:
    """Write down that a merge was undone; `members` are what was gone is made of, itself included."""
    row.undone_at, row.undone_by, row.undone_because = now, by, reason
    session.flush()
    others = sorted(set(members) - {row.gone})
    session.execute(
        update(ContactRow)
        .where(col(ContactRow.id).in_(others))
        .values(merged_into=row.gone)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(MergeRow)
        .where(col(MergeRow.gone).in_(others), col(MergeRow.undone_at).is_(None))
        .values(survivor=row.gone)
        .execution_options(synchronize_session=False)
    )
