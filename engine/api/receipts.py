"""Receipts over HTTP: what providers say of messages after they took them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.orm import Session

from engine.api.access import Asked, Operator, require_operator
from engine.delivery.receipts import Became, Closing, Receipt, Said, receive
from engine.delivery.viewing import read_situation
from engine.gate.state import Moment

router = APIRouter(prefix="/v1", tags=["receipts"], dependencies=[Depends(require_operator)])

Text = Annotated[str, Field(min_length=1, max_length=300)]


class ReceiptEntry(BaseModel):
    """One receipt; its message is named by its key, or by the provider's id."""

    model_config = ConfigDict(extra="forbid")

    intent: Text | None = None
    provider_id: Text | None = Field(default=None, description="As the provider named it when it took it.")
    channel: Text | None = Field(default=None, description="Where the provider's id is from.")
    said: Said
    at: AwareDatetime | None = Field(default=None, description="When it happened; now when left out.")
    code: Annotated[str, Field(max_length=100)] = ""
    permanent: bool = Field(
        default=False, description="Of a bounce: the address does not exist; it is not written to again."
    )

    @model_validator(mode="after")
    def _names_a_message(self) -> ReceiptEntry:
        if self.intent is None and self.provider_id is None:
            raise ValueError("name the message by 'intent' or by 'provider_id'")
        return self


class ReceiptsRequest(BaseModel):
    """Receipts in any order; repeating them does no harm."""

    receipts: Annotated[list[ReceiptEntry], Field(min_length=1, max_length=500)]


class ReceiptsAnswer(BaseModel):
    """What became of each, in the order in which they were given."""

    became: list[Became]


@router.post("/receipts")
async def take_receipts(wanted: ReceiptsRequest, services: Asked, operator: Operator) -> ReceiptsAnswer:
    """Take receipts in: each is kept once, and moves its message only forward.

    A permanent bounce and a complaint close the address that the message went to.
    """

    def platforms(session: Session) -> dict[str, str]:
        return {name: each.identity for name, each in services.shelf.live(session).channels.items()}

    def take(entry: ReceiptEntry, at: datetime) -> Became:
        receipt = Receipt(
            entry.said,
            entry.at or at,
            entry.intent,
            entry.channel,
            entry.provider_id,
            entry.code,
            entry.permanent,
        )
        with services.store.begin() as session:
            closing = Closing(platforms(session), services.secret_key, f"api:{operator}")
            return receive(
                session, receipt, Moment.of(at, read_situation(session).time), closing, shelf=services.shelf
            )

    def take_all() -> ReceiptsAnswer:
        now = services.clock.now()
        return ReceiptsAnswer(became=[take(entry, now) for entry in wanted.receipts])

    return await services.store.run(take_all)
