"""Quiet hours: when nobody is to be disturbed, by law, by a platform's rules or by the contact's wish."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import CapZone, ClockTime, Date, Duration, Id, Items
from engine.authoring.models.limits import Weekday
from engine.authoring.models.part import Head, Part, Unacted
from engine.authoring.models.refusing import refuse
from engine.authoring.models.scope import ScopeEntry


class QuietEntry(Part):
    """Hours in which messages wait. Of several that apply, all are kept: their hours add up."""

    id: Id = Field(
        title="编号",
        description="The rule's name, as decisions cite it.\n规则的编号，决策记录中引用它。",
        examples=["night"],
    )
    because: Literal["law", "platform", "contact", "courtesy"] = Field(
        title="缘由",
        description=(
            "Who asks for it: law and platform need a source; contact: the contact's own wish.\n"
            "依据：law 法律、platform 平台（两者须有出处）、contact 本人意愿、courtesy 礼貌。"
        ),
    )
    holds_back: ScopeEntry = Field(
        title="适用范围",
        description="Which messages wait; {} for all of them.\n哪些消息要等待；{} 表示全部。",
        examples=[{"purposes": ["marketing"]}],
    )
    countries: Items[str] = Field(
        (),
        title="国家或地区",
        description=(
            "Only contacts there, as two-letter codes in quotes; without it everywhere.\n"
            "只限这些国家或地区的联系人，写两位代码并加引号；不写则不限。"
        ),
        examples=[["CN"]],
    )
    from_: ClockTime = Field(
        alias="from",
        title="开始",
        description=(
            "When quiet begins, on the clock of `timezone`.\n开始免打扰的时刻，以 timezone 的时钟为准。"
        ),
        examples=["20:00"],
    )
    until: ClockTime = Field(
        title="结束",
        description=(
            "When it ends; earlier than `from` means the next morning.\n"
            "结束免打扰的时刻；早于 from 表示次日早晨。"
        ),
        examples=["08:00"],
    )
    weekdays: Items[Weekday] = Field(
        (),
        title="星期",
        description=(
            "Only nights that begin on these days; without it every day.\n"
            "只限从这些日子开始的夜晚；不写则每天。"
        ),
        examples=[["sat", "sun"]],
    )
    timezone: CapZone = Field(
        "contact",
        title="时区",
        description=(
            "Whose clock: contact (when left out; an unknown zone is taken strictly), workspace, or "
            "an IANA name.\n"
            "以谁的时钟为准：contact（默认，时区未知时从严）、workspace 或时区名。"
        ),
    )
    when_quiet: Literal["defer", "skip"] = Field(
        "defer",
        title="静默时",
        description=(
            "defer (when left out) the message to the first allowed moment, or skip it.\n"
            "defer（默认）推迟到允许的时刻，skip 跳过。"
        ),
    )
    spread: Duration | None = Field(
        None,
        title="错峰",
        description=(
            "Deferred messages leave spread over this time, not all in one second.\n"
            "推迟的消息在此时间内错开发出。"
        ),
        examples=["30m"],
    )
    source: str = Field(
        "",
        title="来源",
        description=(
            "Where the rule stands: the law or the platform's page; needed for law and platform.\n"
            "规则的出处：法律或平台页面。"
        ),
        max_length=1000,
        examples=["通信短信息服务管理规定"],
    )
    as_of: Date | None = Field(
        None,
        title="截至",
        description="The day on which the source was read; needed for law and platform.\n查阅来源的日期。",
        examples=["2026-03-01"],
    )

    @model_validator(mode="after")
    def _fits_together(self) -> QuietEntry:
        if self.from_ == self.until:
            message = "quiet that ends when it begins would never be, or always"
            raise refuse("RS055", message, 'as from: "22:00" and until: "08:00"', at=("until",))
        if self.because in {"law", "platform"} and not (self.source and self.as_of):
            message = f"a rule by {self.because} says where it stands and when that was read"
            raise refuse("RS055", message, "add 'source' and 'as_of'", at=("because",))
        if self.spread is not None and self.when_quiet == "skip":
            message = "'spread' only means something with when_quiet: defer"
            raise refuse("RS055", message, "remove it", at=("spread",))
        return self


class QuietHoursFile(Head):
    """Quiet hours."""

    unacted: ClassVar[tuple[Unacted, ...]] = (Unacted("", "no message waits for a quiet hour to end"),)

    kind: Literal["quiet_hours"] = Field(
        title="种类",
        description=(
            "Always quiet_hours: hours in which messages wait.\n固定写 quiet_hours：本文件定义免打扰时段。"
        ),
    )
    quiet_hours: Items[QuietEntry] = Field(
        title="免打扰时段",
        description=(
            "The rules; a message leaves when none of them is quiet.\n"
            "免打扰规则；所有规则都不处于免打扰时才发送。"
        ),
        min_length=1,
    )
