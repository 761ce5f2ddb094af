"""Quiet hours: when nobody is to be disturbed, by law, by a platform's rules or by the contact's wish."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import ClockTime, Date, Duration, Id, Items, Region
from engine.authoring.models.limits import Weekday
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse
from engine.authoring.models.scope import ScopeEntry
from engine.authoring.models.zones import CapZone


class HeldEntry(ScopeEntry):
    """Which messages wait. Every key narrows it; without any they all do."""

    kinds: Items[Literal["marketing", "transactional", "legal"]] = Field(
        (),
        title="用途类别",
        description=(
            "Only messages whose purpose is of these kinds, as laws tell advertising from service.\n"
            "只限这些类别的用途，例如法律只限制营销。"
        ),
        examples=[["marketing"]],
    )
    contents: Items[Id] = Field(
        (),
        title="内容",
        description="Only messages with these contents.\n只限这些内容的消息。",
        examples=[["welcome_hello"]],
    )
    identities: Items[Id] = Field(
        (),
        title="身份平台",
        description=(
            "Only messages to addresses of these platforms, whatever channel carries them.\n"
            "只限发往这些平台地址的消息，不论走哪个渠道。"
        ),
        examples=[["phone"]],
    )


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
    holds_back: HeldEntry = Field(
        title="适用范围",
        description="Which messages wait; {} for all of them.\n哪些消息要等待；{} 表示全部。",
        examples=[{"kinds": ["marketing"], "identities": ["phone"]}],
    )
    except_: HeldEntry | None = Field(
        None,
        alias="except",
        title="除外",
        description=(
            "Messages among them that do not wait; not for law and platform.\n"
            "其中不必等待的消息；law 与 platform 不可写。"
        ),
        examples=[{"contents": ["welcome_hello"]}],
    )
    countries: Items[Region] = Field(
        (),
        title="国家或地区",
        description=(
            "Only contacts who live there, or of whom it is not known, as CN, US or US-FL; without it "
            "everywhere.\n"
            "只限居住在这些国家或地区（或居住地未知）的联系人，如 CN、US、US-FL；不写则不限。"
        ),
        examples=[["CN"]],
    )
    from_: ClockTime | None = Field(
        None,
        alias="from",
        title="开始",
        description=(
            "When quiet begins, on the clock of `timezone`.\n开始免打扰的时刻，以 timezone 的时钟为准。"
        ),
        examples=["20:00"],
    )
    until: ClockTime | None = Field(
        None,
        title="结束",
        description=(
            "When it ends; earlier than `from` means the next morning, and the same the next day, where "
            "`weekdays` are named.\n"
            "结束免打扰的时刻；早于 from 表示次日早晨；写明 weekdays 时可与 from 相同，即整整一天。"
        ),
        examples=["08:00"],
    )
    wish: Id | None = Field(
        None,
        title="本人意愿",
        description=(
            "Instead of from and until: the contact's attribute, of type text, that says when they wish "
            "to be left alone, as 22:00-08:00. Without a value there is no wish.\n"
            "代替 from 与 until：文本类型的联系人属性，值如 22:00-08:00；没有值即没有要求。"
        ),
        examples=["quiet_time"],
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
    on_holidays: Id | None = Field(
        None,
        title="节假日",
        description=(
            "Beside `weekdays`: days that this calendar names as holidays, whatever weekday they are.\n"
            "除 weekdays 之外，还包括该日历列出的节假日，不论星期几。"
        ),
        examples=["france"],
    )
    timezone: CapZone = Field(
        "contact",
        title="时区",
        description=(
            "Whose clock: contact (when left out; of several zones that may be theirs, all hold), workspace, "
            "or an IANA name.\n"
            "以谁的时钟为准：contact（默认，可能的几个时区须全部满足）、workspace 或时区名。"
        ),
    )
    when_quiet: Literal["defer", "skip", "next_channel"] = Field(
        "defer",
        title="静默时",
        description=(
            "defer (when left out) the message to the first allowed moment, skip it, or let the step's "
            "next_channel try and wait if none can.\n"
            "defer（默认）推迟到允许的时刻，skip 不发，next_channel 先试步骤的下一个渠道，都不行再等待。"
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
        self._says_when()
        if self.except_ is not None:
            if not self.except_.model_fields_set:
                raise refuse("RS055", "this leaves nothing to wait", "say which messages", at=("except",))
            if self.because in {"law", "platform"}:
                message = f"a rule by {self.because} has no exceptions of one's own"
                raise refuse("RS055", message, "remove it", at=("except",))
        if self.because in {"law", "platform"} and not (self.source and self.as_of):
            message = f"a rule by {self.because} says where it stands and when that was read"
            raise refuse("RS055", message, "add 'source' and 'as_of'", at=("because",))
        if self.spread is not None and self.when_quiet == "skip":
            message = "'spread' only means something with when_quiet: defer"
            raise refuse("RS055", message, "remove it", at=("spread",))
        return self

    def _says_when(self) -> None:
        example = 'as from: "22:00" and until: "08:00"'
        if (self.wish is not None) != (self.because == "contact"):
            message = "'wish' and because: contact go together: it is the contact who says when"
            raise refuse("RS055", message, "add or remove 'wish'", at=("because",))
        if self.wish is not None:
            if self.from_ is not None or self.until is not None or self.weekdays or self.on_holidays:
                message = "the hours are the contact's own, in the attribute that 'wish' names"
                hint = "remove 'from', 'until', 'weekdays' and 'on_holidays'"
                raise refuse("RS055", message, hint, at=("wish",))
            return
        if self.from_ is None or self.until is None:
            raise refuse("RS055", "it does not say from when until when", example)
        days = len(set(self.weekdays))
        if self.from_ == self.until and (days == 7 or (not days and self.on_holidays is None)):
            message = "quiet that ends when it begins would never be, or always"
            raise refuse("RS055", message, f"{example}; for whole days name the 'weekdays'", at=("until",))


class QuietHoursFile(Head):
    """Quiet hours."""

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
