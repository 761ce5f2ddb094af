"""The rows of schedules: armed for what is next, taken up by one process at a time, counted when missed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from hashlib import sha256
from itertools import islice

import structlog
from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.contacts.profile import Profile
from engine.contacts.rows import profile_at, profile_columns
from engine.intake.firing import scheduled
from engine.journeys.schedule import Schedule
from engine.store.bulk import insert_new
from engine.store.in_flight import draining
from engine.store.tables import ContactRow, ControlRow, ScheduleRow

EVERYBODY = "*"
LEASE = timedelta(minutes=1)
_MOST_MISSED = 1000

_log = structlog.get_logger(__name__)


class Passed(Enum):
    """A row that was due, and whose firing is not to be: too late, or of a paused journey."""

    MISSED = auto()


@dataclass(frozen=True)
class Firing:
    """A firing taken up by one process alone for the length of a lease."""

    journey: str
    zone: str
    fires_at: datetime
    position: str
    lease: str


def arm(session: Session, bundle: Bundle, now: datetime) -> None:
    """Bring the rows to the bundle's schedules and the zones of contacts; `now` is journey time."""
    wanted: dict[tuple[str, str], Schedule] = {}
    zones: list[str] | None = None
    for name, program in scheduled(bundle).items():
        schedule = program.entry.schedule
        assert schedule is not None, "scheduled() gives no others"
        if schedule.is_by_contact and zones is None:
            zones = zones_in_use(session)
        for zone in (zones or []) if schedule.is_by_contact else [EVERYBODY]:
            wanted[name, zone] = schedule
    default = bundle.workspace.timezone
    known = {(row.journey, row.zone): row for row in session.scalars(select(ScheduleRow))}
    new = []
    for (name, zone), schedule in sorted(wanted.items(), key=lambda each: each[0]):
        shape = sha256(f"{schedule!r} {default}".encode()).hexdigest()[:32]
        row = known.get((name, zone))
        if row is not None and row.shape == shape:
            continue
        next_at = schedule.next_after(now, schedule.zone(zone, default))
        if row is None:
            blank = ScheduleRow(journey=name, zone=zone, shape=shape, next_at=next_at)
            new.append(blank.model_dump())
        else:
            # Of two that notice a change, the first one's answer stands.
            session.execute(
                update(ScheduleRow)
                .where(
                    col(ScheduleRow.journey) == name,
                    col(ScheduleRow.zone) == zone,
                    col(ScheduleRow.shape) == row.shape,
                )
                .values(shape=shape, next_at=next_at)
                .execution_options(synchronize_session=False)
            )
    insert_new(session, ScheduleRow, new)
    for name, zone in sorted(known.keys() - wanted.keys()):
        # Another process may have done so already.
        session.execute(
            delete(ScheduleRow)
            .where(col(ScheduleRow.journey) == name, col(ScheduleRow.zone) == zone)
            .execution_options(synchronize_session=False)
        )
    session.expire_all()


def zones_in_use(session: Session) -> list[str]:
    """The zones that contacts have, empty for none; one look into the index for each."""
    found: list[str] = []
    zone = session.scalar(select(func.min(col(ContactRow.timezone))))
    while zone is not None:
        found.append(zone)
        later = select(func.min(col(ContactRow.timezone))).where(col(ContactRow.timezone) > zone)
        zone = session.scalar(later)
    without = select(col(ContactRow.id)).where(col(ContactRow.timezone).is_(None)).limit(1)
    if session.scalar(without) is not None:
        found.append("")
    return found


def take_up(
    session: Session, control: ControlRow, bundle: Bundle, now: datetime, real_now: datetime
) -> Firing | Passed | None:
    """A firing that is due or was left, leased; None when there is none.

    Those that have rested longest come first: a large one must not keep the others waiting to its end.
    """
    query = (
        select(ScheduleRow)
        .where(due(now, real_now), col(ScheduleRow.journey).in_(sorted(scheduled(bundle))))
        .order_by(
            col(ScheduleRow.ready_at).nulls_first(),
            col(ScheduleRow.next_at),
            col(ScheduleRow.journey),
            col(ScheduleRow.zone),
        )
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = session.scalars(query).one_or_none()
    if row is None:
        return None
    schedule = scheduled(bundle)[row.journey].entry.schedule
    assert schedule is not None, "scheduled() gives no others"
    if row.fires_at is None:
        _begin(row, schedule, bundle, now)
    if row.fires_at is None:
        return Passed.MISSED
    if row.journey in {*control.paused_journeys, *bundle.paused_journeys}:
        _miss(row, row.fires_at, "paused", 1)
        row.fires_at = None
        return Passed.MISSED
    if row.journey in draining(control):
        _miss(row, row.fires_at, "draining", 1)
        row.fires_at = None
        return Passed.MISSED
    row.lease = secrets.token_hex(8)
    row.ready_at = real_now + LEASE
    session.flush()
    return Firing(row.journey, row.zone, row.fires_at, row.after_id, row.lease)


def read_contacts(session: Session, firing: Firing, size: int) -> list[Profile]:
    """The next contacts of a firing: those of its zone who were there when it was due."""
    query = select(*profile_columns()).where(
        col(ContactRow.id) > firing.position,
        col(ContactRow.created_at) <= firing.fires_at,
        col(ContactRow.erased_at).is_(None),
        col(ContactRow.merged_into).is_(None),
    )
    if firing.zone == "":
        query = query.where(col(ContactRow.timezone).is_(None))
    elif firing.zone != EVERYBODY:
        query = query.where(col(ContactRow.timezone) == firing.zone)
    return [profile_at(row) for row in session.execute(query.order_by(col(ContactRow.id)).limit(size))]


def due(now: datetime, real_now: datetime) -> ColumnElement[bool]:
    """The condition for rows with something to do; `now` is journey time."""
    return and_(
        or_(col(ScheduleRow.fires_at).is_not(None), col(ScheduleRow.next_at) <= now),
        or_(col(ScheduleRow.ready_at).is_(None), col(ScheduleRow.ready_at) <= real_now),
    )


def _begin(row: ScheduleRow, schedule: Schedule, bundle: Bundle, now: datetime) -> None:
    """Begin the latest firing that is due, unless it comes too late; those before it are missed."""
    assert row.next_at is not None, "a row without a next firing is not due"
    zone = schedule.zone(row.zone, bundle.workspace.timezone)
    latest = schedule.latest(now, zone)
    if latest is None or latest < row.next_at:
        row.next_at = schedule.next_after(now, zone)
        return
    before = latest - timedelta(microseconds=1)
    earlier = sum(1 for _ in islice(schedule.firings(row.next_at, before, zone), _MOST_MISSED))
    if latest > row.next_at:
        _miss(row, row.next_at, "late", earlier + 1)
    row.next_at = schedule.next_after(latest, zone)
    if now - latest > bundle.workspace.late_after:
        _miss(row, latest, "late", 1)
    else:
        row.fires_at, row.after_id, row.entered = latest, "", 0


def _miss(row: ScheduleRow, at: datetime, because: str, count: int) -> None:
    row.missed += count
    row.missed_at, row.missed_because = at, because
    _log.warning(
        "a schedule did not fire", journey=row.journey, at=at.isoformat(), because=because, count=count
    )
