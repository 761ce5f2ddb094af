"""Frequency caps: how many messages a contact gets, and when the next one may come."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from engine.authoring.models.fields import Condition, Date, Duration, Id, Items
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse
from engine.authoring.models.zones import CapZone

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class CountsEntry(Part):
    """Which messages a cap counts; what is not said counts everything."""

    purpose: Id | None = Field(
        None,
        title="用途",
        description=(
            "Only messages of this purpose; left out: of every one.\n只统计该用途的消息；不写则不限用途。"
        ),
        examples=["marketing"],
    )
    channels: Items[Id] = Field(
        (),
        title="渠道",
        description=(
            "Only messages on these channels; left out: on all of them.\n"
            "只统计这些渠道的消息；不写则不限渠道。"
        ),
        examples=[["sms"]],
    )
    journeys: Items[Id] = Field(
        (),
        title="旅程",
        description=(
            "Only messages of these journeys; left out: of all of them.\n"
            "只统计这些旅程的消息；不写则不限旅程。"
        ),
        examples=[["welcome"]],
    )
    tags: Items[str] = Field(
        (),
        title="标签",
        description=(
            "Only contacts with one of these tags; left out: all contacts.\n"
            "只针对带有其中任一标签的联系人；不写则所有人。"
        ),
        examples=[["vip"]],
    )
    contents: Items[Id] = Field(
        (),
        title="内容",
        description=(
            "Only messages with these contents; left out: with any.\n只统计这些内容的消息；不写则不限内容。"
        ),
        examples=[["welcome_hello"]],
    )


class RollingEntry(Part):
    """The time just past."""

    rolling: Duration = Field(
        title="滚动窗口",
        description=(
            "Length of the window that ends now: seven days mean the last seven times 24 hours.\n"
            "截至此刻的一段时间长度。"
        ),
        examples=["7d"],
    )


class CalendarEntry(Part):
    """A day, week or month of the calendar."""

    calendar: Literal["day", "week", "month"] = Field(
        title="日历窗口",
        description=(
            "Begins anew with every day, week or month of the calendar.\n按自然日、周或月重新计数。"
        ),
    )
    timezone: CapZone = Field(
        title="时区",
        description=(
            "Whose calendar: contact (each contact's own), workspace, or an IANA name.\n"
            "以谁的日历为准：contact（各联系人自己的）、workspace 或时区名。"
        ),
    )
    week_starts: Weekday | None = Field(
        None,
        title="一周始于",
        description=(
            "First day of a week, only with calendar: week; mon when not said.\n"
            "每周的第一天，仅用于 calendar: week；默认星期一。"
        ),
    )

    @model_validator(mode="after")
    def _only_weeks_start(self) -> CalendarEntry:
        if self.week_starts is not None and self.calendar != "week":
            raise refuse(
                "RS055", "only a calendar week has a first day", "remove 'week_starts'", at=("week_starts",)
            )
        return self


def _kind_of_window(raw: Any) -> str:
    if isinstance(raw, RollingEntry) or (isinstance(raw, dict) and "rolling" in raw):
        return "<rolling>"
    return "<calendar>"


Window = Annotated[
    Annotated[RollingEntry, Tag("<rolling>")] | Annotated[CalendarEntry, Tag("<calendar>")],
    Discriminator(_kind_of_window),
]


class QuotaEntry(Part):
    """Where a platform's own limit stands."""

    source: str = Field(
        title="来源",
        description="The platform's page or contract that sets the limit.\n规定该上限的平台页面或合同。",
        min_length=1,
        max_length=1000,
    )
    as_of: Date = Field(
        title="截至",
        description="The day on which the source was read.\n查阅来源的日期。",
        examples=["2026-03-01"],
    )


class CapEntry(Part):
    """A frequency limit: so many messages in a window, or a gap between two."""

    id: Id = Field(
        title="编号",
        description="The cap's name, as decisions cite it.\n频次上限的编号，决策记录中引用它。",
        examples=["weekly"],
    )
    counts: CountsEntry = Field(
        title="计数范围",
        description=(
            "Which messages it counts and limits; {} for all of them.\n统计并限制哪些消息；{} 表示全部。"
        ),
        examples=[{"purpose": "marketing"}],
    )
    limit: int | None = Field(
        None,
        title="上限",
        description=(
            "How many messages a contact gets at most in the window.\n窗口内每位联系人最多收到几条。"
        ),
        examples=[3],
        ge=1,
        le=10_000,
    )
    window: Window | None = Field(
        None,
        title="窗口",
        description=(
            "The time within which `limit` holds: a rolling one, or a day, week or month.\n"
            "limit 适用的时间段：滚动窗口，或自然日、周、月。"
        ),
        examples=[{"rolling": "7d"}, {"calendar": "day", "timezone": "contact"}],
    )
    min_gap: Duration | None = Field(
        None,
        title="最小间隔",
        description=(
            "The least time between two messages; instead of limit and window.\n"
            "两条消息之间的最短时间；与 limit、window 二选一。"
        ),
        examples=["4h"],
    )
    when_full: Literal["skip", "defer", "next_channel"] = Field(
        title="满额时",
        description=(
            "skip the message, defer it until there is room, or try the next_channel.\n"
            "满额时：skip 跳过，defer 推迟到有名额，next_channel 改试下一渠道。"
        ),
    )
    max_defer: Duration | None = Field(
        None,
        title="最长推迟",
        description=(
            "With when_full: defer, the longest a message is deferred; then it is skipped. Left out: "
            "as long as its purpose allows.\n"
            "配合 defer：最长推迟多久，之后跳过；不写则以用途允许的时长为限。"
        ),
        examples=["36h"],
    )
    look_ahead: Duration | None = Field(
        None,
        title="前瞻",
        description=(
            "A message leaves the last place to one of higher value (its journey's priority times its "
            "content's value) that is due within this time, and takes it when that does not come.\n"
            "若在此时间内有价值更高的消息（旅程优先级 × 内容价值）到期，则让出最后一个名额；"
            "对方没来则自己用。"
        ),
        examples=["6h"],
    )
    quota: QuotaEntry | None = Field(
        None,
        title="平台配额",
        description=(
            "Marks a limit that the platform itself sets: no purpose is exempt from it, and no tolerance "
            "scales it.\n"
            "表示平台自己设定的上限：任何用途都不豁免，也不受耐受度调整。"
        ),
        examples=[{"source": "平台公告", "as_of": "2026-03-01"}],
    )

    @model_validator(mode="after")
    def _is_one_limit(self) -> CapEntry:
        if (self.limit is None) != (self.window is None):
            missing = "window" if self.window is None else "limit"
            raise refuse(
                "RS055", f"'{missing}' is missing: limit and window belong together", f"add '{missing}'"
            )
        if (self.limit is None) == (self.min_gap is None):
            message = "a cap is either limit and window, or min_gap"
            raise refuse("RS055", message, "keep one form; write two caps to have both")
        if self.max_defer is not None and self.when_full != "defer":
            message = "'max_defer' only means something with when_full: defer"
            raise refuse("RS055", message, "remove it", at=("max_defer",))
        return self


class SilencePause(Part):
    """A rest for contacts who never answer."""

    after: Duration = Field(
        title="静默时长",
        description=(
            "How long a contact gave no sign of life since the oldest marketing message without an answer. "
            "Events are signs of life unless their type says counts_as_activity: false.\n"
            "自最早一条未获回应的营销消息起，联系人沉默了多久。除声明 counts_as_activity: false 的事件外，"
            "任何事件都算回应。"
        ),
        examples=["3d"],
    )
    for_: Duration = Field(
        alias="for",
        title="暂停时长",
        description=(
            "How long marketing then leaves them alone; messages are skipped meanwhile. A sign of life ends "
            "it; without one the first message after it begins a new round.\n"
            "之后多久不发营销消息（期间直接跳过）。有回应即结束；一直没有回应，则其后的第一条消息开始新一轮。"
        ),
        examples=["14d"],
    )


class ScaleEntry(Part):
    """Contacts who bear more, or less, than the caps say."""

    when: Condition = Field(
        title="条件",
        description=(
            "Whose limits are scaled; sees the contact's facts. The first that is true counts; what is not "
            "known never makes a limit larger.\n"
            "为谁调整上限；可用联系人事实，取第一个成立的；未知的事实不会放宽上限。"
        ),
        examples=[{"contact.order_count": {"gte": 10}}],
    )
    factor: float = Field(
        title="系数",
        description=(
            "1.5 allows half as many again, 0.5 half; at least one message is always allowed.\n"
            "1.5 表示多一半，0.5 表示减半；至少保留一条。"
        ),
        gt=0,
        le=10,
        examples=[1.5],
    )


class ToleranceEntry(Part):
    """How much more or less single contacts are written to than the caps say. Never loosens a `min_gap`."""

    pause_after_silence: SilencePause | None = Field(
        None,
        title="静默后暂停",
        description=(
            "Leaves contacts alone for a while who show no sign of life.\n对毫无回应的联系人暂停一段时间。"
        ),
        examples=[{"after": "3d", "for": "14d"}],
    )
    scale: Items[ScaleEntry] = Field(
        (),
        title="缩放",
        description=(
            "Whose limits are larger or smaller; everybody else has them as they stand.\n"
            "谁的上限更高或更低；其他人照常。"
        ),
        examples=[[{"when": {"contact.order_count": {"gte": 10}}, "factor": 1.5}]],
    )

    @model_validator(mode="after")
    def _says_something(self) -> ToleranceEntry:
        if self.pause_after_silence is None and not self.scale:
            raise refuse("RS055", "it changes nothing", "add 'scale' or 'pause_after_silence'")
        return self


class CapsFile(Head):
    """Frequency caps. All that apply must have room."""

    kind: Literal["caps"] = Field(
        title="种类",
        description="Always caps: this file holds frequency caps.\n固定写 caps：本文件定义频次上限。",
    )
    caps: Items[CapEntry] = Field(
        title="频次上限",
        description=(
            "The caps. A message leaves when every cap that counts it has room.\n"
            "频次上限；所有适用的上限都有名额，消息才会发出。"
        ),
        min_length=1,
    )
    tolerance: ToleranceEntry | None = Field(
        None,
        title="耐受度",
        description="Scales the caps by how much a contact bears.\n按联系人的承受度调整上限。",
        examples=[{"pause_after_silence": {"after": "3d", "for": "14d"}}],
    )
