"""Tasks for people as they are listed and shown; addresses are masked. Deciding is `engine.runs.deciding`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.reading.validating import known_list, nearest
from engine.clock import FixedClock
from engine.contacts.identity import addresses_of
from engine.errors import NotFound
from engine.governance.decisions import decisions_of_run
from engine.governance.records import LONGEST_LIST, Record, task_fields
from engine.journeys.run import TaskState
from engine.masking import mask_address, mask_value
from engine.store.bundles import BundleShelf
from engine.store.control import clocks_of, read_control
from engine.store.tables import ContactRow, EventRow, RunRow, TaskRow


@dataclass(frozen=True)
class Page:
    """Some tasks of a list, and where it goes on."""

    tasks: list[Record]
    next: str | None
    """Give it as `after` for the next page; None at the end."""


def list_tasks(
    session: Session,
    shelf: BundleShelf,
    now: datetime,
    *,
    state: TaskState = TaskState.OPEN,
    queue: str | None = None,
    journey: str | None = None,
    contact_id: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> Page:
    """One page of tasks: open ones as they are to be worked off, closed ones the latest first.

    `now` is delivery time. NotFound for an `after` that is no task, and for a queue that never was one: a
    slip of the pen must not look like work that is done.
    """
    titles = _queue_titles(session, shelf)
    if queue is not None and queue not in titles and not _has_had_tasks(session, queue):
        raise NotFound(f"there is no queue {queue[:64]!r}: {nearest(queue, titles) or known_list(titles)}")
    at = _journey_now(session, now)
    limit = max(1, min(limit, LONGEST_LIST))
    query = select(TaskRow).where(col(TaskRow.state) == state.value).limit(limit + 1)
    for column, value in (
        (TaskRow.queue, queue),
        (TaskRow.journey, journey),
        (TaskRow.contact_id, contact_id),
    ):
        if value is not None:
            query = query.where(col(column) == value)
    last = None
    if after is not None:
        last = session.get(TaskRow, after)
        if last is None:
            raise NotFound(f"there is no task {after[:64]!r} after which the list could go on")
    if state is TaskState.OPEN:
        # Whose time is up cannot be answered, though its run may not have noticed yet.
        query = _in_order(query.where(col(TaskRow.due_at) > at), last)
    else:
        query = _latest_first(query, last)
    rows = list(session.scalars(query))
    shown = [_record(row, at, titles) for row in rows[:limit]]
    return Page(shown, rows[limit - 1].id if len(rows) > limit else None)


def task_record(session: Session, shelf: BundleShelf, task_id: str, now: datetime) -> Record:
    """One task with what its person needs: the contact, what brought them in, what was decided on the way.

    `now` is delivery time. NotFound when there is none.
    """
    row = session.get(TaskRow, task_id)
    if row is None:
        raise NotFound(f"there is no task {task_id[:64]!r}")
    return {
        **_record(row, _journey_now(session, now), _queue_titles(session, shelf)),
        "note": row.note,
        **_message(row),
        "contact": _contact(session, row.contact_id),
        "entered_by": _entry(session, row.run_id),
        "decisions": [] if row.run_id is None else decisions_of_run(session, row.run_id, limit=50),
    }


def _journey_now(session: Session, now: datetime) -> datetime:
    return clocks_of(read_control(session), FixedClock(now)).journey_now()


def _in_order(query: Select[Any], last: TaskRow | None) -> Select[Any]:
    rank, due_at, id_ = col(TaskRow.rank), col(TaskRow.due_at), col(TaskRow.id)
    if last is not None:
        query = query.where(
            or_(
                rank > last.rank,
                and_(rank == last.rank, due_at > last.due_at),
                and_(rank == last.rank, due_at == last.due_at, id_ > last.id),
            )
        )
    return query.order_by(rank, due_at, id_)


def _latest_first(query: Select[Any], last: TaskRow | None) -> Select[Any]:
    closed_at, id_ = col(TaskRow.closed_at), col(TaskRow.id)
    if last is not None and last.closed_at is not None:
        beyond: ColumnElement[bool] = or_(
            closed_at < last.closed_at, and_(closed_at == last.closed_at, id_ < last.id)
        )
        query = query.where(beyond)
    return query.order_by(closed_at.desc(), id_.desc())


def _record(row: TaskRow, at: datetime, titles: dict[str, str]) -> Record:
    record = task_fields(row)
    if row.state == TaskState.OPEN and row.due_at <= at:
        record["state"] = TaskState.EXPIRED.value
    return {**record, "queue_title": titles.get(row.queue, row.queue)}


def _has_had_tasks(session: Session, queue: str) -> bool:
    return session.scalar(select(col(TaskRow.id)).where(col(TaskRow.queue) == queue).limit(1)) is not None


def _queue_titles(session: Session, shelf: BundleShelf) -> dict[str, str]:
    """As the bundle in force calls them; a queue that only an older one has goes by its name."""
    try:
        return dict(shelf.live(session).workspace.queues)
    except NotFound:
        return {}


def _contact(session: Session, contact_id: str) -> Record:
    row = session.get(ContactRow, contact_id)
    identities = addresses_of(session, [contact_id]).get(contact_id, [])
    return {
        "id": contact_id,
        "locale": row.locale if row is not None else None,
        "timezone": row.timezone if row is not None else None,
        # Whoever is not to be written to may not want to be called either.
        "suppressed": row.suppressed if row is not None else None,
        "tags": sorted({*row.tags, *row.derived_tags}) if row is not None else [],
        "identities": {each.platform: mask_address(each.address) for each in identities},
    }


def _message(row: TaskRow) -> Record:
    """What its person has to bring, and to whom: unmasked, as nobody could do it otherwise."""
    if row.message is None or row.state != TaskState.OPEN:
        return {}
    return {"message": {name: row.message[name] for name in ("channel", "to", "link", "text")}}


def _entry(session: Session, run_id: str | None) -> Record:
    run = session.get(RunRow, run_id) if run_id is not None else None
    found = select(EventRow).where(
        col(EventRow.event_id) == (run.entry_event_id if run is not None else None)
    )
    event = session.scalars(found).first()
    if event is None:
        return {}
    return {
        "type": event.type,
        "occurred_at": event.occurred_at.isoformat(),
        "properties": mask_value(event.properties),
    }
