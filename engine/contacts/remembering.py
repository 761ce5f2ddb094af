"""What contacts did before, read from the event store in bulk; for all that is rebuilt from it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import groupby

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.journeys.event import Event
from engine.store.bulk import is_one_of, table_of
from engine.store.tables import EventRow

_EVENT = table_of(EventRow)
_LATEST = (
    func.row_number().over(partition_by=_EVENT.c.contact_id, order_by=_EVENT.c.seq.desc()).label("latest")
)


def past_events(
    session: Session,
    contact_ids: Collection[str],
    types: Collection[str],
    *,
    most: int,
    since: datetime | None = None,
    before_seq: int | None = None,
) -> Iterator[tuple[str, list[Event]]]:
    """Each contact's stored events of these types in the order of arrival, at most the `most` latest ones.

    Only those that happened after `since`, and arrived before the event of number `before_seq`. Contacts
    without such events are left out.
    """
    if not contact_ids or not types:
        return
    query = select(_EVENT, _LATEST).where(
        is_one_of(session, _EVENT.c.contact_id, contact_ids), is_one_of(session, _EVENT.c.type, types)
    )
    if since is not None:
        query = query.where(_EVENT.c.occurred_at > since)
    if before_seq is not None:
        query = query.where(_EVENT.c.seq < before_seq)
    numbered = query.subquery()
    chosen = select(numbered).where(numbered.c.latest <= most).order_by(numbered.c.contact_id, numbered.c.seq)
    for contact_id, rows in groupby(session.execute(chosen), key=lambda row: row.contact_id):
        yield (
            contact_id,
            [
                Event(
                    event_id=row.event_id,
                    type=row.type,
                    contact_id=contact_id,
                    occurred_at=row.occurred_at,
                    received_at=row.received_at,
                    source=row.source,
                    properties=row.properties,
                    seq=row.seq,
                )
                for row in rows
            ],
        )
