"""Which facts a condition may ask about, depending on where it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import BaseModel

from engine.authoring.bundle import EventType
from engine.authoring.compiling.ways_in import ways_in
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.single_steps import CopiedFact, SetStep
from engine.authoring.models.steps import (
    AskStep,
    BranchStep,
    CallStep,
    ExperimentStep,
    RepeatStep,
    SendStep,
    WaitForStep,
)
from engine.authoring.models.workspace import WorkspaceFile
from engine.gate.model import Outcome
from engine.journeys.keeping import ENTRY, EVENTS, NEVER_KEPT
from engine.journeys.program import Ask, Call, Experiment, Program, Scalar, Send, SetValues, WaitFor
from engine.journeys.run import NO_ANSWER, CallOutcome
from engine.rules.condition import YamlPath
from engine.rules.facts import BUILT_IN, Catalogue, Fact, FactType

COMPUTED_FACTS = {
    "contact.stage": "add a class 'stage' to a file of kind tags",
    "contact.audiences": "add a file of kind audience",
}
"""Built-in facts that only the workspace's own rules give a value -> how to have them."""

AnyStep = Any  # a step of any kind; pydantic's union cannot be named without its discriminator


class Catalogues:
    """The facts of one workspace, by place."""

    def __init__(
        self, workspace: WorkspaceFile, events: Mapping[str, EventType], computed: Iterable[Fact] = ()
    ) -> None:
        """`computed` are the contact facts that the workspace's own files add: counts, scores, classes, …"""
        self._contact = [
            *(
                fact
                for fact in BUILT_IN
                if fact.path.startswith("contact.") and fact.path not in COMPUTED_FACTS
            ),
            *(
                Fact(f"contact.{name}", FactType(entry.type), entry.title or name, entry.choices)
                for name, entry in workspace.attributes.items()
            ),
            *computed,
        ]
        self._event = [fact for fact in BUILT_IN if fact.path.startswith("event.")]
        self._events = events
        self.timezone = workspace.timezone
        """The workspace's own zone."""
        self._journey: JourneyFile | None = None
        self._of_journey: dict[tuple[str, ...] | None, Catalogue] = {}
        """Those of the journey asked for last, by event types; None: between events.

        A journey of thousands of steps asks for the same ones at each.
        """
        self._run_facts: list[Fact] | None = None
        """What its runs know, once it was asked for."""

    @property
    def contact(self) -> Catalogue:
        """What is known of a contact, without any event or journey: for tags."""
        return Catalogue(self._contact)

    @property
    def everything(self) -> Catalogue:
        """Every fact outside journeys, for listings; a property that types differ about is left out."""
        return Catalogue([*self._contact, *self._event, *self._properties(self._events)])

    def on_events(self, types: Iterable[str], journey: JourneyFile | None = None) -> Catalogue:
        """For conditions on events of these types: entries, waits, leave entries and goals."""
        types = tuple(dict.fromkeys(types))
        if journey is not None:
            return self._kept(journey, types, lambda: self._on_events(types, journey))
        return self._on_events(types, None)

    def _on_events(self, types: tuple[str, ...], journey: JourneyFile | None) -> Catalogue:
        own = [
            replace(fact, choices=types) if fact.path == "event.type" and types else fact
            for fact in self._event
        ]
        facts = [*self._contact, *own, *self._properties(types)]
        return Catalogue([*facts, *(self._of_run(journey) if journey is not None else ())])

    def of_events(self, types: Iterable[str]) -> Catalogue:
        """What events of these types say by themselves: for counts and patterns, which a contact's events
        alone must bring out the same again."""
        return Catalogue([*self._event, *self._properties(types)])

    def inside(self, journey: JourneyFile) -> Catalogue:
        """For conditions between events: the cases of branches."""
        return self._kept(journey, None, lambda: Catalogue([*self._contact, *self._of_run(journey)]))

    def _of_run(self, journey: JourneyFile) -> list[Fact]:
        """What a run of the journey asked for last knows: of its steps, and of events that it remembers."""
        if self._run_facts is None:
            own = [*journey_facts(journey), *self._remembered(journey)]
            self._run_facts = [*own, *self._values(journey, [*self._contact, *own])]
        return self._run_facts

    def _values(self, journey: JourneyFile, known: Iterable[Fact]) -> Iterator[Fact]:
        types = {fact.path: fact.type for fact in known}
        sets = [step for _, step in walk(journey.steps, ("steps",)) if isinstance(step, SetStep)]
        # A name set twice has one type: anything else is refused when the file is checked.
        for name, value in {name: value for step in sets for name, value in step.values.items()}.items():
            kind = types.get(value.fact) if isinstance(value, CopiedFact) else type_of(value)
            if kind is not None:  # else it is reported where it is written
                yield _value_fact(name, kind)

    def _remembered(self, journey: JourneyFile) -> Iterator[Fact]:
        ways = ways_in(journey.enter, journey.id)
        types = dict.fromkeys(kind for way in ways for kind in way.events)
        own = {fact.path: fact for way in ways for fact in way.facts}
        yield from remembered(said_by(self._events, types, own.values()), ENTRY)
        for _, step in walk(journey.steps, ("steps",)):
            if isinstance(step, WaitForStep) and step.event:
                yield from remembered(said_by(self._events, step.event), f"{EVENTS}{step.wait_for}.")

    def _kept(
        self, journey: JourneyFile, key: tuple[str, ...] | None, make: Callable[[], Catalogue]
    ) -> Catalogue:
        if journey is not self._journey:
            self._journey, self._of_journey, self._run_facts = journey, {}, None
        if key not in self._of_journey:
            self._of_journey[key] = make()
        return self._of_journey[key]

    def properties_of(self, event_type: str) -> frozenset[str]:
        """The fact paths that events of one type can bring."""
        own = self._events.get(event_type)
        declared = property_facts(own.schema) if own is not None else ()
        return frozenset(fact.path for fact in (*self._event, *declared))

    def _properties(self, types: Iterable[str]) -> list[Fact]:
        """What events of these types can say: of each fact, only what is true of every one of them."""
        return _properties(self._events, types)


def _properties(
    events: Mapping[str, EventType], types: Iterable[str], own: Iterable[Fact] = ()
) -> list[Fact]:
    """What events of these types can say: of each fact, only what is true of every one of them.

    `own` are facts that some of these events may bring beside the properties of their type.
    """
    types = tuple(dict.fromkeys(types))
    by_path: dict[str, Fact] = {}
    said: Counter[str] = Counter()
    disputed: set[str] = set()
    declared = [
        *(
            fact
            for event_type in types
            if event_type in events
            for fact in property_facts(events[event_type].schema)
        ),
        *own,
    ]
    for fact in declared:
        said[fact.path] += 1
        known = by_path.setdefault(fact.path, fact)
        if known.type is not fact.type:
            disputed.add(fact.path)
        elif known is not fact:
            by_path[fact.path] = _common(known, fact)
    return [
        fact if said[path] == len(types) else replace(fact, always=False)
        for path, fact in by_path.items()
        if path not in disputed
    ]


def said_by(
    events: Mapping[str, EventType], types: Iterable[str], own: Iterable[Fact] = ()
) -> Iterator[Fact]:
    """The `event.` facts of events of these types; `own` are those that some may bring besides."""
    types = tuple(dict.fromkeys(types))
    for fact in BUILT_IN:
        if fact.path.startswith("event."):
            yield replace(fact, choices=types) if fact.path == "event.type" else fact
    yield from _properties(events, types, own)


def remembered(said: Iterable[Fact], prefix: str) -> Iterator[Fact]:
    """What a run keeps of an event that says this, below `prefix`; texts and lists only if they are short."""
    for fact in said:
        name = fact.path.removeprefix("event.")
        if name in NEVER_KEPT:
            continue
        # A wait may not have ended yet, or in vain.
        is_short = fact.type not in {FactType.TEXT, FactType.LABELS} or name == "type"
        always = fact.always and is_short and prefix == ENTRY
        yield replace(
            fact, path=f"{prefix}{name}", title=f"{fact.title} ({_WHICH[prefix == ENTRY]})", always=always
        )


_WHICH = {True: "of the event that let the contact in", False: "of the event that the step ended with"}


def _common(one: Fact, other: Fact) -> Fact:
    """A fact of one type that two types of events say: what is true of it for both."""
    choices = tuple(dict.fromkeys((*one.choices, *other.choices))) if one.choices and other.choices else ()
    least = None if one.least is None or other.least is None else min(one.least, other.least)
    most = None if one.most is None or other.most is None else max(one.most, other.most)
    always, whole = one.always and other.always, one.whole and other.whole
    return replace(one, choices=choices, always=always, least=least, most=most, whole=whole)


def property_facts(schema: Mapping[str, Any]) -> Iterator[Fact]:
    """The facts that a JSON Schema of properties declares; nested objects and mixed lists offer none."""
    properties = schema.get("properties")
    for name, entry in properties.items() if isinstance(properties, dict) else ():
        if not isinstance(entry, dict):
            continue
        kind = _fact_type(entry)
        if kind is None:
            continue
        options = entry.get("enum", ())
        choices = (
            tuple(option for option in options if isinstance(option, str)) if kind is FactType.TEXT else ()
        )
        is_number, required = kind is FactType.NUMBER, schema.get("required")
        yield Fact(
            f"event.{name}",
            kind,
            str(entry.get("title") or entry.get("description") or name),
            choices,
            always=isinstance(required, list) and name in required,
            least=_bound(entry.get("minimum")) if is_number else None,
            most=_bound(entry.get("maximum")) if is_number else None,
            whole=entry.get("type") == "integer",
        )


def _bound(raw: object) -> float | None:
    return raw if isinstance(raw, int | float) and not isinstance(raw, bool) else None


def _fact_type(entry: Mapping[str, Any]) -> FactType | None:
    match entry.get("type"):
        case "number" | "integer":
            return FactType.NUMBER
        case "string":
            return FactType.TEXT
        case "boolean":
            return FactType.BOOLEAN
        case "array" if isinstance(entry.get("items"), dict) and entry["items"].get("type") == "string":
            return FactType.LABELS
        case _:
            return None


def calendar_facts(calendars: Iterable[str]) -> Iterator[Fact]:
    """Of each calendar whether it is working time, at the moment at which a condition is asked."""
    for name in calendars:
        yield Fact(f"calendar.{name}", FactType.BOOLEAN, f"it is working time of {name}", always=True)


def journey_facts(journey: JourneyFile) -> Iterator[Fact]:
    """What a journey knows of its own run: ends of sends and calls, answers to tasks, values set."""
    steps = [step for _, step in walk(journey.steps, ("steps",))]
    yield from _run_facts(
        [step.send for step in steps if isinstance(step, SendStep)],
        {step.ask: [each.id for each in step.choices] for step in steps if isinstance(step, AskStep)},
        {
            step.experiment: [arm.id for arm in step.arms]
            for step in steps
            if isinstance(step, ExperimentStep)
        },
        [(step.repeat, step.times or step.at_most or 1) for step in steps if isinstance(step, RepeatStep)],
    )
    for step in steps:
        if isinstance(step, CallStep):
            yield from _call_facts(step.call, {name: FactType(kind) for name, kind in step.results.items()})


def program_facts(program: Program, events: Mapping[str, EventType]) -> Iterator[Fact]:
    """The same of a journey that is compiled already, and what its runs remember of events."""
    steps = program.steps.values()
    yield from _run_facts(
        [step.id for step in steps if isinstance(step, Send)],
        {step.id: [each.id for each in step.choices] for step in steps if isinstance(step, Ask)},
        {step.id: step.design.arms for step in steps if isinstance(step, Experiment)},
        [(step.id, step.at_most) for step in program.repeats],
    )
    for step in steps:
        if isinstance(step, Call):
            yield from _call_facts(step.id, step.results)
        if isinstance(step, SetValues):
            yield from (_value_fact(name, type_of(value)) for name, value in step.values.items())
            yield from (_value_fact(name, copied.type) for name, copied in step.facts.items())
        if isinstance(step, WaitFor) and step.events:
            yield from remembered(said_by(events, step.events), f"{EVENTS}{step.id}.")
    yield from remembered(said_by(events, program.entry.events, parameter_facts(program)), ENTRY)


def parameter_facts(program: Program) -> Iterator[Fact]:
    """What a request brings along, as facts of its event."""
    for name, kind in (program.entry.parameters or {}).items():
        yield Fact(f"event.{name}", kind, name)


def _value_fact(name: str, kind: FactType) -> Fact:
    return Fact(f"journey.values.{name}", kind, f"the value {name} that a step set")


def _call_facts(step: str, results: Mapping[str, FactType]) -> Iterator[Fact]:
    ends = tuple(str(outcome) for outcome in CallOutcome)
    yield Fact(f"journey.calls.{step}", FactType.TEXT, f"how the call of {step} ended", ends)
    for name, kind in results.items():
        yield Fact(f"journey.results.{step}.{name}", kind, f"what {step} answered as {name}")


def _run_facts(
    sends: Iterable[str],
    asks: Mapping[str, Sequence[str]],
    arms: Mapping[str, Sequence[str]],
    repeats: Iterable[tuple[str, int]],
) -> Iterator[Fact]:
    outcomes = tuple(str(outcome) for outcome in Outcome)
    for step in sends:
        yield Fact(f"journey.outcomes.{step}", FactType.TEXT, f"how the message of {step} ended", outcomes)
    for step, choices in asks.items():
        answers = (*choices, NO_ANSWER)
        yield Fact(f"journey.answers.{step}", FactType.TEXT, f"what was answered to {step}", answers)
    for step, choices in arms.items():
        yield Fact(f"journey.arms.{step}", FactType.TEXT, f"the contact's arm of {step}", tuple(choices))
    for step, at_most in repeats:
        title = f"how many rounds of {step} have begun"
        yield Fact(f"journey.rounds.{step}", FactType.NUMBER, title, least=0, most=at_most, whole=True)


def type_of(value: Scalar) -> FactType:
    """The fact type of a plain value."""
    if isinstance(value, bool):
        return FactType.BOOLEAN
    return FactType.TEXT if isinstance(value, str) else FactType.NUMBER


def walk(steps: Sequence[AnyStep], path: YamlPath) -> Iterator[tuple[YamlPath, AnyStep]]:
    """Every step with its place in the file, nested ones included, in the order written."""
    for number, step in enumerate(steps):
        here = (*path, number)
        yield here, step
        for key, nested in nested_lists(step):
            yield from walk(nested, (*here, *key))


def nested_lists(step: AnyStep) -> Iterator[tuple[YamlPath, Sequence[AnyStep]]]:
    """The lists of steps inside a step, each with the path that leads to it."""
    match step:
        case SendStep():
            for outcome, steps in step.outcomes.items():
                yield ("outcomes", outcome), steps
        case WaitForStep():
            yield ("then",), step.then
            yield ("otherwise",), step.otherwise
        case BranchStep():
            for number, case in enumerate(step.cases):
                yield ("cases", number, "steps"), case.steps
            yield ("else",), step.else_
        case ExperimentStep():
            for number, arm in enumerate(step.arms):
                yield ("arms", number, "steps"), arm.steps
        case AskStep():
            for number, choice in enumerate(step.choices):
                yield ("choices", number, "steps"), choice.steps
            yield ("otherwise",), step.otherwise
        case CallStep():
            yield ("failed",), step.failed
        case RepeatStep():
            yield ("steps",), step.steps


def step_id(step: AnyStep) -> str:
    """The id of a step: what stands after its kind."""
    kind: type[BaseModel] = type(step)
    return str(getattr(step, _first_key(kind)))


@cache
def _first_key(model: type[BaseModel]) -> str:
    return next(iter(model.model_fields))
