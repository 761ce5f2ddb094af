"""What a look over the whole installation finds out about its runs; nothing here changes a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.clock import FixedClock
from engine.errors import NotFound
from engine.journeys.driver import RunRef, Standing
from engine.runs.leasing import abandoned
from engine.store.bulk import is_one_of, table_of
from engine.store.control import clocks_of, read_control
from engine.store.tables import CallRow, IntentRow, RunRow

SETTLED = timedelta(minutes=1)
"""Delivery time after which a run's workflow has been told, and lists show, where it waits."""
_AT_ONCE = 10_000
"""Ids in one question: SQLite bounds how many values a statement may carry."""

_RUN, _INTENT, _CALL = table_of(RunRow), table_of(IntentRow), table_of(CallRow)
_REFS = select(
    *(_RUN.c[name] for name in ("id", "journey", "contact_id", "entry_key", "version", "priority")),
    _RUN.c.bundle_hash,
    _RUN.c.status == "active",
)


def carried_runs(session: Session, workflow_of: Sequence[str]) -> dict[RunRef, bool]:
    """Every active run that a workflow is to carry, and those that `workflow_of` names; whether it is active.

    `workflow_of` are the ids of the runs that do have a workflow; those that do not exist are left out.
    """
    found = {}
    for *ref, is_active in session.execute(_REFS.where(_RUN.c.status == "active", _RUN.c.durable)):
        found[RunRef(*ref)] = bool(is_active)
    for start in range(0, len(workflow_of), _AT_ONCE):
        chunk = workflow_of[start : start + _AT_ONCE]
        for *ref, is_active in session.execute(_REFS.where(is_one_of(session, _RUN.c.id, chunk))):
            found[RunRef(*ref)] = bool(is_active)
    return found


def standing_waits(session: Session, now: datetime) -> dict[str, Standing]:
    """Where every run that a workflow is to carry has been waiting for a while, by the run's id.

    `now` is delivery time. Whoever came there less than `SETTLED` ago is left out: others may not know yet.
    """
    try:
        time = clocks_of(read_control(session), FixedClock(now)).time
    except NotFound:  # nothing was ever published, so nobody waits
        return {}
    rows = session.execute(
        select(_RUN.c.id, _RUN.c.revision, _RUN.c.waiting, _RUN.c.position, _RUN.c.due_at).where(
            _RUN.c.status == "active",
            _RUN.c.durable,
            _RUN.c.waiting != "ready",
            _RUN.c.waiting_since <= time.at(now - SETTLED),
        )
    )
    return {
        run_id: Standing(revision, waiting, step, None if due_at is None else time.real(due_at))
        for run_id, revision, waiting, step, due_at in rows
    }


def pinned_bundles(session: Session) -> list[str]:
    """The hashes of the bundles that somebody is on their way in."""
    query = select(_RUN.c.bundle_hash).where(_RUN.c.status == "active").distinct()
    return sorted(session.scalars(query))


def count_left_behind(session: Session, now: datetime) -> int:
    """How many runs, messages and calls a process has left that is gone: their leases have run out.

    `now` is delivery time.
    """
    runs = session.scalar(select(func.count()).select_from(abandoned(now).subquery()))
    messages = session.scalar(
        select(func.count()).where(_INTENT.c.outcome.is_(None), _INTENT.c.lease_until <= now)
    )
    calls = session.scalar(
        select(func.count()).where(
            _CALL.c.outcome.is_(None), _CALL.c.lease.is_not(None), _CALL.c.ready_at <= now
        )
    )
    return (runs or 0) + (messages or 0) + (calls or 0)
