"""One run held by a transaction together with its contact, and its next revision written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import bindparam, select, true, update
from sqlalchemy.orm import Session

from engine.contacts.profile import Profile
from engine.contacts.rows import profile_at, profile_columns
from engine.delivery.viewing import SITUATION_COLUMNS, WITH_BREAKERS, Situation, situation_of
from engine.errors import UnknownRun, WaylineError
from engine.runs.states import LockedRun
from engine.store.bulk import is_one_of, is_postgresql, table_of
from engine.store.prepared import Prepared
from engine.store.tables import ContactRow, RunRow


class RevisionLostError(WaylineError):
    """Another driver advanced the run first; nothing of this try was kept."""


# Built once: making these anew would take longer than running them.
_RUNS = table_of(RunRow)
_CONTACTS = table_of(ContactRow)
_RUN_FIELDS = tuple(field.name for field in fields(LockedRun))
_PROFILE_FIELDS = profile_columns()
_TOGETHER = _RUNS.join(_CONTACTS, _CONTACTS.c.id == _RUNS.c.contact_id).join(WITH_BREAKERS, true())
_SELECT = (
    select(
        *_PROFILE_FIELDS, *(_RUNS.c[name].label(f"run_{name}") for name in _RUN_FIELDS), *SITUATION_COLUMNS
    )
    .select_from(_TOGETHER)
    .where(_RUNS.c.id == bindparam("run_id"))
    # PostgreSQL locks in the order named here.
    .with_for_update(of=[_CONTACTS, _RUNS])
)
_LOCK = Prepared(_SELECT)
_LOCK_SHARING = Prepared(_SELECT.suffix_with("FOR SHARE OF control", dialect="postgresql"))
_EXISTS = Prepared(
    select(_RUNS.c.id).select_from(_TOGETHER).where(_RUNS.c.id == bindparam("run_id")).limit(1)
)
_SAVE = Prepared(
    update(_RUNS).where(_RUNS.c.id == bindparam("of_run"), _RUNS.c.revision == bindparam("as_read"))
)


Locked = tuple[Profile, LockedRun, Situation]


def lock_run(session: Session, run_id: str, *, share: bool = False) -> Locked:
    """The run's contact and the run as they stand now, both held by this transaction, in this order.

    What holds for every intent comes along; with `share` nobody changes it before this transaction ends, nor
    may this one. `save` writes the run. UnknownRun if there is none.
    """
    lock = _LOCK_SHARING if share else _LOCK
    rows = lock.rows(session, {"run_id": run_id})
    while not rows:
        # Its contact became part of another one while this transaction waited for them.
        if not _EXISTS.rows(session, {"run_id": run_id}):
            raise UnknownRun(f"no run {run_id}")
        rows = lock.rows(session, {"run_id": run_id})
    return _locked(rows)


def lock_runs(session: Session, run_ids: Iterable[str]) -> dict[str, Locked]:
    """`lock_run` of many at once, sharing the control row: contacts by their ids, then runs by theirs."""
    wanted = sorted(set(run_ids))
    if len(wanted) > 1 and is_postgresql(session):
        query = (
            select(_CONTACTS.c.id)
            .join(_RUNS, _RUNS.c.contact_id == _CONTACTS.c.id)
            .where(is_one_of(session, _RUNS.c.id, wanted))
            .order_by(_CONTACTS.c.id)
        )
        session.execute(query.with_for_update(of=_CONTACTS))
    found = _LOCK_SHARING.rows_for(session, [{"run_id": run_id} for run_id in wanted])
    return {
        run_id: _locked(rows) if rows else lock_run(session, run_id, share=True)
        for run_id, rows in zip(wanted, found, strict=True)
    }


def save(session: Session, row: LockedRun, **values: Any) -> None:
    """Write values and the next revision, if the run is still at the revision that was read.

    RevisionLostError otherwise. Locks keep that from happening; the comparison proves it.
    """
    save_each(session, [(row, values)])


def save_each(session: Session, rows: Sequence[tuple[LockedRun, Mapping[str, Any]]]) -> None:
    """`save` of many runs, each with its values."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row, values in rows:
        written = {**values, "revision": row.revision + 1, "of_run": row.id, "as_read": row.revision}
        alike.setdefault(tuple(written), []).append(written)
    for same in alike.values():
        if _SAVE.run_for(session, same) != len(same):
            names = ", ".join(sorted(each["of_run"] for each in same))
            raise RevisionLostError(f"run {names} was advanced by another driver")
    for row, values in rows:
        kept = {name: value for name, value in values.items() if name in _RUN_FIELDS}
        vars(row).update(kept, revision=row.revision + 1)


def _locked(rows: Sequence[Any]) -> Locked:
    found, end = rows[0], len(_PROFILE_FIELDS) + len(_RUN_FIELDS)
    return profile_at(found), LockedRun(*found[len(_PROFILE_FIELDS) : end]), situation_of(rows)
