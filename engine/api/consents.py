"""One contact's consents over HTTP: as they stand, as they stood, and what an operator writes down."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from engine.api.access import Asked, Operator, require_operator
from engine.api.problems import ProblemError
from engine.api.services import Services
from engine.governance.consents import Said, consent_report, journey_now, said_event
from engine.governance.records import Record, find_contact
from engine.intake.answering import Receipt
from engine.intake.carrying import Carrier

router = APIRouter(prefix="/v1/contacts", tags=["consent"], dependencies=[Depends(require_operator)])

Name = Annotated[str, Field(min_length=1, max_length=64)]


class SaidRequest(BaseModel):
    """What a contact has said, as an operator writes it down."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["granted", "denied", "withdrawn"]
    purpose: Name = Field(
        description="A purpose, `personalisation`, `cross_border`, or `*` for all (not of a grant)."
    )
    channel: Name = Field(default="*", description="A channel, or `*` for all.")
    legal_basis: Annotated[str, Field(max_length=100)] | None = None
    notice: Annotated[str, Field(max_length=20_000)] | None = Field(
        default=None, description="The text that was shown; the ledger keeps its hash."
    )
    language: Name | None = None
    version: Annotated[str, Field(max_length=50)] | None = Field(
        default=None, description="Of the notice; the present one when left out."
    )
    mechanism: Name | None = None
    jurisdiction: Annotated[str, Field(max_length=20)] | None = None
    valid_until: AwareDatetime | None = None
    proof: Annotated[str, Field(max_length=1_000)] | None = Field(
        default=None, description="Where the proof is kept; the ledger seals a commitment to it."
    )


@router.get("/{contact}/consents")
async def consents(
    contact: str,
    services: Asked,
    at: Annotated[
        AwareDatetime | None, Query(description="As the gate would have seen it then; now when left out.")
    ] = None,
) -> Record:
    """What a contact has agreed to, by purpose and channel, with every entry of the ledger."""
    return await services.store.run(_report, services, contact, at)


@router.post("/{contact}/consents", status_code=201)
async def say(
    contact: str, said: SaidRequest, request: Request, services: Asked, operator: Operator
) -> Record:
    """Write down what a contact said. A refusal ends runs and drops messages in the same transaction."""
    told = said.model_dump(mode="json", exclude={"decision", "purpose", "channel"}, exclude_none=True)

    def accept() -> Receipt:
        with services.store.read() as session:
            wanted = Said(said.decision, said.purpose, said.channel, told)
            event = said_event(session, services.shelf, contact, wanted, by=operator)
        return services.intake.accept([event], source=f"api:{operator}")

    receipt = await services.store.run(accept)
    if receipt.refusals:
        refusal = receipt.refusals[0]
        raise ProblemError(422, "consent_unusable", refusal.message, reason=refusal.code)
    carrier: Carrier = request.app.state.carrier
    carrier.hand(receipt.run_ids)
    return await services.store.run(_report, services, contact, None)


def _report(services: Services, contact: str, at: datetime | None) -> Record:
    with services.store.read() as session:
        now = journey_now(session, services.clock.now())
        contact_id = find_contact(session, contact)
        return consent_report(session, services.shelf.live(session), contact_id, at=at, now=now)
