"""The outbox's queries: claim what is due, in order per key; give back, finish, look how far behind it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, aliased
from sqlmodel import col

from engine.store.tables import OutboxRow

SIGNAL = "run.signal"
"""The kind that asks a run's workflow to look at its row; what there is to see stands there."""
MOST_REPEATED = 10_000
"""Of such rows that are read at once, to be told as one."""
LEASE = timedelta(seconds=60)
"""Delivery time a process may take over what it claimed before another one may repeat it."""


@dataclass(frozen=True)
class Errand:
    """One claimed row, with those that say the same."""

    id: int
    kind: str
    key: str
    payload: dict[str, Any]
    attempts: int
    created_at: datetime
    repeats: tuple[int, ...] = ()
    """Ids of the rows that follow it and ask for the same look: telling it tells them."""


@dataclass(frozen=True)
class Backlog:
    """How much is open, and how old the oldest is."""

    open: int
    lag: timedelta


def claim(session: Session, now: datetime, limit: int) -> list[Errand]:
    """The oldest open rows nobody works on, now claimed by the caller; the oldest of each key only.

    So whatever happens, a key's rows are told one after another in the order in which they were written. Only
    signals of a run that follow each other are told as one: the look it leads to comes after all of them.
    """
    earlier = aliased(OutboxRow)
    is_first = ~(
        select(col(earlier.id))
        .where(
            col(earlier.key) == col(OutboxRow.key),
            col(earlier.done_at).is_(None),
            col(earlier.id) < col(OutboxRow.id),
        )
        .exists()
    )
    query = (
        select(OutboxRow)
        .where(
            col(OutboxRow.done_at).is_(None),
            (col(OutboxRow.next_at).is_(None)) | (col(OutboxRow.next_at) <= now),
            (col(OutboxRow.claimed_until).is_(None)) | (col(OutboxRow.claimed_until) < now),
            is_first,
        )
        .order_by(col(OutboxRow.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = list(session.scalars(query))
    for row in rows:
        row.claimed_until = now + LEASE
    repeats = _repeats(session, {row.key: row.id for row in rows if row.kind == SIGNAL})
    return [_errand(row, repeats.get(row.key, ())) for row in rows]


def _repeats(session: Session, signals: Mapping[str, int | None]) -> dict[str, list[int]]:
    """For each key, whose oldest row is this signal, those that follow it up to a row of another kind."""
    if not signals:
        return {}
    query = (
        select(col(OutboxRow.id), col(OutboxRow.key), col(OutboxRow.kind))
        .where(col(OutboxRow.key).in_(signals), col(OutboxRow.done_at).is_(None))
        .order_by(col(OutboxRow.id))
        .limit(MOST_REPEATED)
    )
    found: dict[str, list[int]] = {}
    ended = set()
    for row_id, key, kind in session.execute(query):
        if kind != SIGNAL:
            ended.add(key)
        elif row_id is not None and key not in ended and row_id != signals[key]:
            found.setdefault(key, []).append(row_id)
    return found


def finish(session: Session, ids: Collection[int]) -> None:
    """Told: the rows are not needed any more, for what they said stands in the rows of runs and breakers."""
    if ids:
        session.execute(delete(OutboxRow).where(col(OutboxRow.id).in_(ids)))


def give_back(session: Session, ids: Collection[int]) -> None:
    """Not tried: anybody may claim them at once."""
    if ids:
        session.execute(update(OutboxRow).where(col(OutboxRow.id).in_(ids)).values(claimed_until=None))


@dataclass(frozen=True)
class Failure:
    """A row that could not be told."""

    id: int
    next_at: datetime
    error: str


def postpone(session: Session, failures: Sequence[Failure]) -> None:
    """Tried in vain: counted, and left alone until `next_at`."""
    for failure in failures:
        session.execute(
            update(OutboxRow)
            .where(col(OutboxRow.id) == failure.id)
            .values(
                attempts=col(OutboxRow.attempts) + 1,
                next_at=failure.next_at,
                claimed_until=None,
                error=failure.error[:500],
            )
        )


def backlog(session: Session, now: datetime) -> Backlog:
    """How far behind the outbox is."""
    query = select(func.count(), func.min(col(OutboxRow.created_at))).where(col(OutboxRow.done_at).is_(None))
    count, oldest = session.execute(query).one()
    return Backlog(count, max(timedelta(0), now - oldest) if count else timedelta(0))


def open_keys(session: Session) -> set[str]:
    """The runs and breakers about which something is still to be told."""
    return set(session.scalars(select(col(OutboxRow.key)).where(col(OutboxRow.done_at).is_(None)).distinct()))


def has_open(session: Session) -> bool:
    """Whether anything waits at all: the cheap question that an idle process asks."""
    query = select(col(OutboxRow.id)).where(col(OutboxRow.done_at).is_(None)).limit(1)
    return session.scalars(query).first() is not None


def _errand(row: OutboxRow, repeats: Sequence[int]) -> Errand:
    assert row.id is not None
    payload = dict(row.payload)
    return Errand(row.id, row.kind, row.key, payload, row.attempts, row.created_at, tuple(repeats))
