"""Letting a contact into a journey by request: what a request must bring, and requests that journeys make.

Pure, and the same for every driver: a `start` step becomes the event `journey_requested`, as a system's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine.journeys.event import JOURNEY_REQUESTED, Event
from engine.journeys.matching import Refusal
from engine.journeys.program import Program
from engine.journeys.run import RunState, StartWish
from engine.rules.facts import FactType

SOURCE = "journey"
STARTED_BY = "started_by"
"""The property of such an event that says which run asked: never a fact, for it is no plain value."""
LONGEST_CHAIN = 10
"""How many journeys may start one another in a row before one of them has to sleep."""


def parameter_fault(program: Program, parameters: Mapping[str, Any]) -> str | None:
    """What is wrong with what a request brings along, never its value; None when the journey takes it."""
    declared = program.entry.parameters or {}
    for name, value in parameters.items():
        if name not in declared:
            known = ", ".join(declared) or "none"
            return f"the journey takes no parameter {name[:80]!r}; declared are: {known}"
        if not _is(value, declared[name]):
            return f"the parameter {name!r} must be {declared[name].value}"
    for name in program.entry.required:
        if name not in parameters:
            return f"the parameter {name!r} is missing"
    return None


def refused_start(program: Program | None, wish: StartWish) -> Refusal | None:
    """Why a journey, as the bundle in force has it, cannot even be asked; None when it can."""
    if wish.chain > LONGEST_CHAIN:
        evidence = {"chain": wish.chain - 1, "at_most": LONGEST_CHAIN}
        return Refusal(
            wish.journey, "entry.chain", evidence, "one of the journeys waits before it starts the next"
        )
    if program is None or program.entry.parameters is None:
        would_pass_if = f"the rules in force have a journey '{wish.journey}' with 'enter: {{api: …}}'"
        return Refusal(wish.journey, "entry.unknown_journey", {}, would_pass_if)
    fault = parameter_fault(program, wish.values)
    if fault is not None:
        return Refusal(wish.journey, "entry.parameters", {"fault": fault}, "the two journeys agree about it")
    return None


def start_event(run: RunState, wish: StartWish, now: datetime, seq: int) -> Event:
    """The event by which a run asks another journey to take its contact in; `now` is journey time."""
    return Event(
        event_id=f"start:{run.run_id}:{wish.step}:{wish.visit}",
        type=JOURNEY_REQUESTED,
        contact_id=run.contact_id,
        occurred_at=now,
        received_at=now,
        source=SOURCE,
        properties={**wish.values, "journey": wish.journey, STARTED_BY: asked_by(run, wish)},
        seq=seq,
    )


def asked_by(run: RunState, wish: StartWish) -> dict[str, Any]:
    """Which run asked, and at which step: the evidence of what came of it."""
    return {"journey": run.journey, "run": run.run_id, "step": wish.step, "chain": wish.chain}


def starter_of(event: Event) -> dict[str, Any] | None:
    """Which run asked for this event; None when none did."""
    found = event.properties.get(STARTED_BY) if event.type == JOURNEY_REQUESTED else None
    return found if isinstance(found, dict) else None


def chain_of(event: Event) -> int:
    """How many starts in a row led to a run that this event lets in."""
    starter = starter_of(event)
    return int(starter["chain"]) if starter is not None else 0


def _is(value: Any, kind: FactType) -> bool:
    match kind:
        case FactType.TEXT:
            return isinstance(value, str)
        case FactType.BOOLEAN:
            return isinstance(value, bool)
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)
