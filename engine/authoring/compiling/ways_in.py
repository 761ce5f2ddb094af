"""The ways into a journey: every one of them is an event, some with a test of their own on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.authoring.models.journey import AlsoEntry, EnterEntry
from engine.authoring.models.patterns import CountedEvent, PatternEntry, SequenceEvent
from engine.authoring.models.profile import AudienceEntry
from engine.authoring.models.schedules import ApiEntry, DaysEntry, ScheduleEntry
from engine.journeys.event import AUDIENCE_ENTERED, AUDIENCE_LEFT, JOURNEY_REQUESTED, SCHEDULE_FIRED
from engine.rules.condition import All, Condition, Op, Test, YamlPath
from engine.rules.duration import format_duration
from engine.rules.facts import Fact, FactType


@dataclass(frozen=True)
class WayIn:
    """What one way into a journey listens to."""

    at: YamlPath
    """Where it stands: `("enter",)`, or `("enter", "also", 0)`."""
    events: tuple[str, ...]
    """Event types, none twice."""
    test: Condition | None = None
    """Must hold beside the journey's own condition, as `event.audience eq lapsed`; its `at` is the place of
    the key below `enter`, as `("enter", "audience")`."""
    facts: tuple[Fact, ...] = ()
    """What these events say in this journey beside the properties of their types."""
    words: str = ""
    """The way in for people, as `every "0 10 * * *" on the contact's clock`; empty: the events say it."""
    when: object | None = None
    """Its condition, as it is written."""

    @property
    def inside(self) -> str:
        """What of the place stands in the ids of its rules: "" for `enter` itself."""
        return f"/also[{self.at[2]}]" if len(self.at) > 1 else ""


def ways_in(enter: EnterEntry, journey: str) -> tuple[WayIn, ...]:
    """Every way into a journey: the one of `enter`, then those of `also`."""
    further = (_further(journey, number, way) for number, way in enumerate(enter.also))
    return (_first(enter, journey), *further)


def _first(enter: EnterEntry, journey: str) -> WayIn:
    at: YamlPath = ("enter",)
    if enter.schedule is not None:
        return replace(_by_schedule(journey, enter.schedule), when=enter.when)
    if enter.api is not None:
        return replace(_by_request(journey, enter.api, at), when=enter.when)
    if enter.audience is not None:
        return replace(_by_audience(enter.audience), when=enter.when)
    if enter.pattern is not None:
        completes = Test("event.patterns", Op.HAS, journey, (*at, "pattern"))
        words = _pattern_words(enter.pattern)
        return WayIn(at, pattern_events(enter.pattern), completes, words=words, when=enter.when)
    return WayIn(at, tuple(dict.fromkeys(enter.event or ())), when=enter.when)


def _further(journey: str, number: int, way: AlsoEntry) -> WayIn:
    at: YamlPath = ("enter", "also", number)
    if way.api is not None:
        return replace(_by_request(journey, way.api, at), when=way.when)
    return WayIn(at, tuple(dict.fromkeys(way.event or ())), when=way.when)


def _by_request(journey: str, api: ApiEntry, at: YamlPath) -> WayIn:
    facts = tuple(
        Fact(f"event.{name}", FactType(each.type), each.title or name, always=each.required)
        for name, each in api.parameters.items()
    )
    test = Test("event.journey", Op.EQ, journey, (*at, "api"))
    return WayIn(at, (JOURNEY_REQUESTED,), test, facts, "asked for by a system")


def words_of(ways: Sequence[WayIn]) -> str:
    """The ways in for people; empty where the names of the events say it all."""
    if not any(way.words for way in ways):
        return ""
    return ", or ".join(way.words or f"on {' or '.join(way.events)}" for way in ways)


def pattern_events(pattern: PatternEntry) -> tuple[str, ...]:
    """The event types that can complete the pattern, none twice.

    That is every one it looks at: the event that happened first may be the one that arrives last.
    """
    return tuple(dict.fromkeys(kind for _, event in events_of(pattern) for kind in event.event))


def events_of(pattern: PatternEntry) -> Iterator[tuple[YamlPath, CountedEvent | SequenceEvent]]:
    """Its events with their places below the pattern."""
    if pattern.count is not None:
        yield ("count",), pattern.count
    for number, event in enumerate(pattern.sequence or ()):
        yield ("sequence", number), event


def _by_audience(audience: AudienceEntry) -> WayIn:
    key, event = ("entered", AUDIENCE_ENTERED) if audience.entered is not None else ("left", AUDIENCE_LEFT)
    name = audience.entered or audience.left or ""
    test = Test("event.audience", Op.EQ, name, ("enter", "audience", key))
    doing = "enters" if key == "entered" else "leaves"
    return WayIn(("enter",), (event,), test, words=f"{doing} the audience {name}")


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
        return WayIn(("enter",), (SCHEDULE_FIRED,), named, words=words)
    inside = Test("contact.audiences", Op.HAS, schedule.audience, (*at, "audience"))
    both = All((named, inside), at)
    return WayIn(("enter",), (SCHEDULE_FIRED,), both, words=f"{words}, who is in {schedule.audience}")


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
