"""`POST /v1/batch` and its siblings: Segment's intake, so that published client libraries work unchanged."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from engine.api.access import Asked, require_write_key, services_of
from engine.api.bodies import read_json
from engine.api.problems import ProblemError
from engine.api.services import Services
from engine.errors import NotFound
from engine.intake.answering import Receipt
from engine.intake.carrying import Carrier
from engine.intake.segment import translate

SOURCE = "http"
MOST_REASONS = 100

router = APIRouter(prefix="/v1", tags=["intake"], dependencies=[Depends(require_write_key)])


class AboutEvent(BaseModel):
    """Something about an accepted event that was left aside."""

    message_id: str
    note: str


class DeadEvent(BaseModel):
    """Why an event could not be used."""

    position: int = Field(description="In the batch, from 0.")
    code: str = Field(examples=["EV006"])
    message: str


class Answer(BaseModel):
    """What became of the events; the three counts add up to what was sent."""

    success: bool = True
    accepted: int
    duplicates: int = Field(description="Sent before under the same messageId; nothing happened.")
    dead: int = Field(description="Kept as dead letters, with the reason.")
    notes: list[AboutEvent] = []
    reasons: list[DeadEvent] = Field(default=[], description="Of the dead ones, the first hundred.")


_EXAMPLES: dict[str, dict[str, Any]] = {
    "identify": {
        "messageId": "m1",
        "userId": "u1",
        "traits": {"email": "ada@example.com", "timezone": "Europe/London"},
    },
    "track": {
        "messageId": "m2",
        "userId": "u1",
        "event": "order_paid",
        "timestamp": "2026-03-01T09:00:00+08:00",
        "properties": {"order_id": "o1", "amount": 29.33},
    },
    "page": {"messageId": "m3", "userId": "u1", "name": "Home"},
    "screen": {"messageId": "m4", "userId": "u1", "name": "Home"},
    "group": {"messageId": "m5", "userId": "u1", "groupId": "g1"},
    "alias": {"messageId": "m6", "userId": "u1", "previousId": "u0"},
    "batch": {
        "batch": [{"type": "track", "messageId": "m2", "userId": "u1", "event": "contact_added"}],
    },
}


def _body(kind: str) -> dict[str, Any]:
    """What OpenAPI says of a body that is read here and not by the framework."""
    content = {"schema": {"type": "object"}, "example": _EXAMPLES[kind]}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


@router.post("/batch", openapi_extra=_body("batch"))
async def batch(request: Request, services: Asked) -> Answer:
    """Many events: `{"batch": [...]}`, each as for its own address, with its `type`."""
    body = await read_json(request, services.settings.max_body)
    common: Any = None
    if isinstance(body, dict):
        messages, common = body.get("batch"), body.get("context")
    else:
        messages = body
    if not isinstance(messages, list):
        raise ProblemError(400, "batch_wanted", 'the body must be {"batch": [...]}')
    if len(messages) > services.settings.max_batch:
        raise ProblemError(
            413,
            "batch_too_large",
            f"the batch holds more than {services.settings.max_batch} events; send smaller ones",
            limit=services.settings.max_batch,
        )
    if isinstance(common, dict) and common:
        messages = [_with_context(message, common) for message in messages]
    return await _take(request, services, messages)


def _single(kind: str) -> Any:
    async def take_one(request: Request, services: Annotated[Services, Depends(services_of)]) -> Answer:
        body = await read_json(request, services.settings.max_body)
        if not isinstance(body, dict):
            raise ProblemError(400, "object_wanted", f"the body of a {kind} must be a JSON object")
        return await _take(request, services, [{**body, "type": kind}])

    return take_one


for _kind, _title in {
    "track": "Something a contact did.",
    "identify": "Who a contact is: traits and identities.",
    "page": "A page somebody looked at; an event of the type `page`.",
    "screen": "A screen somebody looked at; an event of the type `screen`.",
    "group": "What somebody belongs to; an event of the type `group`.",
    "alias": "Two ids are one person: `userId` is who they are, `previousId` who they were. Their "
    "contacts are merged, with a record.",
}.items():
    router.add_api_route(
        f"/{_kind}",
        _single(_kind),
        methods=["POST"],
        name=_kind,
        summary=_title,
        response_model=Answer,
        openapi_extra=_body(_kind),
    )


async def _take(request: Request, services: Services, messages: list[Any]) -> Answer:
    def accept() -> Receipt:
        return services.intake.accept([translate(message) for message in messages], source=SOURCE)

    try:
        receipt = await services.store.run(accept)
    except NotFound as error:
        raise ProblemError(
            503, "not_set_up", f"{error}; nothing was kept", headers={"Retry-After": "30"}
        ) from error
    carrier: Carrier = request.app.state.carrier
    carrier.hand(receipt.run_ids)
    return Answer(
        accepted=receipt.accepted,
        duplicates=receipt.duplicates,
        dead=receipt.dead,
        notes=[AboutEvent(message_id=note.message_id, note=note.text) for note in receipt.notes],
        reasons=[
            DeadEvent(position=each.position, code=each.code, message=each.message)
            for each in receipt.refusals[:MOST_REASONS]
        ],
    )


def _with_context(message: Any, common: dict[str, Any]) -> Any:
    """The message with the batch's context under its own."""
    if not isinstance(message, dict):
        return message
    own = message.get("context")
    if own is not None and not isinstance(own, dict):
        return message
    return {**message, "context": {**common, **(own or {})}}
