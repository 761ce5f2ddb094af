"""The control row: what every process reads before it acts, and how a change reaches them all."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.clock import Clock, Clocks, JourneyTime
from engine.errors import NotFound
from engine.store.bulk import insert_new
from engine.store.tables import ControlRow

ONLY_ROW = 1


def read_control(session: Session) -> ControlRow:
    """The control row as it stands now, also when this session has read it before.

    NotFound before the first `ensure_control`.
    """
    return _one(session, select(ControlRow))


def ensure_control(
    session: Session, now: datetime, *, scale: float = 1.0, journey_origin: datetime | None = None
) -> ControlRow:
    """The control row, made when there is none.

    `now` is delivery time. On the first call it becomes the moment from which journey time runs at `scale`
    journey seconds per real second, starting at `journey_origin` (unset: at `now`). Later calls change
    nothing: journey time must not jump under those who wait.
    """
    found = session.get(ControlRow, ONLY_ROW)
    if found is not None:
        return found
    row = ControlRow(
        id=ONLY_ROW,
        time_origin=now,
        time_journey_origin=now if journey_origin is None else journey_origin,
        time_scale=scale,
    )
    # Of two processes that start together, the second finds the first one's row.
    insert_new(session, ControlRow, [row.model_dump()])
    return read_control(session)


def lock_control(session: Session) -> ControlRow:
    """The control row, held by this transaction; NotFound before the first `ensure_control`."""
    return _one(session, select(ControlRow).with_for_update())


def change_control(session: Session, **values: object) -> ControlRow:
    """The control row with `values` in its fields and its epoch counted up, so that everyone notices.

    Nothing is written when the values are those it has.
    """
    row = lock_control(session)
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    if changed:
        row.epoch += 1
        session.flush()
    return row


def clocks_of(control: ControlRow, delivery: Clock) -> Clocks:
    """Both clocks: the given one, and the journey time that the workspace runs on."""
    return Clocks(delivery, JourneyTime(control.time_origin, control.time_journey_origin, control.time_scale))


def _one(session: Session, query: Select[ControlRow]) -> ControlRow:
    query = query.where(col(ControlRow.id) == ONLY_ROW).execution_options(populate_existing=True)
    row = session.scalars(query).one_or_none()
    if row is None:
        raise NotFound("this workspace was never set up; `wayline up` and `wayline publish` do it")
    return row
