"""What an operator does with a contact as a whole, over HTTP: merge, part, export, erase."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from engine.api.access import Asked, Operator, require_operator
from engine.governance.exporting import export_contact
from engine.governance.records import Record, find_contact, find_living
from engine.intake.carrying import Carrier

router = APIRouter(prefix="/v1/contacts", tags=["contacts"], dependencies=[Depends(require_operator)])

Reason = Annotated[str, Field(max_length=1_000)]


class MergeRequest(BaseModel):
    """With whom a contact is one person, and why."""

    model_config = ConfigDict(extra="forbid")

    other: Annotated[str, Field(min_length=1, max_length=300)] = Field(
        description="An id, or an identity such as `user:42`."
    )
    reason: Reason = ""


class UnmergeRequest(BaseModel):
    """Why two contacts are not one person after all."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = ""


@router.get("/{contact}/export")
async def export(contact: str, services: Asked) -> Record:
    """Everything held of a contact, addresses and all."""

    def look() -> Record:
        with services.store.read() as session:
            return export_contact(session, find_living(session, contact))

    return await services.store.run(look)


@router.delete("/{contact}")
async def erase(
    contact: str,
    services: Asked,
    operator: Operator,
    reason: Annotated[str, Query(max_length=1_000, description="Why; it is kept.")] = "",
) -> Record:
    """Erase a contact: runs end, what says who they were goes, decisions stay. It cannot be undone."""

    def look() -> str:
        with services.store.read() as session:
            return find_living(session, contact)

    contact_id = await services.store.run(look)
    erased = await services.store.run(services.eraser.erase, contact_id, by=f"api:{operator}", reason=reason)
    return {
        "contact_id": erased.contact_id,
        "erased_at": erased.at.isoformat(),
        "by": erased.by,
        "told": dict(erased.told),
    }


@router.post("/{contact}/merge")
async def merge(
    contact: str, wanted: MergeRequest, request: Request, services: Asked, operator: Operator
) -> Record:
    """Make two contacts one: who was known first survives. Asked again, nothing happens (`gone` is null)."""

    def look() -> tuple[str, str]:
        with services.store.read() as session:
            return find_contact(session, contact), find_contact(session, wanted.other)

    one, other = await services.store.run(look)
    merged = await services.store.run(
        services.merger.merge, one, other, by=f"api:{operator}", reason=wanted.reason
    )
    carrier: Carrier = request.app.state.carrier
    carrier.hand(merged.run_ids)
    return {
        "survivor": merged.survivor,
        "gone": merged.gone,
        "merge_id": merged.merge_id,
        "told": dict(merged.told or {}),
    }


@router.post("/{contact}/unmerge")
async def unmerge(
    contact: str, wanted: UnmergeRequest, request: Request, services: Asked, operator: Operator
) -> Record:
    """Undo the merge by which a contact, named by its id, is part of another one."""
    parted = await services.store.run(
        services.merger.unmerge, contact, by=f"api:{operator}", reason=wanted.reason
    )
    carrier: Carrier = request.app.state.carrier
    carrier.hand(parted.run_ids)
    return {
        "survivor": parted.survivor,
        "returned": parted.returned,
        "merge_id": parted.merge_id,
        "told": dict(parted.told),
    }
