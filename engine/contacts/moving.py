"""Whose rows are whose when two contacts become one, and when they are parted again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Table, case, delete, func, or_, select, update
from sqlalchemy.orm import Session
from sqlmodel import SQLModel

from engine.store.bulk import is_one_of, table_of
from engine.store.tables import (
    CallRow,
    CapPlaceRow,
    EventRow,
    ExposureRow,
    IdentityRow,
    IntentRow,
    PatternRow,
    RunRow,
    TaskRow,
    WaitRow,
)

MOVED: Mapping[str, type[SQLModel]] = {
    "runs": RunRow,
    "waits": WaitRow,
    "messages": IntentRow,
    "tasks": TaskRow,
    "calls": CallRow,
    "places": CapPlaceRow,
    "identities": IdentityRow,
    "events": EventRow,
}
"""What goes along, in the order in which its rows are locked. Decisions and the ledger of consents are never
rewritten: they are read for all whom a contact is made of."""

_OPEN = {
    "waits": WaitRow,
    "messages": IntentRow,
    "tasks": TaskRow,
    "calls": CallRow,
}
_EXPOSURE = table_of(ExposureRow)


def move_rows(session: Session, gone: str, survivor: str) -> dict[str, int]:
    """Give the survivor all that the other has; how many rows of each kind.

    Both contacts are locked. Each row remembers under whom it came.
    """
    moved = {}
    for name, row in MOVED.items():
        table = table_of(row)
        statement = (
            update(table)
            .where(table.c.contact_id == gone)
            .values(contact_id=survivor, merged_from=func.coalesce(table.c.merged_from, gone))
        )
        moved[name] = _count(session.execute(statement))
    moved["arms"] = _move_arms(session, gone, survivor)
    forget_patterns(session, [gone, survivor])
    return moved


def return_rows(session: Session, survivor: str, gone: str, members: Collection[str]) -> dict[str, int]:
    """Give back what came under `gone`, and under those it had been joined with before (`members`).

    What is still open about a run goes where the run goes, also what came since.
    """
    returned = {}
    for name, row in MOVED.items():
        table = table_of(row)
        came = is_one_of(session, table.c.merged_from, members)
        if name in _OPEN:
            runs = table_of(RunRow)
            theirs = select(runs.c.id).where(runs.c.contact_id == gone)
            came = or_(came, table.c.run_id.in_(theirs) & _is_open(table))
        returned[name] = _give(session, table, table.c.contact_id == survivor, came, gone)
    returned["arms"] = _return_arms(session, survivor, gone, members)
    forget_patterns(session, [gone, survivor])
    return returned


def forget_patterns(session: Session, contact_ids: Collection[str]) -> None:
    """Let what is kept for patterns be made anew from the events when it is asked for next."""
    table = table_of(PatternRow)
    session.execute(delete(table).where(is_one_of(session, table.c.id, contact_ids)))


def _give(session: Session, table: Table, holds: Any, came: Any, gone: str) -> int:
    stays = case((table.c.merged_from == gone, None), else_=table.c.merged_from)
    statement = update(table).where(holds, came).values(contact_id=gone, merged_from=stays)
    return _count(session.execute(statement))


def _is_open(table: Table) -> Any:
    """Tasks are open by their state, messages and calls without an outcome, waits always."""
    if "outcome" in table.c:
        return table.c.outcome.is_(None)
    return table.c.state == "open" if "state" in table.c else table.c.run_id.is_not(None)


def _move_arms(session: Session, gone: str, survivor: str) -> int:
    """Arms of experiments: where both have one, the earlier is the person's, and the later stays aside."""
    survivors = _EXPOSURE.alias()
    both = (
        select(_EXPOSURE.c.id, _EXPOSURE.c.at, survivors.c.id, survivors.c.at)
        .join(
            survivors,
            (survivors.c.experiment == _EXPOSURE.c.experiment) & (survivors.c.seed == _EXPOSURE.c.seed),
        )
        .where(_EXPOSURE.c.contact_id == gone, survivors.c.contact_id == survivor)
    )
    stay = []
    for theirs, at, own, own_at in session.execute(both).all():
        if (at, theirs) < (own_at, own):
            # By another name for a moment: nobody has two arms of one experiment.
            _put(session, own, f"{gone}/{own}", None)
            _put(session, theirs, survivor, gone)
            _put(session, own, gone, survivor)
            stay.append(own)
        else:
            stay.append(theirs)
    statement = (
        update(_EXPOSURE)
        .where(_EXPOSURE.c.contact_id == gone, _EXPOSURE.c.id.not_in(stay))
        .values(contact_id=survivor, merged_from=func.coalesce(_EXPOSURE.c.merged_from, gone))
    )
    return _count(session.execute(statement))


def _return_arms(session: Session, survivor: str, gone: str, members: Collection[str]) -> int:
    lent = session.scalars(
        select(_EXPOSURE.c.id).where(_EXPOSURE.c.contact_id == gone, _EXPOSURE.c.merged_from == survivor)
    ).all()
    for each in lent:
        _put(session, each, f"{survivor}/{each}", None)
    came = is_one_of(session, _EXPOSURE.c.merged_from, members)
    returned = _give(session, _EXPOSURE, _EXPOSURE.c.contact_id == survivor, came, gone)
    for each in lent:
        _put(session, each, survivor, None)
    return returned


def _put(session: Session, exposure: int, contact_id: str, merged_from: str | None) -> None:
    session.execute(
        update(_EXPOSURE)
        .where(_EXPOSURE.c.id == exposure)
        .values(contact_id=contact_id, merged_from=merged_from)
    )


def _count(result: Any) -> int:
    return int(getattr(result, "rowcount", 0))
