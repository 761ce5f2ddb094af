"""What people write to us, over HTTP: for whoever reads a channel's replies outside of Wayline."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from engine.api.access import Asked, Operator, require_operator
from engine.api.problems import ProblemError
from engine.errors import CommandError
from engine.intake.carrying import Carrier
from engine.intake.inbound import Heard, Hearing, Inbound, hear
from engine.intake.incoming import MAX_ADDRESS, MAX_ID

router = APIRouter(prefix="/v1", tags=["inbound"], dependencies=[Depends(require_operator)])

Text = Annotated[str, Field(min_length=1, max_length=MAX_ID)]


class InboundEntry(BaseModel):
    """One message that somebody wrote."""

    model_config = ConfigDict(extra="forbid")

    channel: Text = Field(description="The channel of the workspace that it came by.")
    address: Annotated[str, Field(min_length=1, max_length=MAX_ADDRESS)] = Field(
        description="Whose it is, as the channel's plugin writes addresses."
    )
    id: Text = Field(description="The provider's own id of it; the same again changes nothing.")
    text: Annotated[str, Field(max_length=100_000)] = Field(
        default="", description="What was written; the event keeps 10,000 characters of it."
    )
    at: AwareDatetime | None = Field(default=None, description="When it was written; now when left out.")
    answers: Text | None = Field(
        default=None, description="The message that it answers, by its key or the provider's id."
    )
    properties: dict[str, Any] = Field(
        default={}, description="Further properties of the event message_received."
    )


class InboundRequest(BaseModel):
    """Messages in any order; repeating them does no harm."""

    messages: Annotated[list[InboundEntry], Field(min_length=1, max_length=500)]


class InboundAnswer(BaseModel):
    """What became of each, in the order in which they were given."""

    heard: list[Heard]


@router.post("/inbound")
async def take_inbound(
    wanted: InboundRequest, request: Request, services: Asked, operator: Operator
) -> InboundAnswer:
    """Take in what people wrote: each is the event `message_received`, once.

    A word of opting out withdraws consent in the same transaction. What cannot be used is a dead letter.
    """
    messages = [
        Inbound(each.channel, each.address, each.id, each.text, each.at, each.answers, each.properties)
        for each in wanted.messages
    ]

    def take() -> Hearing:
        return hear(
            services.store,
            services.shelf,
            services.intake,
            messages,
            source=f"api:{operator}",
            now=services.clock.now(),
        )

    try:
        hearing = await services.store.run(take)
    except CommandError as error:
        raise ProblemError(422, "unknown_channel", str(error)) from error
    carrier: Carrier = request.app.state.carrier
    carrier.hand(hearing.run_ids)
    return InboundAnswer(heard=list(hearing.heard))
