"""Which messages something counts, limits or holds back."""

from __future__ import annotations

from pydantic import Field

from engine.authoring.models.fields import Id, Items
from engine.authoring.models.part import Part


class ScopeEntry(Part):
    """Which messages it is about. Every key narrows it; without any it is about all of them."""

    purposes: Items[Id] = Field(
        (),
        title="用途",
        description=(
            "Only messages of these purposes, as the purposes file names them.\n只限这些用途的消息。"
        ),
        examples=[["marketing"]],
    )
    channels: Items[Id] = Field(
        (),
        title="渠道",
        description="Only messages that go out on these channels.\n只限走这些渠道的消息。",
        examples=[["sms", "email"]],
    )
    journeys: Items[Id] = Field(
        (),
        title="旅程",
        description="Only messages that come from these journeys.\n只限这些旅程的消息。",
        examples=[["welcome"]],
    )
