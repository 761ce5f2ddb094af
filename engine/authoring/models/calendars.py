"""Calendars: working hours, holidays, and working days that were moved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date as day_of
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import ClockTime, Date, Items
from engine.authoring.models.limits import Weekday
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse
from engine.authoring.models.zones import CapZone

_LONGEST_HOLIDAY = timedelta(days=60)


class HoursEntry(Part):
    """Working hours on some days of the week."""

    days: Items[Weekday] = Field(
        title="星期",
        description="Days of the week to which these hours apply.\n这段工作时间适用的星期几。",
        examples=[["mon", "tue", "wed", "thu", "fri"]],
        min_length=1,
    )
    from_: ClockTime = Field(
        alias="from",
        title="开始",
        description="When work begins on these days, in quotes.\n上班时刻，写在引号里。",
        examples=["09:00"],
    )
    to: ClockTime | None = Field(
        None,
        title="结束",
        description=(
            "When work ends, in quotes; not said: when the day ends.\n"
            "下班时刻，写在引号里；不写则到当天结束。"
        ),
        examples=["18:00"],
    )

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> HoursEntry:
        if self.to is not None and self.to <= self.from_:
            message = f"work would end at {self.to:%H:%M}, before it begins at {self.from_:%H:%M}"
            hint = "for hours over midnight write two entries: one without 'to', one from \"00:00\""
            raise refuse("RS091", message, hint, at=("to",))
        return self


class HolidayEntry(Part):
    """A holiday of one day or several."""

    for_people: ClassVar[frozenset[str]] = frozenset({"title", "source"})

    date: Date = Field(
        title="日期",
        description=(
            "The day in quotes; the first one, when there are several.\n"
            "放假日期，写在引号里；多天时为第一天。"
        ),
        examples=["2026-10-01"],
    )
    to: Date | None = Field(
        None,
        title="最后一天",
        description=(
            "The last day, when there are several (60 at most).\n连续多天时的最后一天（最多 60 天）。"
        ),
        examples=["2026-10-07"],
    )
    title: str = Field(
        title="标题",
        description="What the holiday is called, for people.\n节假日名称，供人阅读。",
        examples=["国庆节"],
        min_length=1,
        max_length=200,
    )
    source: str = Field(
        title="出处",
        description="Where the date is stated, for whoever checks it.\n日期的出处，供核对的人查阅。",
        examples=["国务院办公厅放假通知"],
        min_length=1,
        max_length=500,
    )

    @model_validator(mode="after")
    def _goes_forward(self) -> HolidayEntry:
        if self.to is not None:
            length = day_of.fromisoformat(self.to) - day_of.fromisoformat(self.date)
            if not timedelta(0) < length <= _LONGEST_HOLIDAY:
                message = f"a holiday goes on for at most {_LONGEST_HOLIDAY.days} days, and forward"
                raise refuse("RS091", message, "'to' is its last day", at=("to",))
        return self

    def dates(self) -> Iterator[day_of]:
        """Every day of it."""
        day, last = day_of.fromisoformat(self.date), day_of.fromisoformat(self.to or self.date)
        while day <= last:
            yield day
            day += timedelta(days=1)


class WorkdayEntry(Part):
    """A day off by its weekday that is worked all the same (调休)."""

    for_people: ClassVar[frozenset[str]] = frozenset({"title", "source"})

    date: Date = Field(
        title="日期",
        description="The day that is worked, in quotes.\n调休上班的日期，写在引号里。",
        examples=["2026-10-10"],
    )
    like: Weekday = Field(
        "mon",
        title="按星期几",
        description=(
            "The weekday whose hours it has; mon when not said.\n按星期几的工作时间上班；不写则按星期一。"
        ),
        examples=["fri"],
    )
    title: str = Field(
        title="标题",
        description="For which holiday it is worked.\n因哪个节假日而调休。",
        examples=["国庆节调休"],
        min_length=1,
        max_length=200,
    )
    source: str = Field(
        title="出处",
        description="Where the date is stated, for whoever checks it.\n日期的出处，供核对的人查阅。",
        examples=["国务院办公厅放假通知"],
        min_length=1,
        max_length=500,
    )


class CalendarFile(Head):
    """Working hours and holidays, for schedules and waits."""

    kind: Literal["calendar"] = Field(
        title="种类",
        description=(
            "Always calendar: this file holds working hours and holidays.\n"
            "固定写 calendar：本文件定义工作时间与节假日。"
        ),
    )
    timezone: CapZone = Field(
        "workspace",
        title="时区",
        description=(
            "Whose clock the hours are on: workspace (when left out), contact (each contact's own), "
            "or an IANA name.\n"
            "工作时间用谁的时钟：workspace（默认）、contact（各联系人自己的）或时区名。"
        ),
    )
    hours: Items[HoursEntry] = Field(
        title="工作时间",
        description=(
            "The working hours of the week; days that are not named are free.\n"
            "每周的工作时间；未列出的日子休息。"
        ),
        examples=[[{"days": ["mon", "fri"], "from": "09:00", "to": "18:00"}]],
        min_length=1,
    )
    holidays: Items[HolidayEntry] = Field(
        (),
        title="节假日",
        description="Days without work, whatever weekday they are.\n不上班的日子，不论星期几。",
    )
    workdays: Items[WorkdayEntry] = Field(
        (),
        title="调休上班",
        description=(
            "Days that are worked although their weekday is free.\n本该休息但要上班的日子（调休）。"
        ),
    )

    @property
    def ends(self) -> day_of | None:
        """The last day of the last year of which holidays are named; None when it names none."""
        named = [last for each in self.holidays for last in [*each.dates()][-1:]]
        return day_of(max(named).year, 12, 31) if named else None

    @model_validator(mode="after")
    def _each_date_is_one_thing(self) -> CalendarFile:
        seen: dict[day_of, str] = {}
        for key, entries in (
            ("holidays", [list(each.dates()) for each in self.holidays]),
            ("workdays", [[day_of.fromisoformat(each.date)] for each in self.workdays]),
        ):
            for number, days in enumerate(entries):
                for day in days:
                    if day in seen:
                        message = f"{day} stands here twice"
                        hint = "a day is a holiday or worked, once"
                        raise refuse("RS091", message, hint, at=(key, number, "date"))
                    seen[day] = key
        return self

    @model_validator(mode="after")
    def _hours_do_not_overlap(self) -> CalendarFile:
        for number, entry in enumerate(self.hours):
            for other in self.hours[:number]:
                shared = [day for day in entry.days if day in other.days]
                begins_in_time = other.to is None or entry.from_ < other.to
                ends_in_time = entry.to is None or other.from_ < entry.to
                if shared and begins_in_time and ends_in_time:
                    message = f"these hours overlap others on {shared[0]}"
                    raise refuse("RS091", message, "join or part them", at=("hours", number))
        return self

    @model_validator(mode="after")
    def _workdays_have_hours(self) -> CalendarFile:
        worked = {day for entry in self.hours for day in entry.days}
        for number, entry in enumerate(self.workdays):
            if entry.like not in worked:
                message = f"'{entry.like}' has no working hours that this day could have"
                hint = f"add 'like: {next(iter(sorted(worked)))}'"
                raise refuse("RS091", message, hint, at=("workdays", number))
        return self
