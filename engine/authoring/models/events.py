"""The types of events that senders report."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from engine.authoring.models.fields import Id, Items
from engine.authoring.models.part import Head, Part


class EventEntry(Part):
    """One type of event: what it is called and which properties it carries."""

    id: Id = Field(
        title="编号",
        description=(
            "The type's name, as senders and journeys use it.\n事件类型的编号，发送方与旅程使用它。"
        ),
        examples=["order_paid"],
    )
    title: str = Field(
        title="标题",
        description="What people read in lists of events.\n事件列表中显示的名称。",
        examples=["支付订单"],
        min_length=1,
        max_length=200,
    )
    schema_: dict[str, Any] = Field(
        {},
        alias="schema",
        title="属性结构",
        description=(
            "JSON Schema of the properties; events that do not fit become dead letters. Left out: any "
            "properties.\n"
            "属性的 JSON Schema；不符合的事件进入死信，不写则不限。"
        ),
        examples=[{"type": "object", "properties": {"amount": {"type": "number"}}}],
    )
    effect: Literal["order", "consent_granted", "consent_denied", "consent_withdrawn", "deleted"] | None = (
        Field(
            None,
            title="系统效果",
            description=(
                "What the engine itself does with it: order counts an order and adds its `amount`; "
                "consent_granted, consent_denied and consent_withdrawn write the consent ledger; deleted "
                "stops all messages and ends what is under way.\n"
                "系统处理：order 计入订单及 amount；"
                "consent_granted、consent_denied、consent_withdrawn 记入同意台账；"
                "deleted 停发一切消息并结束进行中的旅程。不写则无。"
            ),
        )
    )
    counts_as_activity: bool = Field(
        True,
        title="算作活跃",
        description=(
            "Whether it shows that the contact did something (moves contact.last_active_at); true "
            "when left out.\n"
            "是否表示联系人有所行动（更新最近活跃时间）；默认 true。"
        ),
    )


class EventsFile(Head):
    """Event types."""

    kind: Literal["events"] = Field(
        title="种类",
        description="Always events: this file holds event types.\n固定写 events：本文件定义事件类型。",
    )
    events: Items[EventEntry] = Field(
        title="事件类型",
        description="The event types; others become dead letters.\n事件类型列表；未列出的进入死信。",
        min_length=1,
    )
