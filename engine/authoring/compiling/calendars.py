"""Compiles calendars, and what refers to them: schedules and waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from engine.authoring.checking.references import References
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.calendars import CalendarFile
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.schedules import DaysEntry, ScheduleEntry
from engine.authoring.models.single_steps import WaitStep
from engine.errors import Problem
from engine.journeys.calendar import Hours, WorkingCalendar
from engine.journeys.schedule import Days, Schedule
from engine.rules.condition import YamlPath

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ANY_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)

Calendars = Mapping[str, WorkingCalendar]


def compile_calendars(found: Definitions) -> dict[str, WorkingCalendar]:
    """The calendars by id; a workspace's own zone stands in them by its name."""
    default = found.workspace.item.timezone if found.workspace is not None else "UTC"
    return {name: _calendar(defined.item, default) for name, defined in found.calendars.items()}


def _calendar(entry: CalendarFile, default: str) -> WorkingCalendar:
    return WorkingCalendar(
        id=entry.id,
        timezone=default if entry.timezone == "workspace" else entry.timezone,
        hours=tuple(
            Hours(tuple(sorted({WEEKDAYS.index(day) + 1 for day in each.days})), each.from_, each.to)
            for each in entry.hours
        ),
        holidays=tuple(sorted(day for each in entry.holidays for day in each.dates())),
        workdays={date.fromisoformat(each.date): WEEKDAYS.index(each.like) + 1 for each in entry.workdays},
    )


def compile_schedule(entry: ScheduleEntry, calendars: Calendars, default: str) -> Schedule:
    """The schedule; `default` is the workspace's zone. A calendar that does not exist restricts nothing."""
    days = [*_days(entry.only, calendars, wanted=True), *_days(entry.not_on, calendars, wanted=False)]
    timezone = default if entry.timezone == "workspace" else entry.timezone
    return Schedule(entry.cron, timezone, tuple(days), entry.per_second)


def _days(entry: DaysEntry | None, calendars: Calendars, *, wanted: bool) -> Iterator[Days]:
    if entry is None:
        return
    for which, name in (("workdays", entry.workdays), ("holidays", entry.holidays)):
        if name is not None and name in calendars:
            yield Days(calendars[name], which, wanted)


def check_schedule(
    journey: Defined[JourneyFile], found: Definitions, references: References
) -> Iterator[Problem]:
    """What is wrong with a journey's schedule beside its own text."""
    entry = journey.item.enter.schedule
    if entry is None:
        return
    if entry.audience is not None:
        yield from references.check("audience", entry.audience, journey, ("enter", "schedule", "audience"))
    for key, days in (("only", entry.only), ("not_on", entry.not_on)):
        for which in ("workdays", "holidays"):
            name = getattr(days, which, None)
            if name is not None:
                yield from references.check("calendar", name, journey, ("enter", "schedule", key, which))
    if found.workspace is None or (entry.only is None and entry.not_on is None):
        return
    default = found.workspace.item.timezone
    schedule = compile_schedule(entry, compile_calendars(found), default)
    first = min((days.calendar.holidays[0] for days in schedule.days if days.calendar.holidays), default=None)
    start = datetime(first.year, 1, 1, tzinfo=UTC) if first is not None else _ANY_MOMENT
    if schedule.next_after(start, ZoneInfo(default)) is None:
        message = "it never fires: its times fall on no day that 'only' and 'not_on' leave"
        hint = "change the days of the cron expression, or the calendar"
        yield journey.problem("RS077", message, hint, at=("enter", "schedule", "cron"))


def check_wait(
    step: WaitStep, path: YamlPath, journey: Defined[JourneyFile], found: Definitions, references: References
) -> Iterator[Problem]:
    """What is wrong with a wait for the working time of a calendar."""
    if step.calendar is None:
        return
    yield from references.check("calendar", step.calendar, journey, (*path, "calendar"))
    calendar = found.calendars.get(step.calendar)
    if calendar is None:
        return
    for entry in calendar.item.hours:
        on_a_day = not step.weekdays or bool(set(step.weekdays) & set(entry.days))
        in_time = step.at is None or (entry.from_ <= step.at and (entry.to is None or step.at < entry.to))
        if on_a_day and in_time:
            return
    what = f"{step.at:%H:%M}" if step.at is not None else "these days"
    message = f"the calendar '{step.calendar}' has no working time at {what}, so the wait would never end"
    hint = "remove 'at' and 'weekdays': the wait then ends when work begins"
    yield journey.problem("RS077", message, hint, at=(*path, "at" if step.at is not None else "weekdays"))
