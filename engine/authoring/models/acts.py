"""What operators do during a test: to plans, breakers and budgets, and to contacts who are one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Id, Items
from engine.authoring.models.moments import Moment
from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse

_OF_ACT = {
    "plan_on": {"at", "until"},
    "plan_off": {"at"},
    "trip": {"at", "level", "channel", "journey", "content"},
    "reset": {"at", "channel", "journey", "content"},
    "merge": {"at"},
    "halt": {"at", "share"},
    "resume": {"at", "share"},
}
"""What an operator does -> the keys that may stand beside it."""


class ActEntry(Part):
    """Something an operator does during the test: to a plan, a breaker, a budget, or to two contacts."""

    at: Moment = Field(
        title="时刻",
        description=(
            'Since the start, as 2d or "1d 2h"; or "2026-03-21 10:00" on the workspace\'s clock.\n'
            "操作时刻：自开始起多久，或工作区时钟上的日期时间。"
        ),
    )
    plan_on: Id | None = Field(
        None,
        title="启用预案",
        description="Plan that is switched on.\n启用的预案。",
        examples=["holiday"],
    )
    plan_off: Id | None = Field(
        None,
        title="关闭预案",
        description="Plan that is switched off.\n关闭的预案。",
        examples=["holiday"],
    )
    until: Moment | None = Field(
        None,
        title="直到",
        description=(
            "When the plan ends by itself, since the start of the test; left out: as late as its file "
            "allows.\n"
            "预案自动结束的时刻（自测试开始起）；不写则到其文件允许的最晚时刻。"
        ),
        examples=["5d"],
    )
    trip: Id | None = Field(
        None,
        title="触发熔断",
        description=(
            "Breaker that is tripped by hand; it holds until it is reset.\n手动触发的熔断器，直到复位。"
        ),
        examples=["send_failure"],
    )
    reset: Id | None = Field(
        None,
        title="复位熔断",
        description=(
            "Breaker that is reset; what it held is looked at again.\n复位的熔断器；被扣住的消息重新判断。"
        ),
        examples=["send_failure"],
    )
    merge: Items[Id] | None = Field(
        None,
        title="合并联系人",
        description=(
            "Two contacts of the test who turn out to be one person; from then on all is told of the one "
            "whose name comes first in the alphabet.\n"
            "发现是同一人的两位测试联系人；此后一切都记在名字按字母顺序在前的那位名下。"
        ),
        examples=[["anna", "ben"]],
    )
    halt: Id | None = Field(
        None,
        title="暂停预算份额",
        description=(
            "Budget with a `return` of which a share is halted by hand, until it is resumed.\n"
            "手动暂停其份额的预算（须声明 return），直到恢复。"
        ),
        examples=["coupons"],
    )
    resume: Id | None = Field(
        None,
        title="恢复预算份额",
        description=(
            "Budget of which a share goes on; what it held is looked at again.\n"
            "恢复其份额的预算；被扣住的消息重新判断。"
        ),
        examples=["coupons"],
    )
    share: Id | None = Field(
        None,
        title="份额",
        description=(
            "Which share is halted or resumed; others, the share of all other messages, when left out.\n"
            "暂停或恢复哪个份额；默认 others，即其余消息。"
        ),
        examples=["valued"],
    )
    level: Literal["yellow", "red"] | None = Field(
        None,
        title="级别",
        description="Level at which it is tripped; red when not said.\n触发的级别；默认 red。",
    )
    channel: Id | None = Field(
        None,
        title="渠道",
        description="Which channel, for a breaker that watches each.\n按渠道监控的熔断器：哪个渠道。",
        examples=["email"],
    )
    journey: Id | None = Field(
        None,
        title="旅程",
        description="Which journey, for a breaker that watches each.\n按旅程监控的熔断器：哪个旅程。",
    )
    content: Id | None = Field(
        None,
        title="内容",
        description="Which content, for a breaker that watches each.\n按内容监控的熔断器：哪个内容。",
    )

    @model_validator(mode="after")
    def _does_one_thing(self) -> ActEntry:
        done = [kind for kind in _OF_ACT if getattr(self, kind) is not None]
        if not done:
            message = f"this does nothing; name one of {', '.join(_OF_ACT)}"
            raise refuse("RS055", message, "as {at: 2d, plan_on: holiday}")
        if len(done) > 1:
            message = f"'{done[0]}' and '{done[1]}' are two acts"
            raise refuse("RS055", message, "begin each with '- ' on its own", at=(done[1],))
        if self.merge is not None and len(set(self.merge)) != 2:
            raise refuse("RS055", "two contacts are merged at a time", "as merge: [anna, ben]", at=("merge",))
        for key in sorted(self.model_fields_set - {done[0]} - _OF_ACT[done[0]]):
            fitting = ", ".join(sorted(_OF_ACT[done[0]]))
            message = f"'{key}' says nothing about '{done[0]}'"
            raise refuse("RS055", message, f"beside '{done[0]}' may stand {fitting}", at=(key,))
        return self
