"""What a journey's conditions ask about: each becomes a rule, and what runs must know for it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from engine.authoring.compiling.calendars import Calendars
from engine.authoring.compiling.catalogues import Catalogues, calendar_facts
from engine.authoring.compiling.conditions import NOTHING, Rulebook
from engine.authoring.definitions import Defined
from engine.authoring.models.journey import JourneyFile
from engine.authoring.reading.source import dotted
from engine.errors import Problem
from engine.journeys.calendar import WorkingCalendar
from engine.rules.condition import Condition, YamlPath, paths_of, tests_of
from engine.rules.facts import Catalogue, FactType

OF_STATES: Mapping[str, str] = {
    "calendar": "without an event nothing looks at the clock here, so it would be noticed late or never; "
    "name the 'event' at which it is asked, ask it in a branch, or write a wait with 'calendar'"
}
"""Facts that conditions on states do not see -> what to do instead."""


class Asking:
    """The conditions of one journey, as they become rules of the rulebook."""

    def __init__(
        self, journey: Defined[JourneyFile], catalogues: Catalogues, rulebook: Rulebook, calendars: Calendars
    ) -> None:
        self.journey = journey
        self.entry = journey.item
        self.catalogues = catalogues
        self.rulebook = rulebook
        self.calendars = calendars
        self.asked_calendars: dict[str, WorkingCalendar] = {}
        """Those that runs are asked about."""
        self.named: list[str] = []
        """Paths that conditions name, whatever they are."""
        self.problems: list[Problem] = []
        self._at_events: dict[tuple[str, ...], Catalogue] = {}

    def condition(
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
        """The rules of a condition as it is written, and `also` beside it; None if it cannot be read.

        `names` are pairs of a rule and its shard, `elsewhere` families of facts that are not to be had here.
        """
        condition = self.rulebook.add(self.journey, at, raw, catalogue, names, also=also, elsewhere=elsewhere)
        if condition is not None and len(events) > 1:
            self._warn_of_one_sided(condition, events)
        return condition

    def keep(self, condition: Condition | None) -> None:
        """Remember for the program what a condition asks runs about: calendars, and properties of events."""
        self.asked_calendars |= self.calendars_of(condition)
        self.named += paths_of(condition)

    def calendars_of(self, condition: Condition | None) -> dict[str, WorkingCalendar]:
        """The calendars that a condition asks about, by name."""
        found = (path.partition(".") for path in paths_of(condition))
        return {name: self.calendars[name] for family, _, name in found if family == "calendar"}

    def at_event(self, events: Sequence[str]) -> Catalogue:
        """What a run is asked about at an event."""
        key = tuple(events)
        if key not in self._at_events:
            catalogue = self.catalogues.on_events(events, self.entry)
            self._at_events[key] = catalogue.extended(calendar_facts(self.calendars))
        return self._at_events[key]

    @cached_property
    def between(self) -> Catalogue:
        """What a run is asked about between events: branches and repeats."""
        return self.catalogues.inside(self.entry).extended(calendar_facts(self.calendars))

    def fact(self, path: str, catalogue: Catalogue, types: set[FactType], at: YamlPath, wanted: str) -> bool:
        """Whether the fact exists here and is of one of these types; else that is noted."""
        return self.rulebook.fact(self.journey, path, catalogue, types, at, wanted)

    def note(self, code: str, message: str, hint: str, at: YamlPath) -> None:
        """Add a problem with what stands at `at`."""
        self.problems.append(self.journey.problem(code, message, hint, at=at))

    def _warn_of_one_sided(self, condition: Condition, events: Sequence[str]) -> None:
        """A test on a property that only some of the event types have is never settled for the others."""
        for test in tests_of(condition):
            if not test.path.startswith("event."):
                continue
            without = [kind for kind in events if test.path not in self.catalogues.properties_of(kind)]
            if without:
                message = (
                    f"'{test.path}' is not a property of '{without[0]}': for such events this stays unknown"
                )
                hint = "write one journey per event type, or test another fact"
                place, path = self.journey.source.key_place(test.at), dotted(test.at)
                self.problems.append(Problem(place, "RW005", path, message, hint))
