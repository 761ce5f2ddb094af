"""Plans: prepared sets of overrides that are switched on and off as one act."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.authoring.models.breakers import LevelsEntry
from engine.authoring.models.fields import Date, Duration, Id, Items
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse


class PauseEntry(Part):
    """What rests while the plan is on: nobody enters, and messages are held until it is off."""

    purposes: Items[Id] = Field(
        (),
        title="用途",
        description=(
            "All journeys and messages of these marketing purposes.\n暂停这些营销用途的全部旅程与消息。"
        ),
        examples=[["marketing"]],
    )
    journeys: Items[Id] = Field(
        (),
        title="旅程",
        description="These journeys rest: their entries and their messages.\n暂停这些旅程及其消息。",
        examples=[["repurchase"]],
    )


class CapOverride(Part):
    """Other figures for a cap; what is not said stays."""

    limit: int | None = Field(
        None,
        title="上限",
        description="How many messages at most in the cap's window.\n该上限窗口内最多几条。",
        examples=[1],
        ge=1,
        le=10_000,
    )
    min_gap: Duration | None = Field(
        None,
        title="最小间隔",
        description=(
            "The least time between two messages, for a cap that has one.\n"
            "两条消息之间的最短时间（用于间隔型上限）。"
        ),
        examples=["12h"],
    )
    when_full: Literal["skip", "defer", "next_channel"] | None = Field(
        None,
        title="满额时",
        description=(
            "skip the message, defer it, or try the next_channel.\n满额时：跳过、推迟或改试下一渠道。"
        ),
    )
    max_defer: Duration | None = Field(
        None,
        title="最长推迟",
        description="The longest a message is deferred; then it is skipped.\n最长推迟多久，之后跳过。",
        examples=["36h"],
    )


class BreakerOverride(Part):
    """Other thresholds for a breaker; what is not said stays."""

    levels: LevelsEntry | None = Field(
        None,
        title="级别",
        description="From which figures on it opens meanwhile.\n计划期间数值到多少时断开。",
        examples=[{"yellow": {"gt": "5%"}}],
    )
    min_samples: int | None = Field(
        None,
        title="最少样本",
        description="With fewer messages in the window it does not judge.\n窗口内消息少于此数时不判断。",
        examples=[20],
        ge=1,
        le=1_000_000,
    )


class PlanFile(Head):
    """A prepared set of overrides: for a holiday, a hot topic, a crisis. Off until it is switched on."""

    kind: Literal["plan"] = Field(
        title="种类",
        description=(
            "Always plan: a set of overrides, off until it is switched on.\n"
            "固定写 plan：一组预设调整，启用后才生效。"
        ),
    )
    at_most: Duration = Field(
        title="最长启用",
        description=(
            "How long it may be on at most (real time); then it ends by itself.\n"
            "最长启用多久（真实时间），之后自动结束。"
        ),
        examples=["7d"],
    )
    until: Date | None = Field(
        None,
        title="截止日期",
        description=(
            "The last day on which it may be on, in the workspace's zone; left out: any day.\n"
            "可以启用的最后一天（工作区时区）；不写则不限。"
        ),
        examples=["2026-10-08"],
    )
    together_with: Items[Id] = Field(
        (),
        title="可同时启用",
        description=(
            "Plans that may be on beside it; not said: it is on alone.\n"
            "可以与它同时启用的计划；不写则只能单独启用。"
        ),
    )
    pause: PauseEntry | None = Field(
        None,
        title="暂停",
        description=(
            "What rests while the plan is on: nobody enters, messages are held.\n"
            "启用期间暂停什么：不再进入，消息扣住。"
        ),
        examples=[{"purposes": ["marketing"]}],
    )
    enable: Items[Id] = Field(
        (),
        title="启用旅程",
        description=(
            "Journeys with 'enabled: false' that run while it is on.\n"
            "启用期间才运行的旅程（其文件写 enabled: false）。"
        ),
    )
    priorities: dict[Id, int] = Field(
        {},
        title="优先级",
        description=(
            "Journey and its priority, 0 to 100, for those who enter meanwhile.\n"
            "旅程及其优先级（0 到 100），对启用期间进入的人有效。"
        ),
        examples=[{"festival": 90}],
    )
    caps: dict[Id, CapOverride] = Field(
        {},
        title="频次上限",
        description=(
            "Caps that have other figures while it is on; what is not said stays.\n"
            "启用期间调整的频次上限；没写的保持不变。"
        ),
        examples=[{"weekly": {"limit": 5}}],
    )
    contents: dict[Id, Id] = Field(
        {},
        title="内容替换",
        description=(
            "Content, and the one that is sent instead of it.\n内容替换：原内容及启用期间改发的内容。"
        ),
        examples=[{"welcome_hello": "welcome_festival"}],
    )
    channels: Items[Id] = Field(
        (),
        title="渠道顺序",
        description=(
            "Channels to try first, in this order, where a step names them.\n"
            "步骤列出这些渠道时，按此顺序优先尝试。"
        ),
        examples=[["email", "sms"]],
    )
    breakers: dict[Id, BreakerOverride] = Field(
        {},
        title="熔断器",
        description=(
            "Breakers that have other thresholds while it is on; what is not said stays.\n"
            "启用期间调整阈值的熔断器；没写的保持不变。"
        ),
        examples=[{"email_failures": {"min_samples": 20}}],
    )

    @model_validator(mode="after")
    def _changes_something(self) -> PlanFile:
        keys = ("pause", "enable", "priorities", "caps", "contents", "channels", "breakers")
        if not any(getattr(self, key) for key in keys):
            raise refuse("RS055", "the plan changes nothing", f"add one of {', '.join(keys)}")
        for name, priority in self.priorities.items():
            if not 0 <= priority <= 100:
                message = f"must be 0 to 100; this is {priority}"
                raise refuse("RS030", message, at=("priorities", name))
        return self
