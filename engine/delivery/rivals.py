"""Messages for a contact that are still to come, read for caps that look ahead."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session

from engine.gate.arbitration import GRACE, Rival
from engine.gate.model import Intent
from engine.gate.state import GateRules
from engine.journeys.program import Program
from engine.store.bulk import table_of
from engine.store.bundles import BundleShelf
from engine.store.prepared import Prepared
from engine.store.tables import IntentRow, RunRow

# Built once: putting a statement together costs as much as running it.
_INTENT = table_of(IntentRow)
_RUN = table_of(RunRow)
_WAITING = Prepared(
    select(
        _INTENT.c.key,
        _INTENT.c.journey,
        _INTENT.c.step_id,
        _INTENT.c.purpose,
        _INTENT.c.channels,
        _INTENT.c.content,
        _INTENT.c.priority,
        _INTENT.c.state,
        _INTENT.c.created_at,
        _INTENT.c.wake_at,
    ).where(
        _INTENT.c.contact_id == bindparam("contact_id"),
        _INTENT.c.outcome.is_(None),
        or_(_INTENT.c.state == "planned", _INTENT.c.state == "held"),
        _INTENT.c.key != bindparam("own_key"),
    )
)
_COMING = Prepared(
    select(
        _RUN.c.id,
        _RUN.c.journey,
        _RUN.c.bundle_hash,
        _RUN.c.position,
        _RUN.c.priority,
        _RUN.c.next_send_at,
    ).where(
        _RUN.c.contact_id == bindparam("contact_id"),
        _RUN.c.next_send_at > bindparam("since"),
        _RUN.c.next_send_at <= bindparam("until"),
    )
)


def read_rivals(
    session: Session, shelf: BundleShelf, intent: Intent, rules: GateRules, now: datetime
) -> tuple[Rival, ...]:
    """What else is to come for the intent's contact, as far as any cap looks ahead of journey time `now`."""
    if rules.look_ahead is None:
        return ()
    until = now + rules.look_ahead
    return (*_in_the_gate(session, intent, now, until), *_of_runs(session, shelf, intent, now, until))


def rival_of(intent: Intent, due_at: datetime) -> Rival:
    """A message that waits in the gate."""
    return Rival(
        intent.key,
        intent.journey,
        intent.step_id,
        intent.purpose,
        intent.channels,
        intent.content,
        intent.priority,
        due_at,
    )


def rivals_of_run(run_id: str, program: Program, position: str | None, due_at: datetime) -> Iterator[Rival]:
    """The messages to which a run may come at `due_at`, when its wait at `position` is over."""
    for send in program.next_sends.get(position or "", ()):
        yield Rival(
            run_id,
            program.journey,
            send.id,
            send.purpose,
            send.channels,
            send.content,
            program.priority,
            due_at,
        )


def _in_the_gate(session: Session, intent: Intent, now: datetime, until: datetime) -> Iterator[Rival]:
    for row in _WAITING.rows(session, {"contact_id": intent.contact_id, "own_key": intent.key}):
        due_at = row.created_at if row.state == "planned" else row.wake_at
        if due_at is not None and now - GRACE < due_at <= until:
            yield Rival(
                row.key,
                row.journey,
                row.step_id,
                row.purpose,
                tuple(row.channels),
                row.content,
                row.priority,
                due_at,
            )


def _of_runs(
    session: Session, shelf: BundleShelf, intent: Intent, now: datetime, until: datetime
) -> Iterator[Rival]:
    asked = {"contact_id": intent.contact_id, "since": now - GRACE, "until": until}
    for row in _COMING.rows(session, asked):
        if row.id != intent.run_id:
            program = shelf.get(session, row.bundle_hash).programs[row.journey]
            yield from rivals_of_run(row.id, program, row.position, row.next_send_at)
