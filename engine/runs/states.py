"""Between a run's row and its state as a value."""

from __future__ import annotations

from engine.journeys.run import RunOutcome, RunState, Waiting, WaitKind, with_variables
from engine.store.tables import RunRow


def state_of(row: RunRow) -> RunState:
    """The row's run as the interpreter sees it."""
    waiting = None
    if row.position is not None and row.waiting in set(WaitKind):
        waiting = Waiting(WaitKind(row.waiting), row.position, row.due_at)
    run = RunState(
        run_id=row.id,
        journey=row.journey,
        contact_id=row.contact_id,
        entry_key=row.entry_key,
        position=row.position,
        waiting=waiting,
        outcome=RunOutcome(row.outcome) if row.outcome is not None else None,
    )
    return with_variables(run, row.variables)
