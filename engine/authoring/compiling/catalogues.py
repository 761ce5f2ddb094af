"""Which facts a condition may ask about, depending on where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from engine.authoring.bundle import EventType
from engine.authoring.compiling.event_facts import facts_of_properties, property_facts, remembered, said_by
from engine.authoring.compiling.nesting import walk
from engine.authoring.compiling.run_facts import journey_facts, type_of, value_fact
from engine.authoring.compiling.ways_in import ways_in
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.single_steps import CopiedFact, SetStep
from engine.authoring.models.waiting_steps import WaitForStep
from engine.authoring.models.workspace import WorkspaceFile
from engine.journeys.keeping import ENTRY, EVENTS
from engine.rules.facts import BUILT_IN, Catalogue, Fact, FactType

COMPUTED_FACTS = {
    "contact.stage": "add a class 'stage' to a file of kind tags",
    "contact.audiences": "add a file of kind audience",
}
"""Built-in facts that only the workspace's own rules give a value -> how to have them."""


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
                yield value_fact(name, kind)

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
        return facts_of_properties(self._events, types)


def calendar_facts(calendars: Iterable[str]) -> Iterator[Fact]:
    """Of each calendar whether it is working time, at the moment at which a condition is asked."""
    for name in calendars:
        yield Fact(f"calendar.{name}", FactType.BOOLEAN, f"it is working time of {name}", always=True)
