"""Compiles a journey's file into the flat program that the interpreter runs, its conditions into rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from engine.authoring.checking.experiments import check_strata, design_of
from engine.authoring.checking.in_flight import went
from engine.authoring.compiling.calendars import WEEKDAYS, Calendars, compile_schedule
from engine.authoring.compiling.catalogues import Catalogues, calendar_facts, step_id, type_of, walk
from engine.authoring.compiling.conditions import NOTHING, Rulebook
from engine.authoring.compiling.ways_in import WayIn, ways_in, words_of
from engine.authoring.definitions import Defined
from engine.authoring.models.journey import EnterEntry, JourneyFile, ReentryEntry
from engine.authoring.models.single_steps import CopiedFact, SetStep, StartStep, StopStep, TagStep, WaitStep
from engine.authoring.models.steps import (
    AskStep,
    BranchStep,
    CallStep,
    ExperimentStep,
    RepeatStep,
    SendStep,
    WaitForStep,
)
from engine.authoring.reading.source import dotted
from engine.errors import Problem
from engine.journeys.calendar import WorkingCalendar
from engine.journeys.event import SCHEDULE_FIRED
from engine.journeys.keeping import ENTRY, EVENTS, MOST_KEPT
from engine.journeys.program import (
    Ask,
    Branch,
    Call,
    ChangeTags,
    Choice,
    Copied,
    Entry,
    Experiment,
    Goal,
    InFlight,
    Keeps,
    Leave,
    Program,
    Reentry,
    ReentryKind,
    Repeat,
    Scalar,
    Send,
    SetValues,
    Start,
    Step,
    Stop,
    Wait,
    WaitFor,
)
from engine.rules.condition import Condition, YamlPath, paths_of, tests_of
from engine.rules.facts import Catalogue, FactType

_COPIED = {FactType.TEXT, FactType.NUMBER, FactType.BOOLEAN}
_OF_STATES: Mapping[str, str] = {
    "calendar": "without an event nothing looks at the clock here, so it would be noticed late or never; "
    "name the 'event' at which it is asked, ask it in a branch, or write a wait with 'calendar'"
}
_OF_SCHEDULES: Mapping[str, str] = {
    "calendar": "a schedule knows its days and its time: write 'only: {workdays: …}' under schedule and "
    "another cron, or ask it in a branch"
}
_PROSE = {"title", "owner", "description", "enabled", "id", "was", "in_flight"}
"""What changes nothing for those who enter."""


def compile_journey(
    journey: Defined[JourneyFile],
    catalogues: Catalogues,
    rulebook: Rulebook,
    calendars: Calendars,
    texts: Mapping[str, Sequence[str]],
) -> tuple[Program, list[Problem]]:
    """The program of a journey and problems with facts and unreachable steps; rules go into the rulebook.

    `texts` are the facts about remembered events that each content names, by its id.
    """
    compiler = _Compiler(journey, catalogues, rulebook, calendars, texts)
    return compiler.program(), compiler.problems


class _Compiler:
    def __init__(
        self,
        journey: Defined[JourneyFile],
        catalogues: Catalogues,
        rulebook: Rulebook,
        calendars: Calendars,
        texts: Mapping[str, Sequence[str]],
    ) -> None:
        self._journey = journey
        self._texts = texts
        self._entry = journey.item
        self._catalogues = catalogues
        self._rulebook = rulebook
        self._calendars = calendars
        self._steps: dict[str, Step] = {}
        self._asked_calendars: dict[str, WorkingCalendar] = {}
        self._at_events: dict[tuple[str, ...], Catalogue] = {}
        self._named: list[str] = []
        """Paths that conditions name, whatever they are."""
        self.problems: list[Problem] = []

    def program(self) -> Program:
        entry, name = self._entry, self._entry.id
        enter = self._enter(entry.enter)
        leaves = tuple(self._leave(number) for number in range(len(entry.leave)))
        goal = self._goal()
        first = self._sequence(entry.steps, ("steps",), None)
        order = [step_id(step) for _, step in walk(entry.steps, ("steps",))]
        steps = {step: self._steps[step] for step in order if step in self._steps}
        self._unreachable(first, steps)
        return Program(
            journey=name,
            version=version_of(entry),
            purpose=entry.purpose,
            priority=entry.priority,
            entry=enter,
            leaves=leaves,
            goal=goal,
            first=first,
            steps=steps,
            was=went(entry, steps),
            in_flight=InFlight(entry.in_flight),
            owner=entry.owner,
            title=entry.title,
            calendars=self._asked_calendars,
            revival=entry.revival,
            keeps=self._keeps(steps),
        )

    def _keeps(self, steps: Mapping[str, Step]) -> Keeps:
        """What runs keep of events: what conditions and the texts of the journey's messages name."""
        contents = {step.content for step in steps.values() if isinstance(step, Send)}
        texts = (name for content in sorted(contents) for name in self._texts.get(content, ()))
        entry: dict[str, None] = {}
        events: dict[str, dict[str, None]] = {}
        for path in (*self._named, *texts):
            if path.startswith(ENTRY):
                entry[path.removeprefix(ENTRY)] = None
            elif path.startswith(EVENTS):
                step, _, name = path.removeprefix(EVENTS).partition(".")
                events.setdefault(step, {})[name] = None
        kept = len(entry) + sum(map(len, events.values()))
        if kept > MOST_KEPT:
            message = f"its runs would have to keep {kept} properties of events, and {MOST_KEPT} are the most"
            hint = "name fewer of them in conditions and texts, or write two journeys"
            self._note("RS140", message, hint, ("steps",))
        waits = (step for step in events if isinstance(steps.get(step), WaitFor))
        return Keeps(frozenset(entry), {step: frozenset(events[step]) for step in waits})

    def _enter(self, enter: EnterEntry) -> Entry:
        ways, api = ways_in(enter, self._entry.id), enter.asked_for
        asked: dict[str, WorkingCalendar] = {}
        rules: dict[str, str | None] = {}
        for way in ways:
            rules |= self._way(way, asked)
        first = f"entry:{self._entry.id}"
        return Entry(
            tuple(rules),
            first if any(rules[kind] for kind in ways[0].events) else None,
            self._reentry(enter, ways),
            schedule=compile_schedule(enter.schedule, self._calendars, self._catalogues.timezone)
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

    def _way(self, way: WayIn, asked: dict[str, WorkingCalendar]) -> dict[str, str | None]:
        """The event types of a way in, each with the rule that must be true of it."""
        if way.when is None and way.test is None:
            return dict.fromkeys(way.events)
        at: YamlPath = (*way.at, "when") if way.when is not None else way.at
        rule = f"entry:{self._entry.id}{way.inside}"
        names = [(f"{rule}#{kind}", f"entry:{kind}") for kind in way.events]
        catalogue = self._catalogues.on_events(way.events).extended(way.facts)
        if SCHEDULE_FIRED in way.events:
            elsewhere = _OF_SCHEDULES
        else:
            elsewhere = NOTHING
            catalogue = catalogue.extended(calendar_facts(self._calendars))
        condition = self._condition(
            at, way.when, catalogue, names, way.events, also=way.test, elsewhere=elsewhere
        )
        asked |= self._calendars_of(condition)
        self._rulebook.places[rule] = self._journey.source.key_place(at)
        return {kind: f"{rule}#{kind}" for kind in way.events}

    def _reentry(self, enter: EnterEntry, ways: Sequence[WayIn]) -> Reentry:
        if not isinstance(enter.reentry, ReentryEntry):
            return Reentry(ReentryKind(enter.reentry))
        if enter.reentry.after is not None:
            return Reentry(ReentryKind.AFTER, after=enter.reentry.after)
        path = enter.reentry.once_per or ""
        events = [kind for way in ways for kind in way.events]
        catalogue = self._catalogues.on_events(events).extended(fact for way in ways for fact in way.facts)
        at: YamlPath = ("enter", "reentry", "once_per")
        if self._fact(path, catalogue, {FactType.TEXT, FactType.NUMBER}, at, "a text or a number"):
            for way in ways if path.startswith("event.") else ():
                own = {fact.path for fact in way.facts}
                for kind in way.events:
                    if path not in self._catalogues.properties_of(kind) | own:
                        message = (
                            f"'{path}' is not a property of '{kind}', so such events could not be told apart"
                        )
                        self._note("RS056", message, "name a property that all the event types have", at)
        return Reentry(ReentryKind.ONCE_PER, per=path)

    def _leave(self, number: int) -> Leave:
        leave = self._entry.leave[number]
        name, events = str(number + 1), tuple(leave.event or ())
        rule = None
        if leave.when is not None:
            rule = f"leave:{self._entry.id}/{name}"
            at = ("leave", number, "when")
            catalogue, elsewhere = self._at_event(events), NOTHING
            if not events:
                catalogue, elsewhere = self._catalogues.on_events((), self._entry), _OF_STATES
            names = [(rule, f"leave:{self._entry.id}")]
            self._asked(self._condition(at, leave.when, catalogue, names, events, elsewhere=elsewhere))
        return Leave(name, events, rule)

    def _goal(self) -> Goal | None:
        goal = self._entry.goal
        if goal is None:
            return None
        rule = None
        if goal.when is not None:
            rule = f"goal:{self._entry.id}"
            at = ("goal", "when")
            catalogue = self._at_event(goal.event)
            self._asked(self._condition(at, goal.when, catalogue, [(rule, rule)], goal.event))
        return Goal(tuple(goal.event), rule, goal.within)

    def _sequence(self, steps: Sequence[Any], path: YamlPath, following: str | None) -> str | None:
        """Compile a list of steps that goes on with `following`; the id of its first step, or `following`."""
        for number in reversed(range(len(steps))):
            following = self._step(steps[number], (*path, number), following)
        return following

    def _step(self, step: Any, path: YamlPath, following: str | None) -> str:
        name = step_id(step)
        self._steps[name] = self._compiled(step, name, path, following)
        return name

    def _compiled(self, step: Any, name: str, path: YamlPath, following: str | None) -> Step:
        match step:
            case SendStep():
                outcomes: dict[str, str | None] = {
                    outcome: self._sequence(steps, (*path, "outcomes", outcome), following)
                    for outcome, steps in step.outcomes.items()
                }
                purpose = step.purpose or self._entry.purpose
                return Send(name, step.content, step.channels, purpose, following, step.deadline, outcomes)
            case WaitStep():
                if step.until is not None:
                    catalogue = self._catalogues.inside(self._entry)
                    self._named.append(step.until)
                    self._fact(step.until, catalogue, {FactType.INSTANT}, (*path, "until"), "a moment")
                days = tuple(sorted({WEEKDAYS.index(day) + 1 for day in step.weekdays}))
                calendar = self._calendars.get(step.calendar or "")
                return Wait(name, following, step.for_, step.days, step.at, days, step.until, calendar)
            case WaitForStep():
                return self._wait_for(step, name, path, following)
            case AskStep():
                return self._ask(step, name, path, following)
            case BranchStep():
                return self._branch(step, name, path, following)
            case RepeatStep():
                return self._repeat(step, name, path, following)
            case ExperimentStep():
                return self._experiment(step, name, path, following)
            case SetStep():
                return self._set(step, name, path, following)
            case StartStep():
                return Start(name, step.journey, dict(step.values), following)
            case TagStep():
                return ChangeTags(name, step.add, step.remove, following)
            case CallStep():
                return self._call(step, name, path, following)
            case StopStep():
                return Stop(name)
        raise AssertionError(f"no step: {step!r}")

    @cached_property
    def _copied(self) -> frozenset[str]:
        """The names that some step sets to the value of a fact."""
        sets = [step for _, step in walk(self._entry.steps, ("steps",)) if isinstance(step, SetStep)]
        return frozenset(
            name for step in sets for name, value in step.values.items() if isinstance(value, CopiedFact)
        )

    def _set(self, step: SetStep, name: str, path: YamlPath, following: str | None) -> SetValues:
        catalogue = self._catalogues.inside(self._entry)
        values: dict[str, Scalar] = {}
        facts: dict[str, Copied] = {}
        for key, value in step.values.items():
            at = (*path, "values", key)
            known = catalogue.get(f"journey.values.{key}")
            if not isinstance(value, CopiedFact):
                values[key] = value
                # Among written values the check of the file has compared the types already.
                if key in self._copied and known is not None and known.type is not type_of(value):
                    message = f"'{key}' is set to {type_of(value)} here and to {known.type} elsewhere"
                    self._note("RS056", message, "use one type, or two names", at)
                continue
            if value.fact.startswith("journey.values."):
                message = f"'{value.fact}' is kept with the run already"
                self._note("RS056", message, "name it where it is needed", (*at, "fact"))
                continue
            wanted = "a text, a number, or true or false"
            fact = catalogue.get(value.fact)
            if not self._fact(value.fact, catalogue, _COPIED, (*at, "fact"), wanted) or fact is None:
                continue
            facts[key] = Copied(value.fact, fact.type)
            self._named.append(value.fact)
            if known is not None and known.type is not fact.type:
                message = f"'{key}' is set to {fact.type} here and to {known.type} elsewhere"
                self._note("RS056", message, "use one type, or two names", at)
        return SetValues(name, values, following, facts)

    def _wait_for(self, step: WaitForStep, name: str, path: YamlPath, following: str | None) -> WaitFor:
        rule, events = None, tuple(dict.fromkeys(step.event or ()))
        if step.when is not None:
            rule = f"wait:{self._entry.id}/{name}"
            # Without an event it is asked between events too, so it sees what is known at any time.
            catalogue, elsewhere = self._at_event(events), NOTHING
            if not events:
                catalogue, elsewhere = self._catalogues.inside(self._entry), _OF_STATES
            at = (*path, "when")
            self._asked(
                self._condition(at, step.when, catalogue, [(rule, rule)], events, elsewhere=elsewhere)
            )
        then = self._sequence(step.then, (*path, "then"), following)
        otherwise = self._sequence(step.otherwise, (*path, "otherwise"), following)
        return WaitFor(name, events, rule, step.up_to, then, otherwise)

    def _ask(self, step: AskStep, name: str, path: YamlPath, following: str | None) -> Ask:
        choices = tuple(
            Choice(
                each.id,
                each.title,
                self._sequence(each.steps, (*path, "choices", number, "steps"), following),
            )
            for number, each in enumerate(step.choices)
        )
        otherwise = self._sequence(step.otherwise, (*path, "otherwise"), following)
        calendar = self._calendars.get(step.calendar or "")
        return Ask(
            name, step.queue, step.question, choices, step.deadline, otherwise, calendar, step.priority
        )

    def _at_event(self, events: Sequence[str]) -> Catalogue:
        """What a run is asked about at an event."""
        key = tuple(events)
        if key not in self._at_events:
            catalogue = self._catalogues.on_events(events, self._entry)
            self._at_events[key] = catalogue.extended(calendar_facts(self._calendars))
        return self._at_events[key]

    @cached_property
    def _between(self) -> Catalogue:
        """What a run is asked about between events: branches and repeats."""
        return self._catalogues.inside(self._entry).extended(calendar_facts(self._calendars))

    def _branch(self, step: BranchStep, name: str, path: YamlPath, following: str | None) -> Branch:
        shard = f"branch:{self._entry.id}/{name}"
        catalogue = self._between
        cases: list[tuple[str, str | None]] = []
        for number, case in enumerate(step.cases):
            rule, at = f"{shard}/{number + 1}", (*path, "cases", number)
            self._asked(self._condition((*at, "when"), case.when, catalogue, [(rule, shard)]))
            cases.append((rule, self._sequence(case.steps, (*at, "steps"), following)))
        return Branch(name, tuple(cases), self._sequence(step.else_, (*path, "else"), following))

    def _repeat(self, step: RepeatStep, name: str, path: YamlPath, following: str | None) -> Repeat:
        rule = None
        if step.while_ is not None:
            rule = f"repeat:{self._entry.id}/{name}"
            at = (*path, "while")
            self._asked(self._condition(at, step.while_, self._between, [(rule, rule)]))
        body = self._sequence(step.steps, (*path, "steps"), name)
        assert body is not None, "a repeat has at least one step"
        inside = frozenset(step_id(each) for _, each in walk(step.steps, (*path, "steps")))
        return Repeat(name, body, following, step.times or step.at_most or 1, rule, inside)

    def _call(self, step: CallStep, name: str, path: YamlPath, following: str | None) -> Call:
        return Call(
            id=name,
            action=step.action,
            values=dict(step.values),
            purpose=self._entry.purpose,
            results={each: FactType(kind) for each, kind in step.results.items()},
            next=following,
            failed=self._sequence(step.failed, (*path, "failed"), following),
            deadline=step.deadline,
        )

    def _experiment(
        self, step: ExperimentStep, name: str, path: YamlPath, following: str | None
    ) -> Experiment:
        # An arm is for good, so what is only known of one run makes no strata.
        at = (*path, "stratify_by")
        check_strata(self._journey, step.stratify_by, at, self._catalogues.contact, self._rulebook)
        ways = tuple(
            self._sequence(arm.steps, (*path, "arms", number, "steps"), following)
            for number, arm in enumerate(step.arms)
        )
        return Experiment(name, design_of(self._entry.id, step), ways)

    def _condition(
        self,
        at: YamlPath,
        raw: object | None,
        catalogue: Catalogue,
        names: Sequence[tuple[str, str]],
        events: Sequence[str] = (),
        *,
        also: Condition | None = None,
        elsewhere: Mapping[str, str] = NOTHING,
    ) -> Condition | None:
        condition = self._rulebook.add(
            self._journey, at, raw, catalogue, names, also=also, elsewhere=elsewhere
        )
        if condition is not None and len(events) > 1:
            self._warn_of_one_sided(condition, events)
        return condition

    def _asked(self, condition: Condition | None) -> None:
        """Keep with the program what a condition asks runs about: calendars, and properties of events."""
        self._asked_calendars |= self._calendars_of(condition)
        self._named += paths_of(condition)

    def _calendars_of(self, condition: Condition | None) -> dict[str, WorkingCalendar]:
        found = (path.partition(".") for path in paths_of(condition))
        return {name: self._calendars[name] for family, _, name in found if family == "calendar"}

    def _warn_of_one_sided(self, condition: Condition, events: Sequence[str]) -> None:
        """A test on a property that only some of the event types have is never settled for the others."""
        for test in tests_of(condition):
            if not test.path.startswith("event."):
                continue
            without = [kind for kind in events if test.path not in self._catalogues.properties_of(kind)]
            if without:
                message = (
                    f"'{test.path}' is not a property of '{without[0]}': for such events this stays unknown"
                )
                place = self._journey.source.key_place(test.at)
                path = dotted(test.at)
                self.problems.append(
                    Problem(
                        place,
                        "RW005",
                        path,
                        message,
                        "write one journey per event type, or test another fact",
                    )
                )

    def _fact(self, path: str, catalogue: Catalogue, types: set[FactType], at: YamlPath, wanted: str) -> bool:
        return self._rulebook.fact(self._journey, path, catalogue, types, at, wanted)

    def _unreachable(self, first: str | None, steps: Mapping[str, Step]) -> None:
        reached: set[str] = set()
        ahead = [first] if first is not None else []
        while ahead:
            name = ahead.pop()
            if name not in reached:
                reached.add(name)
                ahead.extend(exit_ for exit_ in exits(steps[name]) if exit_ is not None)
        for path, step in walk(self._entry.steps, ("steps",)):
            if step_id(step) not in reached:
                self._note(
                    "RS059",
                    f"the step '{step_id(step)}' can never be reached",
                    "remove it, or the stop before it",
                    path,
                )
                return

    def _note(self, code: str, message: str, hint: str, at: YamlPath) -> None:
        self.problems.append(self._journey.problem(code, message, hint, at=at))


def exits(step: Step) -> Iterator[str | None]:
    """Where a step can lead; None is the end of the run."""
    match step:
        case Send():
            yield step.next
            yield from step.outcomes.values()
        case WaitFor():
            yield step.then
            yield step.otherwise
        case Ask():
            yield from (choice.next for choice in step.choices)
            yield step.otherwise
        case Branch():
            yield from (case for _, case in step.cases)
            yield step.otherwise
        case Repeat():
            yield step.body
            yield step.next
        case Call():
            yield step.next
            yield step.failed
        case Experiment():
            yield from step.ways
        case Stop():
            return
        case _:
            yield step.next


def version_of(journey: JourneyFile) -> str:
    """Content hash of what a journey does; titles and owners may change without a new version."""
    data = journey.model_dump(mode="json", by_alias=True, exclude=_PROSE)
    if not journey.enter.also:
        del data["enter"]["also"]  # what nobody wrote makes no other version
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
