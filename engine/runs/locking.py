"""One run held by a transaction together with its contact, and its next revision written."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sqlalchemy import bindparam, select, true, update
from sqlalchemy.orm import Session

from engine.contacts.profile import Profile
from engine.contacts.rows import profile_at, profile_columns
from engine.delivery.viewing import SITUATION_COLUMNS, WITH_BREAKERS, Situation, situation_of
from engine.errors import UnknownRun, WaylineError
from engine.runs.states import LockedRun
from engine.store.bulk import table_of
from engine.store.prepared import Prepared
from engine.store.tables import ContactRow, RunRow


class RevisionLostError(WaylineError):
    """Another driver advanced the run first; nothing of this try was kept."""


# Built once: making these anew would take longer than running them.
_RUNS = table_of(RunRow)
_CONTACTS = table_of(ContactRow)
_RUN_FIELDS = tuple(field.name for field in fields(LockedRun))
_PROFILE_FIELDS = profile_columns()
_LOCK = Prepared(
    select(
        *_PROFILE_FIELDS, *(_RUNS.c[name].label(f"run_{name}") for name in _RUN_FIELDS), *SITUATION_COLUMNS
    )
    .select_from(_RUNS.join(_CONTACTS, _CONTACTS.c.id == _RUNS.c.contact_id).join(WITH_BREAKERS, true()))
    .where(_RUNS.c.id == bindparam("run_id"))
    # PostgreSQL locks in the order named here.
    .with_for_update(of=[_CONTACTS, _RUNS])
)
_SAVE = Prepared(
    update(_RUNS).where(_RUNS.c.id == bindparam("of_run"), _RUNS.c.revision == bindparam("as_read"))
)


Locked = tuple[Profile, LockedRun, Situation]


def lock_run(session: Session, run_id: str) -> Locked:
    """The run's contact and the run as they stand now, both held by this transaction, in this order.

    What holds for every intent comes along, unlocked. `save` writes the run. UnknownRun if there is none.
    """
    rows = _LOCK.rows(session, {"run_id": run_id})
    if not rows:
        raise UnknownRun(f"no run {run_id}")
    end = len(_PROFILE_FIELDS) + len(_RUN_FIELDS)
    found = rows[0]
    return profile_at(found), LockedRun(*found[len(_PROFILE_FIELDS) : end]), situation_of(rows)


def save(session: Session, row: LockedRun, **values: Any) -> None:
    """Write values and the next revision, if the run is still at the revision that was read.

    RevisionLostError otherwise. Locks keep that from happening; the comparison proves it.
    """
    values["revision"] = row.revision + 1
    if _SAVE.run(session, {**values, "of_run": row.id, "as_read": row.revision}) != 1:
        raise RevisionLostError(f"run {row.id} was advanced by another driver")
    vars(row).update((name, value) for name, value in values.items() if name in _RUN_FIELDS)
