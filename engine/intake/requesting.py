"""Entering a journey by request: an event like any other, answered with the decision it led to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.contacts.identity import living
from engine.errors import CommandError, NotFound
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent, unstorable
from engine.journeys.event import JOURNEY_REQUESTED
from engine.journeys.program import Program
from engine.journeys.starting import parameter_fault
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import DecisionRow, EventRow, RunRow

SOURCE = "api"
_LOOKED_AT = 200
"""Latest decisions about a contact and journey among which that of a request is looked for."""


class KeyTakenError(CommandError):
    """The idempotency key was used before, for another request."""


@dataclass(frozen=True)
class Requested:
    """What a request came to."""

    entered: bool
    reason: str
    """`entry.entered`, or why not."""
    run_id: str | None
    event_id: str
    is_repeat: bool
    """Whether the same request was answered before; nothing new has happened then."""
    evidence: Mapping[str, Any]
    would_pass_if: str
    to_carry: tuple[str, ...] = ()
    """Runs to carry on now, leased to this process."""


def request_entry(
    store: Store,
    shelf: BundleShelf,
    intake: Intake,
    journey: str,
    contact_id: str,
    parameters: Mapping[str, Any],
    *,
    key: str,
) -> Requested:
    """Ask a journey to take a contact in. The same `key` again gives the same answer and does nothing.

    NotFound for an unknown journey or contact; CommandError when it is not entered by request or the
    parameters are not those it declares; KeyTakenError when the key stands for another request.
    """
    with store.read() as session:
        program = _program(shelf.live(session), journey)
        # Known before it is asked for: an event about nobody would become a dead letter.
        contact_id = living(session, contact_id)
    _check(program, parameters)
    properties = {**parameters, "journey": journey}
    event_id = f"api:{journey}:{sha256(key.encode()).hexdigest()[:32]}"
    event = IncomingEvent(event_id, JOURNEY_REQUESTED, properties=properties, contact_id=contact_id)
    receipt = intake.accept([event], source=SOURCE)
    if receipt.refusals:
        raise CommandError(receipt.refusals[0].message)
    with store.read() as session:
        if receipt.duplicates:
            _must_be_same(session, event_id, contact_id, properties)
        return _answer(session, event_id, journey, contact_id, receipt.duplicates > 0, receipt.run_ids)


def _program(bundle: Bundle, journey: str) -> Program:
    program = bundle.programs.get(journey)
    if program is None:
        raise NotFound(f"there is no journey {journey[:80]!r} in the bundle in force")
    if program.entry.parameters is None:
        raise CommandError(
            f"the journey {journey!r} is not entered by request: its file has no 'enter: {{api: …}}'"
        )
    return program


def _check(program: Program, parameters: Mapping[str, Any]) -> None:
    """CommandError naming the first parameter that is wrong, never its value."""
    if (fault := parameter_fault(program, parameters)) is not None:
        raise CommandError(fault)
    for name, value in parameters.items():
        if (fault := unstorable(value)) is not None:
            raise CommandError(f"the parameter {name!r} cannot be kept: {fault}")


def _must_be_same(session: Session, event_id: str, contact_id: str, properties: Mapping[str, Any]) -> None:
    row = session.scalars(select(EventRow).where(col(EventRow.event_id) == event_id)).one()
    if row.contact_id != contact_id or row.properties != dict(properties):
        raise KeyTakenError("this Idempotency-Key was used before, for another contact or other parameters")


def _answer(
    session: Session, event_id: str, journey: str, contact_id: str, is_repeat: bool, to_carry: tuple[str, ...]
) -> Requested:
    runs = select(col(RunRow.id)).where(
        col(RunRow.contact_id) == contact_id,
        col(RunRow.journey) == journey,
        col(RunRow.entry_event_id) == event_id,
    )
    run_id = session.scalars(runs).one_or_none()
    decisions = (
        select(DecisionRow)
        .where(
            col(DecisionRow.contact_id) == contact_id,
            col(DecisionRow.journey) == journey,
            col(DecisionRow.kind) == "entry",
        )
        .order_by(col(DecisionRow.id).desc())
        .limit(_LOOKED_AT)
    )
    found = next(
        (row for row in session.scalars(decisions) if row.evidence.get("event_id") == event_id), None
    )
    # A journey's "no match" is not always kept; then there is nothing else it can have been.
    return Requested(
        entered=run_id is not None,
        reason=found.reason if found is not None else "entry.no_match",
        run_id=run_id,
        event_id=event_id,
        is_repeat=is_repeat,
        evidence=found.evidence if found is not None else {},
        would_pass_if=found.would_pass_if if found is not None else "",
        to_carry=to_carry,
    )
