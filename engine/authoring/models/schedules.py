"""Entering by the clock and by request: `enter.schedule` and `enter.api`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from engine.authoring.models.fields import Id
from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse
from engine.authoring.models.zones import CapZone
from engine.journeys.schedule import check_cron

_CODES = {"never": "RS077", "unreadable": "RS078", "too_often": "RS079"}
_OF_EVERY_EVENT = ("type", "occurred_at", "received_at", "source", "journey", "started_by")


def _cron(raw: Any) -> str:
    if not isinstance(raw, str):
        raise refuse("RS078", "must be a cron expression in quotes", 'as "0 10 * * *" for every day at ten')
    fault = check_cron(raw)
    if fault is not None:
        raise refuse(_CODES[fault.kind], fault.message, fault.hint)
    return raw


Cron = Annotated[
    str,
    BeforeValidator(_cron),
    WithJsonSchema({"type": "string", "examples": ["0 10 * * *", "30 9 * * mon-fri", "0 20 l * *"]}),
]


class DaysEntry(Part):
    """Days of a calendar: its working days, or its holidays."""

    workdays: Id | None = Field(
        None,
        title="工作日",
        description=(
            "Days on which somebody works by this calendar (adjusted ones too).\n"
            "该日历中有人上班的日子（含调休）。"
        ),
        examples=["office"],
    )
    holidays: Id | None = Field(
        None,
        title="节假日",
        description="The dates that this calendar lists as holidays.\n该日历列为节假日的日子。",
        examples=["office"],
    )

    @model_validator(mode="after")
    def _names_one_kind(self) -> DaysEntry:
        if (self.workdays is None) == (self.holidays is None):
            raise refuse("RS055", "names 'workdays' or 'holidays' of a calendar", "as {workdays: office}")
        return self


class ScheduleEntry(Part):
    """At fixed times contacts enter by themselves: all of them, or those of whom `when` is true."""

    cron: Cron = Field(
        title="定时表达式",
        description=(
            'Minute, hour, day, month, weekday, in quotes: "0 10 * * *" is every day at ten.\n'
            '分、时、日、月、星期，写在引号里："0 10 * * *" 为每天十点。'
        ),
    )
    timezone: CapZone = Field(
        title="时区",
        description=(
            "Whose clock: contact (each contact's own), workspace, or an IANA name.\n"
            "以谁的时钟为准：contact（各联系人自己的）、workspace 或时区名。"
        ),
    )
    audience: Id | None = Field(
        None,
        title="受众",
        description=(
            "Only contacts in this audience; left out: all contacts.\n只限该受众中的联系人；不写则所有人。"
        ),
        examples=["lapsed"],
    )
    only: DaysEntry | None = Field(
        None,
        title="仅限",
        description=(
            "Only on these days of a calendar; left out: whenever cron says.\n"
            "只在日历的这些日子触发；不写则按 cron。"
        ),
        examples=[{"workdays": "office"}],
    )
    not_on: DaysEntry | None = Field(
        None,
        title="除外",
        description=(
            "Not on these days of a calendar; left out: whenever cron says.\n"
            "在日历的这些日子不触发；不写则按 cron。"
        ),
        examples=[{"holidays": "office"}],
    )
    per_second: int = Field(
        200,
        title="每秒人数",
        description=(
            "How many contacts enter per second at most, for each time zone; 200 when left out.\n"
            "每个时区每秒最多进入多少人；默认 200。"
        ),
        ge=1,
        le=10_000,
    )


class ParameterEntry(Part):
    """Something that a request to enter brings along; conditions and texts read it as event.<name>."""

    for_people: ClassVar[frozenset[str]] = frozenset({"title"})

    type: Literal["text", "number", "boolean"] = Field(
        title="类型",
        description=(
            "What its value is: text, number or boolean (true or false).\n"
            "值的类型：文本、数字或布尔（true/false）。"
        ),
    )
    title: str = Field(
        "",
        title="标题",
        description=(
            "What people read in lists; left out, they read its name.\n列表中显示的名称；不写则显示参数名。"
        ),
        examples=["原因"],
        max_length=200,
    )
    required: bool = Field(
        False,
        title="必填",
        description=(
            "true: a request without it is refused. false when left out.\n"
            "true：请求缺少它就被拒绝；默认 false。"
        ),
    )


class ApiEntry(Part):
    """Contacts enter when a system asks for it: POST /v1/journeys/{id}/enter."""

    parameters: dict[Id, ParameterEntry] = Field(
        {},
        title="参数",
        description=(
            "What a request may bring along; anything else is refused.\n请求可以携带的参数；其他一律拒绝。"
        ),
        examples=[{"reason": {"type": "text", "required": True}}],
    )

    @model_validator(mode="after")
    def _hides_nothing(self) -> ApiEntry:
        for name in self.parameters:
            if name in _OF_EVERY_EVENT:
                message = f"'event.{name}' is known already; a parameter of that name would hide it"
                raise refuse("RS043", message, "use another name", at=("parameters", name))
        return self
