"""What befalls the people of a test: events before and during it, answers to tasks, ends of calls."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Duration, Id, Scalar
from engine.authoring.models.moments import Moment
from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse


class PastEntry(Part):
    """Something from before the start: it counts for the contact's facts and starts no journey."""

    ago: Duration = Field(
        title="多久以前",
        description="How long before the start it happened.\n在测试开始前多久发生。",
        examples=["100d"],
    )
    event: Id = Field(
        title="事件",
        description="Event type of what happened, as the events file names it.\n发生的事件类型。",
        examples=["order_paid"],
    )
    properties: dict[str, Any] = Field(
        {},
        title="属性",
        description="Properties, checked against the event's schema.\n事件属性，按事件的结构检查。",
        examples=[{"amount": 100}],
    )
    contact: Id | None = Field(
        None,
        title="联系人",
        description="Whose, when the test has several contacts.\n属于谁；测试有多位联系人时填写。",
    )


class HappeningEntry(Part):
    """Something that happens during the test."""

    at: Moment = Field(
        title="时刻",
        description=(
            'Since the start, as 0d, 20d or "1d 2h"; or "2026-03-21 10:00" on the contact\'s clock.\n'
            "发生时刻：自开始起多久，或联系人时钟上的日期时间。"
        ),
    )
    event: Id | None = Field(
        None,
        title="事件",
        description=(
            "Event type; may be left out when only traits change.\n事件类型；只改变联系人资料时可不写。"
        ),
        examples=["order_paid"],
    )
    properties: dict[str, Any] = Field(
        {},
        title="属性",
        description="Properties, checked against the event's schema.\n事件属性，按事件的结构检查。",
        examples=[{"amount": 100}],
    )
    traits: dict[str, Any] = Field(
        {},
        title="联系人变化",
        description=(
            "What becomes known: tags (a list is added; {remove: […]} takes them off), timezone, locale, "
            "attributes, addresses.\n"
            "由此得知的联系人资料：标签（写列表为添加，{remove: […]} 为去掉）、时区、语言、属性、地址。"
        ),
        examples=[{"tags": ["vip"]}],
    )
    contact: Id | None = Field(
        None,
        title="联系人",
        description="Whose, when the test has several contacts.\n属于谁；测试有多位联系人时填写。",
    )

    @model_validator(mode="after")
    def _says_something(self) -> HappeningEntry:
        if self.event is None and not self.traits:
            raise refuse("RS055", "this says neither an event nor traits", "add 'event: order_paid'")
        if self.event is None and self.properties:
            message = "properties belong to an event, and none is named"
            raise refuse("RS055", message, "add 'event: order_paid'", at=("properties",))
        return self


class AnswerEntry(Part):
    """A person's answer to a task that a journey has given."""

    at: Moment = Field(
        title="时刻",
        description=(
            'Since the start, as 2h or "1d 2h"; or "2026-03-21 10:00" on the contact\'s clock.\n'
            "回答时刻：自开始起多久，或联系人时钟上的日期时间。"
        ),
    )
    task: Id = Field(
        title="任务",
        description=(
            "Id of the step whose task is answered; it must be open then.\n"
            "被回答的任务的步骤编号；届时任务须未处理。"
        ),
        examples=["call_back"],
    )
    choice: Id = Field(
        title="选项",
        description="Id of the answer that is given.\n所选答案的编号。",
        examples=["solved"],
    )
    journey: Id | None = Field(
        None,
        title="旅程",
        description=(
            "Journey of the step, when several are tested together.\n步骤所属的旅程；同时测试多个旅程时填写。"
        ),
    )
    contact: Id | None = Field(
        None,
        title="联系人",
        description="Whose, when the test has several contacts.\n属于谁；测试有多位联系人时填写。",
    )


class SaidCallEntry(Part):
    """How the call of a step ends in this test; what is not said is done at once."""

    call: Id = Field(
        title="调用步骤",
        description=(
            "Id of the step; of several entries for one step each serves one call, in this order, and the "
            "last one all further calls.\n"
            "call 步骤的编号；同一步骤有多条时依次使用，最后一条用于其余。"
        ),
        examples=["give_points"],
    )
    outcome: Literal["done", "failed", "expired", "unknown"] = Field(
        "done",
        title="结果",
        description=(
            "How it ends; no action is really called, and the end comes at once.\n"
            "调用如何结束；测试中不会真正执行动作，结果立即得到。"
        ),
        examples=["failed"],
    )
    results: dict[Id, Scalar] = Field(
        {},
        title="返回值",
        description=(
            "What it answers, of the names that the step keeps; those not said stay unknown.\n"
            "动作返回的值（步骤 results 中的名称）；没写的保持未知。"
        ),
        examples=[{"balance": 150}],
    )
    journey: Id | None = Field(
        None,
        title="旅程",
        description=(
            "Journey of the step, when several are tested together.\n步骤所属的旅程；同时测试多个旅程时填写。"
        ),
    )
    contact: Id | None = Field(
        None,
        title="联系人",
        description=(
            "Whose, when the test has several contacts; left out: everybody's.\n"
            "属于谁；测试有多位联系人时填写，不写则对所有人有效。"
        ),
    )
