"""Journeys over HTTP: pause and resume them, and ask them to take a contact in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from pydantic import BaseModel, Field

from engine.api.access import Asked, Operator, require_operator
from engine.api.problems import ProblemError
from engine.errors import CommandError
from engine.governance import journeys
from engine.governance.records import Record, find_contact
from engine.intake.carrying import Carrier
from engine.intake.requesting import KeyTakenError, Requested, request_entry

router = APIRouter(prefix="/v1/journeys", tags=["journeys"], dependencies=[Depends(require_operator)])

Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Names the request: the same one again gives the same answer and does nothing.",
    ),
]


class EnterRequest(BaseModel):
    """Who is to enter, with what the journey asks for."""

    contact: str = Field(min_length=1, max_length=256, examples=["user:42"], description="Id or identity.")
    parameters: dict[str, Any] = Field(default={}, max_length=100)


class EnterAnswer(BaseModel):
    """What became of it."""

    entered: bool
    reason: str = Field(examples=["entry.entered", "entry.no_match", "entry.reentry", "entry.paused"])
    run_id: str | None
    contact_id: str
    event_id: str
    repeated: bool = Field(description="The request was answered before; nothing new has happened.")
    evidence: dict[str, Any]
    would_pass_if: str


class Switch(BaseModel):
    """Why."""

    reason: str = Field(default="", max_length=500)


class SwitchAnswer(BaseModel):
    """The journey as it stands now."""

    journey: str
    paused: bool
    changed: bool


@router.get("")
async def list_journeys(services: Asked) -> dict[str, list[Record]]:
    """Every journey in force: paused or not, how many are in it, when it fires next."""

    def look() -> list[Record]:
        with services.store.read() as session:
            return journeys.list_journeys(session, services.shelf)

    return {"journeys": await services.store.run(look)}


@router.post("/{journey}/enter")
async def enter(
    journey: str, wanted: EnterRequest, key: Key, request: Request, services: Asked
) -> EnterAnswer:
    """Ask a journey with `enter: {api: …}` to take a contact in; 200 also when it decides not to."""

    def ask() -> tuple[str, Requested]:
        with services.store.read() as session:
            contact_id = find_contact(session, wanted.contact)
        asked = request_entry(
            services.store, services.shelf, services.intake, journey, contact_id, wanted.parameters, key=key
        )
        return contact_id, asked

    try:
        contact_id, found = await services.store.run(ask)
    except KeyTakenError as error:
        raise ProblemError(409, "idempotency_conflict", str(error)) from error
    except CommandError as error:
        raise ProblemError(422, "entry_refused", str(error)) from error
    carrier: Carrier = request.app.state.carrier
    carrier.hand(found.to_carry)
    return EnterAnswer(
        entered=found.entered,
        reason=found.reason,
        run_id=found.run_id,
        contact_id=contact_id,
        event_id=found.event_id,
        repeated=found.is_repeat,
        evidence=dict(found.evidence),
        would_pass_if=found.would_pass_if,
    )


@router.post("/{journey}/pause")
async def pause(journey: str, wanted: Switch, services: Asked, operator: Operator) -> SwitchAnswer:
    """Let nobody in any more; runs on their way go on."""

    def act() -> bool:
        with services.store.begin() as session:
            return journeys.pause(
                session, services.shelf, journey, by=operator, reason=wanted.reason, now=services.clock.now()
            )

    return SwitchAnswer(journey=journey, paused=True, changed=await services.store.run(act))


@router.post("/{journey}/resume")
async def resume(journey: str, wanted: Switch, services: Asked, operator: Operator) -> SwitchAnswer:
    """Let contacts in again; what came meanwhile is not made up for."""

    def act() -> bool:
        with services.store.begin() as session:
            return journeys.resume(
                session, journey, by=operator, reason=wanted.reason, now=services.clock.now()
            )

    return SwitchAnswer(journey=journey, paused=False, changed=await services.store.run(act))
