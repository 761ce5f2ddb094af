"""Entering by the clock and by request: `enter.schedule` and `enter.api`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from engine.authoring.models.fields import CapZone, Id
from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse
from engine.journeys.schedule import check_cron

_CODES = {"never": "RS077", "unreadable": "RS078", "too_often": "RS079"}
_OF_EVERY_EVENT = ("type", "occurred_at", "received_at", "source", "journey")


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
        None, title="工作日", description="Days on which somebody works by this calendar (adjusted ones too)."
    )
    holidays: Id | None = Field(
        None, title="节假日", description="The dates that this calendar lists as holidays."
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
        description='Minute, hour, day, month, weekday, in quotes: "0 10 * * *" is every day at ten.',
    )
    timezone: CapZone = Field(
        title="时区",
        description="Whose clock: contact (each contact's own), workspace, or an IANA name.",
    )
    audience: Id | None = Field(None, title="人群", description="Only contacts in this audience.")
    only: DaysEntry | None = Field(None, title="仅限", description="Only on these days of a calendar.")
    not_on: DaysEntry | None = Field(None, title="除外", description="Not on these days of a calendar.")
    per_second: int = Field(
        200,
        title="每秒人数",
        description="How many contacts enter per second at most, for each time zone.",
        ge=1,
        le=10_000,
    )


class ParameterEntry(Part):
    """Something that a request to enter brings along; conditions and texts read it as event.<name>."""

    for_people: ClassVar[frozenset[str]] = frozenset({"title"})

    type: Literal["text", "number", "boolean"] = Field(title="类型", description="text, number or boolean.")
    title: str = Field("", title="标题", description="What people read in lists.", max_length=200)
    required: bool = Field(False, title="必填", description="true: a request without it is refused.")


class ApiEntry(Part):
    """Contacts enter when a system asks for it: POST /v1/journeys/{id}/enter."""

    parameters: dict[Id, ParameterEntry] = Field(
        {}, title="参数", description="What a request may bring along; anything else is refused."
    )

    @model_validator(mode="after")
    def _hides_nothing(self) -> ApiEntry:
        for name in self.parameters:
            if name in _OF_EVERY_EVENT:
                message = f"'event.{name}' is known already; a parameter of that name would hide it"
                raise refuse("RS043", message, "use another name", at=("parameters", name))
        return self
