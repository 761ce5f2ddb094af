"""Between a run's row and its state as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from engine.journeys.keeping import from_stored, to_stored
from engine.journeys.run import RunOutcome, RunState, Waiting, WaitKind
from engine.rules.facts import FactValue


class RunRecord(Protocol):
    """What is known of a run, by a mapped row or by a plain value; fields as in `RunRow`."""

    id: str
    journey: str
    version: str
    bundle_hash: str
    contact_id: str
    entry_key: str
    outcome: str | None
    position: str | None
    waiting: str
    variables: dict[str, Any]
    due_at: datetime | None
    waiting_since: datetime | None
    durable: bool
    nudged_at: datetime | None


@dataclass
class LockedRun:
    """A run's row as read under its lock, without what nobody asks of it; fields as in `RunRow`."""

    id: str
    journey: str
    version: str
    bundle_hash: str
    contact_id: str
    entry_key: str
    entry_event_id: str | None
    status: str
    outcome: str | None
    position: str | None
    waiting: str
    variables: dict[str, Any]
    revision: int
    since_seq: int
    due_at: datetime | None
    waiting_since: datetime | None
    priority: int
    durable: bool
    nudged_at: datetime | None
    started_at: datetime


_WAITING = frozenset(WaitKind)


def state_of(row: RunRecord) -> RunState:
    """The record's run as the interpreter sees it."""
    waiting = None
    if row.position is not None and row.waiting in _WAITING:
        waiting = Waiting(WaitKind(row.waiting), row.position, row.due_at, row.waiting_since)
    kept = row.variables
    return RunState(
        run_id=row.id,
        journey=row.journey,
        contact_id=row.contact_id,
        entry_key=row.entry_key,
        position=row.position,
        values=kept.get("values", {}),
        outcomes=kept.get("outcomes", {}),
        answers=kept.get("answers", {}),
        calls=kept.get("calls", {}),
        results=kept.get("results", {}),
        visits=kept.get("visits", {}),
        rounds=kept.get("rounds", {}),
        stride=kept.get("stride", 0),
        chain=kept.get("chain", 0),
        arms=kept.get("arms", {}),
        entry=from_stored(kept.get("entry", {})),
        events={step: from_stored(each) for step, each in kept.get("events", {}).items()},
        waiting=waiting,
        outcome=RunOutcome(row.outcome) if row.outcome is not None else None,
    )


def variables_of(run: RunState) -> dict[str, Any]:
    """What of a run is kept as one document beside its position and wait."""
    return {
        "values": dict(run.values),
        "outcomes": dict(run.outcomes),
        "visits": dict(run.visits),
        **({"answers": dict(run.answers)} if run.answers else {}),
        **(
            {"calls": dict(run.calls), "results": {step: dict(each) for step, each in run.results.items()}}
            if run.calls
            else {}
        ),
        **({"rounds": dict(run.rounds)} if run.rounds else {}),
        **({"stride": run.stride} if run.stride else {}),
        **({"chain": run.chain} if run.chain else {}),
        **({"arms": dict(run.arms)} if run.arms else {}),
        **({"entry": to_stored(run.entry)} if run.entry else {}),
        **({"events": {step: to_stored(each) for step, each in run.events.items()}} if run.events else {}),
    }


def first_variables(chain: int, entry: Mapping[str, FactValue]) -> dict[str, Any]:
    """The document of a run that has not begun; `entry` is what is kept of the event that let it in."""
    return {**({"chain": chain} if chain else {}), **({"entry": to_stored(entry)} if entry else {})}
