"""Compiles how a journey's runs begin and end from outside: its ways in, what ends them early, its goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.authoring.compiling.asking import OF_STATES, Asking
from engine.authoring.compiling.calendars import compile_schedule
from engine.authoring.compiling.catalogues import calendar_facts
from engine.authoring.compiling.conditions import NOTHING
from engine.authoring.compiling.ways_in import WayIn, ways_in, words_of
from engine.authoring.models.journey import EnterEntry, ReentryEntry
from engine.journeys.calendar import WorkingCalendar
from engine.journeys.event import SCHEDULE_FIRED
from engine.journeys.program import Entry, Goal, Leave, Reentry, ReentryKind
from engine.rules.condition import YamlPath
from engine.rules.facts import FactType

_OF_SCHEDULES: Mapping[str, str] = {
    "calendar": "a schedule knows its days and its time: write 'only: {workdays: …}' under schedule and "
    "another cron, or ask it in a branch"
}


def compile_entry(asking: Asking, enter: EnterEntry) -> Entry:
    """Everything that lets contacts in, and who may come again."""
    ways, api = ways_in(enter, asking.entry.id), enter.asked_for
    asked: dict[str, WorkingCalendar] = {}
    rules: dict[str, str | None] = {}
    for way in ways:
        rules |= _way(asking, way, asked)
    first = f"entry:{asking.entry.id}"
    return Entry(
        tuple(rules),
        first if any(rules[kind] for kind in ways[0].events) else None,
        _reentry(asking, enter, ways),
        schedule=compile_schedule(enter.schedule, asking.calendars, asking.catalogues.timezone)
        if enter.schedule is not None
        else None,
        parameters={name: FactType(each.type) for name, each in api.parameters.items()}
        if api is not None
        else None,
        required=tuple(name for name, each in api.parameters.items() if each.required)
        if api is not None
        else (),
        audience=enter.audience.entered or enter.audience.left if enter.audience is not None else None,
        words=words_of(ways),
        rules=rules,
        calendars=asked,
    )


def compile_leave(asking: Asking, number: int) -> Leave:
    """What ends a run early: one entry of the journey's `leave`."""
    leave = asking.entry.leave[number]
    name, events = str(number + 1), tuple(leave.event or ())
    rule = None
    if leave.when is not None:
        rule = f"leave:{asking.entry.id}/{name}"
        at = ("leave", number, "when")
        catalogue, elsewhere = asking.at_event(events), NOTHING
        if not events:
            catalogue, elsewhere = asking.catalogues.on_events((), asking.entry), OF_STATES
        names = [(rule, f"leave:{asking.entry.id}")]
        asking.keep(asking.condition(at, leave.when, catalogue, names, events, elsewhere=elsewhere))
    return Leave(name, events, rule)


def compile_goal(asking: Asking) -> Goal | None:
    """What a run is for; None when the journey names no goal."""
    goal = asking.entry.goal
    if goal is None:
        return None
    rule = None
    if goal.when is not None:
        rule = f"goal:{asking.entry.id}"
        at = ("goal", "when")
        catalogue = asking.at_event(goal.event)
        asking.keep(asking.condition(at, goal.when, catalogue, [(rule, rule)], goal.event))
    return Goal(tuple(goal.event), rule, goal.within)


def _way(asking: Asking, way: WayIn, asked: dict[str, WorkingCalendar]) -> dict[str, str | None]:
    """The event types of a way in, each with the rule that must be true of it."""
    if way.when is None and way.test is None:
        return dict.fromkeys(way.events)
    at: YamlPath = (*way.at, "when") if way.when is not None else way.at
    rule = f"entry:{asking.entry.id}{way.inside}"
    names = [(f"{rule}#{kind}", f"entry:{kind}") for kind in way.events]
    catalogue = asking.catalogues.on_events(way.events).extended(way.facts)
    if SCHEDULE_FIRED in way.events:
        elsewhere = _OF_SCHEDULES
    else:
        elsewhere = NOTHING
        catalogue = catalogue.extended(calendar_facts(asking.calendars))
    condition = asking.condition(
        at, way.when, catalogue, names, way.events, also=way.test, elsewhere=elsewhere
    )
    asked |= asking.calendars_of(condition)
    asking.rulebook.places[rule] = asking.journey.source.key_place(at)
    return {kind: f"{rule}#{kind}" for kind in way.events}


def _reentry(asking: Asking, enter: EnterEntry, ways: Sequence[WayIn]) -> Reentry:
    if not isinstance(enter.reentry, ReentryEntry):
        return Reentry(ReentryKind(enter.reentry))
    if enter.reentry.after is not None:
        return Reentry(ReentryKind.AFTER, after=enter.reentry.after)
    path = enter.reentry.once_per or ""
    events = [kind for way in ways for kind in way.events]
    catalogue = asking.catalogues.on_events(events).extended(fact for way in ways for fact in way.facts)
    at: YamlPath = ("enter", "reentry", "once_per")
    if asking.fact(path, catalogue, {FactType.TEXT, FactType.NUMBER}, at, "a text or a number"):
        for way in ways if path.startswith("event.") else ():
            own = {fact.path for fact in way.facts}
            for kind in way.events:
                if path not in asking.catalogues.properties_of(kind) | own:
                    message = (
                        f"'{path}' is not a property of '{kind}', so such events could not be told apart"
                    )
                    asking.note("RS056", message, "name a property that all the event types have", at)
    return Reentry(ReentryKind.ONCE_PER, per=path)
