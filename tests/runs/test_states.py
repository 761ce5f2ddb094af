"""A run's record and its state as a value say the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from engine.journeys.run import RunOutcome, RunState, Waiting, WaitKind
from engine.runs.known import KnownRun
from engine.runs.states import state_of, variables_of

NOW = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
FRESH = RunState("r1", "nap", "c1", "once")


def record(run: RunState) -> KnownRun:
    """The run as its row would hold it."""
    return KnownRun(
        id=run.run_id,
        journey=run.journey,
        version="v1",
        bundle_hash="b1",
        contact_id=run.contact_id,
        entry_key=run.entry_key,
        outcome=run.outcome.value if run.outcome is not None else None,
        position=run.position,
        waiting=run.waiting.kind.value if run.waiting is not None else "ready",
        variables=variables_of(run),
        due_at=run.waiting.due_at if run.waiting is not None else None,
    )


@pytest.mark.parametrize(
    "run",
    [
        FRESH,
        replace(FRESH, values={"a": 1}, outcomes={"hello": "sent"}, visits={"hello": 2}),
        replace(FRESH, position="night", waiting=Waiting(WaitKind.TIMER, "night", NOW)),
        replace(FRESH, position="hello", waiting=Waiting(WaitKind.OUTCOME, "hello")),
        replace(FRESH, position="night", outcome=RunOutcome.LEFT),
    ],
)
def test_a_run_survives_being_kept(run: RunState) -> None:
    assert state_of(record(run)) == run


def test_what_an_older_version_did_not_keep_counts_as_empty() -> None:
    old = record(FRESH)
    old.variables = {}
    assert state_of(old) == FRESH
