"""The ways into a journey: every one of them is an event, some with a test of their own on it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.authoring.built_in import AUDIENCE_ENTERED, AUDIENCE_LEFT
from engine.authoring.models.journey import EnterEntry
from engine.authoring.models.profile import AudienceEntry
from engine.authoring.models.schedules import ScheduleEntry
from engine.authoring.patterns import pattern_events
from engine.journeys.event import JOURNEY_REQUESTED, SCHEDULE_FIRED
from engine.rules.condition import All, Condition, Op, Test, YamlPath
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


def way_in(enter: EnterEntry, journey: str) -> WayIn:
    """The event types that let a contact in, and what must be true of the event besides `when`."""
    if enter.schedule is not None:
        return _by_schedule(journey, enter.schedule)
    if enter.api is not None:
        facts = tuple(
            Fact(f"event.{name}", FactType(each.type), each.title or name)
            for name, each in enter.api.parameters.items()
        )
        return WayIn((JOURNEY_REQUESTED,), Test("event.journey", Op.EQ, journey, ("enter", "api")), facts)
    if enter.audience is not None:
        return _by_audience(enter.audience)
    if enter.pattern is not None:
        completes = Test("event.patterns", Op.HAS, journey, ("enter", "pattern"))
        return WayIn(pattern_events(enter.pattern), completes)
    return WayIn(tuple(dict.fromkeys(enter.event or ())))


def _by_audience(audience: AudienceEntry) -> WayIn:
    key, event = ("entered", AUDIENCE_ENTERED) if audience.entered is not None else ("left", AUDIENCE_LEFT)
    name = audience.entered or audience.left or ""
    return WayIn((event,), Test("event.audience", Op.EQ, name, ("enter", "audience", key)))


def _by_schedule(journey: str, schedule: ScheduleEntry) -> WayIn:
    at: YamlPath = ("enter", "schedule")
    named = Test("event.journey", Op.EQ, journey, at)
    if schedule.audience is None:
        return WayIn((SCHEDULE_FIRED,), named)
    inside = Test("contact.audiences", Op.HAS, schedule.audience, (*at, "audience"))
    return WayIn((SCHEDULE_FIRED,), All((named, inside), at))
