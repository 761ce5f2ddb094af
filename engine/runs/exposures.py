"""What experiments remember, in SQL: the arms of contacts, and the places of strata.

The contact is held by whoever moves its run, so no two transactions assign one contact at once. A place in a
stratum is taken by one statement that holds the stratum's row until the end of the transaction: the next
contact of that stratum waits so long, and a transaction that fails gives the place back. On SQLite there is
one writer at a time anyhow. So every stratum's places are 0, 1, 2, … without a gap, in the order of commits.
Strata are held after the contact and its run, and the experiments of a journey in the order in which it comes
by them, so that no two transactions wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from engine.experiments.assignment import Design, Kept
from engine.journeys.run import Exposed
from engine.runs.states import LockedRun
from engine.store.bulk import insert_rows, is_postgresql, table_of
from engine.store.prepared import Prepared
from engine.store.tables import ExposureRow, StratumRow

_EXPOSURE = table_of(ExposureRow)
_STRATUM = table_of(StratumRow)
_IS_THIS_ONE = (
    _EXPOSURE.c.contact_id == bindparam("of_contact"),
    _EXPOSURE.c.experiment == bindparam("of_experiment"),
    _EXPOSURE.c.seed == bindparam("of_seed"),
)
_KEPT = Prepared(select(_EXPOSURE.c.arm, _EXPOSURE.c.at).where(*_IS_THIS_ONE))
_REASSIGN = update(_EXPOSURE).where(*_IS_THIS_ONE)
_KEYS = ["experiment", "seed", "shape", "stratum"]
_TAKE = {
    dialect.__name__: Prepared(
        dialect.insert(_STRATUM)
        .on_conflict_do_update(index_elements=_KEYS, set_={"taken": _STRATUM.c.taken + 1})
        .returning(_STRATUM.c.taken)
    )
    for dialect in (postgresql, sqlite)
}


class SqlAssignments:
    """`Assignments` of one transaction that holds the contact."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def kept(self, design: Design, contact_id: str) -> Kept | None:
        row = _KEPT.row(self._session, _named(design, contact_id))
        return None if row is None else Kept(row.arm, row.at)

    def take_place(self, design: Design, stratum: str) -> int:
        dialect = postgresql if is_postgresql(self._session) else sqlite
        first = {"experiment": design.key, "seed": design.seed, "shape": design.shape, "stratum": stratum}
        (row,) = _TAKE[dialect.__name__].rows(self._session, {**first, "taken": 1})
        return int(row.taken) - 1


def write_exposures(session: Session, run: LockedRun, exposures: Sequence[Exposed], now: datetime) -> None:
    """Write down the arms that are new, in the transaction that assigned them."""
    new = [each for each in exposures if each.assignment.is_new]
    insert_rows(
        session,
        ExposureRow,
        [_row(each, run, now) for each in new if each.assignment.instead_of is None],
    )
    for each in new:
        if each.assignment.instead_of is not None:
            values = _row(each, run, now)
            session.execute(_REASSIGN.values(values), _named(each.design, run.contact_id))


def _row(exposed: Exposed, run: LockedRun, now: datetime) -> dict[str, Any]:
    design, assignment = exposed.design, exposed.assignment
    return {
        "experiment": design.key,
        "seed": design.seed,
        "contact_id": run.contact_id,
        "arm": assignment.arm,
        "by": assignment.by.value,
        "bucket": assignment.bucket,
        "stratum": assignment.stratum,
        "place": assignment.place,
        "run_id": run.id,
        "bundle_hash": run.bundle_hash,
        "at": now,
        "instead_of": assignment.instead_of,
    }


def _named(design: Design, contact_id: str) -> dict[str, str]:
    return {"of_contact": contact_id, "of_experiment": design.key, "of_seed": design.seed}
