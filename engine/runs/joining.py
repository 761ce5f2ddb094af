"""The runs of two contacts who become one: those that end because the person is in the journey already."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.journeys import joining
from engine.journeys.joining import Giving, give_way
from engine.journeys.program import ReentryKind
from engine.journeys.run import Ended, RunOutcome
from engine.runs.ending import Endings
from engine.runs.known import KnownRun
from engine.runs.telling import Notes
from engine.store.bulk import is_one_of, table_of
from engine.store.bundles import BundleShelf
from engine.store.tables import RunRow

_RUN = table_of(RunRow)


def end_doubles(
    session: Session,
    shelf: BundleShelf,
    bundle: Bundle,
    one: str,
    other: str,
    now: datetime,
    real_now: datetime,
) -> list[Giving]:
    """End the runs that stand in each other's way, with their tasks, calls and messages; which.

    Both contacts are locked, and their rows are still their own. `bundle` is the one in force: it says how
    often a person enters a journey, and for a journey that is in it no more the run's own bundle does.
    `now` is journey time.
    """
    rows = {row.id: row for row in active_runs(session, (one, other))}
    pinned = {row.journey: row.bundle_hash for row in rows.values()}
    one_side, other_side = (_known(session, contact_id, pinned) for contact_id in (one, other))

    def reentry_of(journey: str) -> ReentryKind:
        home = bundle if journey in bundle.programs else shelf.get(session, pinned[journey])
        return home.programs[journey].entry.reentry.kind

    found = give_way(one_side, other_side, reentry_of)
    if not found:
        return []
    endings = Endings(session, Notes(), now, real_now)
    for giving in found:
        ended = Ended(RunOutcome.CANCELLED, joining.REASON, evidence={"goes_on": giving.goes_on})
        endings.end(rows[giving.run_id], ended)
    endings.finish()
    return found


def _known(session: Session, contact_id: str, journeys: Collection[str]) -> list[joining.KnownRun]:
    query = select(
        _RUN.c.id, _RUN.c.journey, _RUN.c.entry_key, _RUN.c.ended_at, _RUN.c.started_at, _RUN.c.variables
    ).where(_RUN.c.contact_id == contact_id, is_one_of(session, _RUN.c.journey, journeys))
    return [
        joining.KnownRun(
            run_id, journey, key, ended_at is None, started_at, joining.steps_of(variables.get("visits", {}))
        )
        for run_id, journey, key, ended_at, started_at, variables in session.execute(query).all()
    ]


def active_runs(session: Session, contact_ids: Sequence[str]) -> list[KnownRun]:
    """The active runs, held by this transaction."""
    query = (
        select(
            *(
                _RUN.c[name]
                for name in (
                    *("id", "journey", "version", "bundle_hash", "contact_id", "entry_key", "outcome"),
                    *("position", "waiting", "variables", "due_at", "waiting_since", "durable", "nudged_at"),
                )
            )
        )
        .where(_RUN.c.contact_id.in_(contact_ids), _RUN.c.ended_at.is_(None))
        .order_by(_RUN.c.id)
        .with_for_update()
    )
    return [KnownRun(*row) for row in session.execute(query)]
