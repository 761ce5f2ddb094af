"""Leases: who is carrying a run that nothing durable carries, and which of those were left behind.

A lease does not keep others out (the contact's lock does that, and the run's revision); it tells when a run
that its process has dropped may be picked up.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, or_, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.store.tables import RunRow

LEASE = timedelta(seconds=30)
"""Delivery time a process has for a run until others may pick it up; renewed with every step."""
FARTHEST = timedelta(days=1)
"""A lease that ends later was given by a clock that ran ahead: nobody waits until the world is there."""


def lease_abandoned(session: Session, owner: str, now: datetime, limit: int) -> list[str]:
    """Up to `limit` active runs that nobody carries, leased to `owner` from now on."""
    found: list[str] = []
    # One after the other: joined by "or" and put in order, the index would be read from its beginning.
    for is_over in _is_over(now):
        query = _LEASED.where(is_over).order_by(col(RunRow.lease_until)).limit(limit - len(found))
        found += session.scalars(query.with_for_update(skip_locked=True))
    if found:
        session.execute(
            update(RunRow)
            .where(col(RunRow.id).in_(found))
            .values(lease_owner=owner, lease_until=now + LEASE)
            .execution_options(synchronize_session=False)
        )
    return found


def has_abandoned(session: Session, now: datetime) -> bool:
    """Whether there is anything to pick up: the cheap question that an idle process asks."""
    return session.scalars(abandoned(now).limit(1)).first() is not None


def abandoned(now: datetime) -> Select[str]:
    """The ids of active runs that their process has dropped."""
    return _LEASED.where(or_(*_is_over(now)))


# Sleeping runs are many and have no lease at all: the index passes them by.
_LEASED = select(col(RunRow.id)).where(col(RunRow.status) == "active", col(RunRow.durable).is_(False))


def _is_over(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """What a lease is that holds no longer: past, or too far ahead."""
    return col(RunRow.lease_until) <= now, col(RunRow.lease_until) > now + FARTHEST
