"""The ways into a journey: every one of them is an event, some with a test of their own on it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.authoring.built_in import AUDIENCE_ENTERED, AUDIENCE_LEFT
from engine.authoring.compiling.patterns import pattern_events
from engine.authoring.models.journey import EnterEntry
from engine.authoring.models.patterns import PatternEntry
from engine.authoring.models.profile import AudienceEntry
from engine.authoring.models.schedules import DaysEntry, ScheduleEntry
from engine.journeys.event import JOURNEY_REQUESTED, SCHEDULE_FIRED
from engine.rules.condition import All, Condition, Op, Test, YamlPath
from engine.rules.duration import format_duration
from engine.rules.facts import Fact, FactType


@dataclass(frozen=True)
class WayIn:
    """What one `enter` listens to."""

    events: tuple[str, ...]
    """Event types, none twice."""
    test: Condition | None = None
    """Must hold beside the journey's own condition, as `event.audience eq lapsed`; its `at` is the place of
    the key below `enter`, as `("enter", "audience")`."""
    facts: tuple[Fact, ...] = ()
    """What these events say in this journey beside the properties of their types."""
    words: str = ""
    """The way in for people, as `every "0 10 * * *" on the contact's clock`; empty: the events say it."""


def way_in(enter: EnterEntry, journey: str) -> WayIn:
    """The event types that let a contact in, and what must be true of the event besides `when`."""
    if enter.schedule is not None:
        return _by_schedule(journey, enter.schedule)
    if enter.api is not None:
        facts = tuple(
            Fact(f"event.{name}", FactType(each.type), each.title or name)
            for name, each in enter.api.parameters.items()
        )
        test = Test("event.journey", Op.EQ, journey, ("enter", "api"))
        return WayIn((JOURNEY_REQUESTED,), test, facts, "asked for by a system")
    if enter.audience is not None:
        return _by_audience(enter.audience)
    if enter.pattern is not None:
        completes = Test("event.patterns", Op.HAS, journey, ("enter", "pattern"))
        return WayIn(pattern_events(enter.pattern), completes, words=_pattern_words(enter.pattern))
    return WayIn(tuple(dict.fromkeys(enter.event or ())))


def _by_audience(audience: AudienceEntry) -> WayIn:
    key, event = ("entered", AUDIENCE_ENTERED) if audience.entered is not None else ("left", AUDIENCE_LEFT)
    name = audience.entered or audience.left or ""
    test = Test("event.audience", Op.EQ, name, ("enter", "audience", key))
    return WayIn((event,), test, words=f"{'enters' if key == 'entered' else 'leaves'} the audience {name}")


def _by_schedule(journey: str, schedule: ScheduleEntry) -> WayIn:
    at: YamlPath = ("enter", "schedule")
    named = Test("event.journey", Op.EQ, journey, at)
    clock = {"contact": "each contact's own clock", "workspace": "the workspace's clock"}
    words = f"at {schedule.cron} on {clock.get(schedule.timezone, f'the clock of {schedule.timezone}')}"
    if schedule.only is not None:
        words += f", only on {_days_words(schedule.only)}"
    if schedule.not_on is not None:
        words += f", not on {_days_words(schedule.not_on)}"
    if schedule.audience is None:
        return WayIn((SCHEDULE_FIRED,), named, words=words)
    inside = Test("contact.audiences", Op.HAS, schedule.audience, (*at, "audience"))
    return WayIn((SCHEDULE_FIRED,), All((named, inside), at), words=f"{words}, who is in {schedule.audience}")


def _days_words(days: DaysEntry) -> str:
    named = f"workdays of {days.workdays}" if days.workdays is not None else ""
    return named or f"holidays of {days.holidays}"


def _pattern_words(pattern: PatternEntry) -> str:
    within = f"within {format_duration(pattern.within)}"
    if pattern.sequence is not None:
        return f"{', then '.join(' or '.join(each.event) for each in pattern.sequence)} {within}"
    events = " or ".join(pattern.count.event) if pattern.count is not None else ""
    row = " in a row" if pattern.in_a_row else ""
    return f"{pattern.at_least} times {events}{row} {within}"
