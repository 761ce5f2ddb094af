"""What contacts are worth beside each other, where they compete for what there is not enough of."""

from __future__ import annotations

from pydantic import Field

from engine.authoring.models.fields import Condition, Items
from engine.authoring.models.part import Part


class WorthEntry(Part):
    """Contacts of a certain value."""

    when: Condition = Field(
        title="条件",
        description=(
            "Which contacts; sees the contact's facts. The first that is true counts; what is not known "
            "makes nobody worth more.\n"
            "哪些联系人；可用联系人事实，取第一个成立的；未知的事实不会提高价值。"
        ),
        examples=[{"contact.stage": "valued"}],
    )
    value: float = Field(
        title="价值",
        description="What they are worth; others are worth `otherwise`.\n他们的价值；其他人为 otherwise。",
        ge=0.1,
        le=10,
        examples=[3],
    )


class ContactValueEntry(Part):
    """What contacts are worth beside each other."""

    cases: Items[WorthEntry] = Field(
        title="各类联系人",
        description=(
            "Contacts of a certain value, the first that fits.\n按顺序列出各类联系人的价值，取第一个符合的。"
        ),
        min_length=1,
        examples=[[{"when": {"contact.stage": "valued"}, "value": 3}]],
    )
    otherwise: float = Field(
        1.0,
        title="其他人",
        description="What everybody else is worth; 1 when left out.\n其他人的价值；默认 1。",
        ge=0.1,
        le=10,
        examples=[1],
    )
