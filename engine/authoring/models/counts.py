"""Counts over a moving window: how often something happened to a contact lately, or how much in sum."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, model_validator

from engine.authoring.models.fields import Condition, Duration, Id, OneOrMore
from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=730)


class CountedEntry(Part):
    """Which events are counted."""

    event: OneOrMore | None = Field(
        None,
        title="事件",
        description=(
            "Event type to count, or a list of them; instead of `activity`.\n"
            "要统计的事件类型，可写一个或一组；与 activity 二选一。"
        ),
        examples=["order_paid"],
    )
    activity: bool | None = Field(
        None,
        title="任何活动",
        description=(
            "true: whatever contacts did themselves: events whose type counts as activity.\n"
            "true：统计联系人自己做的任何事（算作活跃的事件）。"
        ),
    )
    when: Condition | None = Field(
        None,
        title="条件",
        description=(
            "Which of these events count; sees the event's own facts only. Left out: all of them.\n"
            "哪些事件计入；只能用事件自身的事实，不写则全部计入。"
        ),
        examples=[{"event.amount": {"gte": 100}}],
    )

    @model_validator(mode="after")
    def _says_what(self) -> CountedEntry:
        if self.activity is False:
            raise refuse("RS071", "'activity' is only ever true", "name an 'event' instead", at=("activity",))
        if (self.event is None) == (self.activity is None):
            message = "what is counted is one of {event: order_paid} or {activity: true}"
            raise refuse("RS071", message, "keep one of 'event' and 'activity'")
        if self.event is not None and not self.event:
            raise refuse("RS005", "must not be empty", "name at least one event type", at=("event",))
        if self.activity and self.when is not None:
            message = "'when' belongs to 'event': activity is any of many event types"
            raise refuse("RS071", message, "name the event types, or remove 'when'", at=("when",))
        return self


class CountEntry(Part):
    """A number about each contact that moves with time: events, or a sum over them, in the last so long.

    Exact also when events arrive late or out of order, as far as the latest hundred events in the window go;
    those before them leave the window in a hundred portions instead of one by one.
    """

    id: Id = Field(
        title="编号",
        description=(
            "The count's name; conditions ask for contact.<id>, as contact.orders_90d.\n"
            "统计的编号；条件中写 contact.<编号>。"
        ),
        examples=["orders_90d"],
    )
    title: str = Field(
        "",
        title="标题",
        description=(
            "What people read in lists; left out, they read the id.\n列表中显示的名称；不写则显示编号。"
        ),
        examples=["近 90 天订单数"],
        max_length=200,
    )
    of: CountedEntry = Field(
        title="统计对象",
        description=(
            "What is counted, as {event: order_paid} or {activity: true}.\n统计什么：某类事件，或任何活动。"
        ),
        examples=[{"event": "order_paid"}],
    )
    sum: str | None = Field(
        None,
        title="求和属性",
        description=(
            "Number property that is added up, as amount; not said: events are counted.\n"
            "要累加的数值属性；不写则统计事件次数。"
        ),
        examples=["amount"],
        min_length=1,
    )
    within: Duration = Field(
        title="时间窗口",
        description=(
            "How far back it looks, 1m to 730d: events younger than this count.\n"
            "向前看多久（1m 到 730d），这段时间内的事件计入。"
        ),
        examples=["90d"],
    )

    @model_validator(mode="after")
    def _fits_together(self) -> CountEntry:
        if not SHORTEST <= self.within <= LONGEST:
            raise refuse("RS030", "a count looks back between 1m and 730d", "as 90d", at=("within",))
        if self.sum is not None and self.of.activity:
            message = "'sum' needs events of which every one has that property"
            raise refuse("RS071", message, "name the event types under 'of'", at=("sum",))
        return self
