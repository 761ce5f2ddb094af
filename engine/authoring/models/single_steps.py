"""Steps of a journey that hold no other steps: wait, set, tag, start, stop."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from engine.authoring.models.fields import ClockTime, Duration, Id, Items, Scalar
from engine.authoring.models.limits import Weekday
from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse


class WaitStep(Part):
    """Wait for a time; the parts apply in the order for, days, at, weekdays, calendar."""

    wait: Id = Field(
        title="等待",
        description=(
            "Name of this step, one of its kind in the journey; decisions and tests cite it.\n"
            "本步骤的编号，在旅程内唯一；决策记录与测试引用它。"
        ),
        examples=["three_days"],
    )
    for_: Duration | None = Field(
        None,
        alias="for",
        title="时长",
        description=(
            "Exact time to wait: 1d is 24 hours, whatever the clock says.\n精确等待的时长：1d 即 24 小时。"
        ),
        examples=["1d"],
    )
    days: int | None = Field(
        None,
        title="天数",
        description=(
            "Calendar days to wait on the contact's clock; 1 is tomorrow.\n"
            "等待的自然日数（联系人当地）；1 表示明天。"
        ),
        examples=[1],
        ge=1,
        le=3650,
    )
    at: ClockTime | None = Field(
        None,
        title="时刻",
        description=(
            "Then the first such time on the contact's own clock, in quotes; it lasts as long as the clock "
            "shows it, one minute.\n"
            "然后等到联系人当地的这个时刻，写在引号里；该时刻持续一分钟。"
        ),
        examples=["10:00"],
    )
    weekdays: Items[Weekday] = Field(
        (),
        title="星期",
        description=(
            "Goes on only on these days of the week; left out: any day.\n"
            "然后只在这些星期几继续；不写则任何一天。"
        ),
        examples=[["mon", "tue"]],
    )
    until: str | None = Field(
        None,
        title="直到",
        description=(
            "Path of a fact that is a moment, until which it waits, and which it follows when it is changed "
            "meanwhile; only `calendar` may stand beside it.\n"
            "等到某个事实所指的时刻；等待期间该时刻改变，则随之改变。旁边只能写 calendar。"
        ),
        examples=["contact.last_order_at"],
        min_length=1,
    )
    calendar: Id | None = Field(
        None,
        title="工作日历",
        description=(
            "Then the next working time of this calendar; left out: no such wait.\n"
            "然后等到该日历的下一个工作时间；不写则不等。"
        ),
        examples=["office"],
    )

    @model_validator(mode="after")
    def _waits_for_something(self) -> WaitStep:
        timed = self.for_ is not None or self.days is not None or self.at is not None or bool(self.weekdays)
        if not timed and self.until is None and self.calendar is None:
            raise refuse(
                "RS055",
                "the step does not say how long to wait",
                "add 'for: 1d', 'days: 1', 'at: \"10:00\"' or 'calendar'",
            )
        if timed and self.until is not None:
            raise refuse("RS055", "'until' stands alone", "remove for, days, at and weekdays", at=("until",))
        return self


class CopiedFact(Part):
    """The value that a fact has when the step is reached; unknown then, the name has no value."""

    fact: str = Field(
        title="事实",
        description=(
            "Path of a text, number or true-or-false fact of the contact or the journey; texts of up to 500 "
            "characters are kept.\n"
            "联系人或旅程的事实（文本、数字或布尔），取到达本步骤时的值；文本最多保留 500 字。"
        ),
        examples=["journey.entry.text", "contact.city"],
        min_length=1,
    )


def _kind_of_value(raw: Any) -> str:
    return "<fact>" if isinstance(raw, dict | CopiedFact) else "<value>"


SetValue = Annotated[
    Annotated[Scalar, Tag("<value>")] | Annotated[CopiedFact, Tag("<fact>")], Discriminator(_kind_of_value)
]


class SetStep(Part):
    """Keep values with the run; later conditions and texts read them as journey.values.<name>."""

    set: Id = Field(
        title="赋值",
        description=(
            "Name of this step, one of its kind in the journey; decisions and tests cite it.\n"
            "本步骤的编号，在旅程内唯一；决策记录与测试引用它。"
        ),
        examples=["remember"],
    )
    values: dict[Id, SetValue] = Field(
        title="值列表",
        description=(
            "Names and what each keeps: a value, or {fact: …} for the value of a fact; read later as "
            "journey.values.<name>.\n"
            "要保存的名称和值，{fact: …} 表示取某个事实的值；之后写 journey.values.<名称> 读取。"
        ),
        examples=[{"offer": "coupon_10"}, {"said": {"fact": "journey.entry.text"}}],
        min_length=1,
    )


class TagStep(Part):
    """Add tags to the contact or remove them."""

    tag: Id = Field(
        title="打标签",
        description=(
            "Name of this step, not the tag: that stands under `add` or `remove`.\n"
            "本步骤的编号（不是标签）；标签写在 add 或 remove 下。"
        ),
        examples=["mark_loyal"],
    )
    add: Items[str] = Field(
        (),
        title="添加",
        description="Tags that the contact has from then on.\n给联系人添加的标签。",
        examples=[["vip"]],
    )
    remove: Items[str] = Field(
        (),
        title="移除",
        description="Tags that the contact loses, if it has them.\n从联系人移除的标签。",
        examples=[["new_customer"]],
    )

    @model_validator(mode="after")
    def _does_something(self) -> TagStep:
        if not self.add and not self.remove:
            raise refuse("RS055", "the step neither adds nor removes a tag", "add 'add: [vip]'")
        if both := sorted(set(self.add) & set(self.remove)):
            raise refuse(
                "RS055", f"'{both[0]}' is both added and removed", "keep one of them", at=("remove",)
            )
        return self


class StopStep(Part):
    """End the run here."""

    stop: Id = Field(
        title="结束",
        description="Name of this step, which ends the run.\n本步骤的编号；到此结束旅程。",
        examples=["done"],
    )


class StartStep(Part):
    """Let the contact into another journey too; this one goes on at once."""

    start: Id = Field(
        title="启动旅程",
        description=(
            "Name of this step, one of its kind in the journey; decisions cite it.\n"
            "本步骤的编号，在旅程内唯一。"
        ),
        examples=["on_to_repurchase"],
    )
    journey: Id = Field(
        title="旅程",
        description="Id of the other journey that the contact enters.\n联系人要进入的另一个旅程的编号。",
        examples=["repurchase"],
    )
    values: dict[Id, Scalar] = Field(
        {},
        title="参数",
        description="What the other journey is told, by name.\n传给另一个旅程的参数。",
        examples=[{"reason": "vip"}],
    )
