"""Reads what a system of one's own tells in webhooks: receipts, messages of people, events, preferences."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from engine.plugin import Happened, Inbound, Preference, Receipt, Told

Text = Annotated[str, Field(min_length=1, max_length=300)]


class _Part(BaseModel):
    # What a sender adds one day must not break the callbacks of today.
    model_config = ConfigDict(extra="ignore", strict=False)


class _ReceiptData(_Part):
    intent: Annotated[str, Field(max_length=300)] = ""
    provider_id: Annotated[str, Field(max_length=300)] = ""
    said: Literal["accepted", "delivered", "bounced", "read", "complained"]
    code: Annotated[str, Field(max_length=100)] = ""
    permanent: bool = False
    """Of a bounce: the address does not exist."""
    at: AwareDatetime | None = None


class _InboundData(_Part):
    id: Text
    sender: Text
    text: str
    at: AwareDatetime | None = None
    answers: Annotated[str, Field(max_length=300)] = ""
    properties: dict[str, Any] = {}


class _EventData(_Part):
    id: Text
    type: Text
    contact: Text
    at: AwareDatetime | None = None
    properties: dict[str, Any] = {}


class _PreferenceData(_Part):
    id: Text
    contact: Text
    marketing: bool
    """False: the person wants no more of it on this channel."""
    said: Annotated[str, Field(max_length=300)] = ""
    at: AwareDatetime | None = None


class _Receipt(_Part):
    type: Literal["message.receipt"]
    timestamp: AwareDatetime
    data: _ReceiptData


class _Inbound(_Part):
    type: Literal["message.inbound"]
    timestamp: AwareDatetime
    data: _InboundData


class _Event(_Part):
    type: Literal["contact.event"]
    timestamp: AwareDatetime
    data: _EventData


class _Preference(_Part):
    type: Literal["contact.preference"]
    timestamp: AwareDatetime
    data: _PreferenceData


_READ: TypeAdapter[_Receipt | _Inbound | _Event | _Preference] = TypeAdapter(
    Annotated[_Receipt | _Inbound | _Event | _Preference, Field(discriminator="type")]
)
KNOWN = ("message.receipt", "message.inbound", "contact.event", "contact.preference")


class NotReadable(Exception):
    """The body is not what the guide describes; says where, and not what stood there."""


def read_told(body: bytes) -> tuple[Told, ...]:
    """What the body tells; nothing for a type that is not ours to understand. NotReadable otherwise."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise NotReadable("the body is not JSON") from None
    if not isinstance(found, dict):
        raise NotReadable("the body is not an object")
    if isinstance(found.get("type"), str) and found["type"] not in KNOWN:
        return ()
    try:
        told = _READ.validate_python(found)
    except ValidationError as error:
        places = {".".join(str(step) for step in fault["loc"][1:]) or "type" for fault in error.errors()}
        raise NotReadable(f"not as documented: {', '.join(sorted(places))}") from None
    data = told.data
    at: datetime = data.at or told.timestamp
    match data:
        case _ReceiptData():
            if not (data.intent or data.provider_id):
                raise NotReadable("a receipt names its message by intent or by provider_id")
            closes = data.permanent and data.said == "bounced"
            return (Receipt(data.said, at, data.provider_id, data.intent, data.code, closes),)
        case _InboundData():
            return (Inbound(data.sender, data.text, at, data.id, data.answers, data.properties),)
        case _EventData():
            return (Happened(data.type, data.contact, at, data.id, data.properties),)
        case _PreferenceData():
            return (Preference(data.contact, data.marketing, at, data.id, data.said),)
