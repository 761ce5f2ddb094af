"""What is written about an intent beside its own row: decisions, and the word to the run that waits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from engine.gate.decision import SCHEMA
from engine.gate.model import Answer, Outcome, Verdict
from engine.store.bulk import insert_rows, table_of
from engine.store.prepared import Prepared
from engine.store.tables import DecisionRow, OutboxRow, RunRow

# Built once: putting a statement together costs as much as running it.
_INSERT_DECISION = Prepared(insert(table_of(DecisionRow)))
_RUN = table_of(RunRow)
_LOCK_RUN = Prepared(
    select(
        *(_RUN.c[name] for name in ("id", "status", "durable")),
        *(_RUN.c[name] for name in ("journey", "contact_id", "entry_key", "version")),
    )
    .where(_RUN.c.id == bindparam("run_id"))
    .with_for_update()
)
_LOOK_NOW = Prepared(
    update(_RUN)
    .where(_RUN.c.id == bindparam("run_id"))
    .values(lease_until=bindparam("moment", type_=_RUN.c.lease_until.type))
)


class Subject(Protocol):
    """What a decision is about: an intent, or its row."""

    @property
    def key(self) -> str: ...
    @property
    def contact_id(self) -> str: ...
    @property
    def journey(self) -> str | None: ...
    @property
    def run_id(self) -> str | None: ...
    @property
    def bundle_hash(self) -> str: ...


def record_decision(
    session: Session, subject: Subject, answer: Answer, journey_now: datetime, version: str = ""
) -> None:
    """Write the decision that an answer is; `version` is the bundle it was decided under."""
    _INSERT_DECISION.run(session, decision_of(subject, answer, journey_now, version))


def decision_of(subject: Subject, answer: Answer, journey_now: datetime, version: str) -> dict[str, Any]:
    """The row of `DecisionRow` that an answer is, as `record_decision` writes it."""
    return {
        "schema_version": SCHEMA,
        "at": journey_now,
        "kind": "message",
        "contact_id": subject.contact_id,
        "journey": subject.journey,
        "run_id": subject.run_id,
        "intent_key": subject.key,
        "stage": answer.stage,
        "channel": answer.channel,
        "verdict": answer.verdict.value,
        "reason": answer.reason,
        "outcome": None if answer.verdict is Verdict.HOLD else (answer.outcome or Outcome.BLOCKED).value,
        "evidence": dict(answer.evidence),
        "would_pass_if": answer.would_pass_if,
        "hold_until": answer.hold_until,
        "bundle_hash": version or subject.bundle_hash,
    }


def lock_run(session: Session, run_id: str | None) -> Any | None:
    """What `tell_run` needs of a run, its row held by this transaction; always before an intent's row."""
    return None if run_id is None else lock_runs(session, [run_id]).get(run_id)


def lock_runs(session: Session, run_ids: Iterable[str]) -> Mapping[str, Any]:
    """`lock_run` for many at once, in the order of their ids; those that do not exist are left out."""
    asked = [{"run_id": run_id} for run_id in sorted(set(run_ids))]
    return {rows[0].id: rows[0] for rows in _LOCK_RUN.rows_for(session, asked) if rows}


def tell_run(session: Session, run: Any | None, key: str, now: datetime) -> None:
    """Let the run that waits for this intent notice its outcome: its workflow, or whoever sweeps runs."""
    if run is not None:
        tell_runs(session, [(run, key)], now)


def tell_runs(session: Session, told: Sequence[tuple[Any, str]], now: datetime) -> None:
    """`tell_run` of many at once: locked runs, each with the key of the intent that it waits for."""
    active = [(run, key) for run, key in told if run.status == "active"]
    swept = sorted({run.id for run, _ in active if not run.durable})
    _LOOK_NOW.run_for(session, [{"run_id": run_id, "moment": now} for run_id in swept])
    signals = [
        {
            "kind": "run.signal",
            "key": run.id,
            "payload": {
                "journey": run.journey,
                "contact_id": run.contact_id,
                "entry_key": run.entry_key,
                "version": run.version,
                "reason": "outcome",
                "reference": key,
            },
            "created_at": now,
        }
        for run, key in active
        if run.durable
    ]
    insert_rows(session, OutboxRow, signals)
