"""What reading one `.test.yaml` file stands on: its workspace, the journeys under test, moments, names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from engine.authoring.bundle import Bundle
from engine.authoring.checking.references import References
from engine.authoring.definitions import Defined
from engine.authoring.models.moments import Span, Stated
from engine.authoring.models.rule_test import RuleTestFile
from engine.authoring.reading.validating import known_list, nearest
from engine.authoring.rule_tests.tests import Cast, Window
from engine.errors import Problem
from engine.journeys.localtime import clock_moment
from engine.journeys.program import Call, Program, Send
from engine.rules.condition import YamlPath

MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


@dataclass
class Ground:
    """One file of tests while it is read."""

    file: Defined[RuleTestFile]
    bundle: Bundle
    references: References
    problems: list[Problem]
    programs: dict[str, Program] = field(default_factory=dict)
    """The journeys under test."""
    knows_all: bool = True
    """Whether every journey under test could be read; if not, unknown names prove nothing."""
    runs_all: bool = False
    """Whether no file of a journey is named, so that all of them run."""

    def note(self, code: str, message: str, hint: str, at: YamlPath, *, key: bool = False) -> None:
        """A problem at a value, or at the key that leads to it."""
        found = self.file.problem(code, message, hint, at=at)
        place = self.file.source.key_place(at) if key else found.place
        self.problems.append(Problem(place, code, found.path, message, hint))

    def refer(self, noun: str, name: str, at: YamlPath) -> bool:
        """Whether a name of the workspace is known; a problem when it is not."""
        found = self.references.check(noun, name, self.file, at)
        self.problems.extend(found)
        return not found

    def moment(self, span: Span, start: datetime, zone: str) -> datetime:
        """The moment that is meant, in UTC."""
        return _fixed(span.first, start, ZoneInfo(zone))[0]

    def window(self, span: Span, start: datetime, zone: str) -> Window:
        """When something is expected: a range includes its last minute, and its last day."""
        there = ZoneInfo(zone)
        return Window(_fixed(span.first, start, there)[0], _fixed(span.last, start, there)[1], span.text)

    def has_contact(self, name: str, people: Collection[str], at: YamlPath) -> bool:
        """Whether the test is about a contact of that name; a problem when it is not."""
        if name not in people:
            hint = nearest(name, people) or known_list(people)
            self.note("RS087", f"this test has no contact '{name}'", hint, at)
        return name in people

    def whose(self, name: str | None, people: Mapping[str, Cast], at: YamlPath) -> Cast:
        """The contact that is meant; any of them, and a problem, when that is not clear."""
        if name is not None and self.has_contact(name, people, (*at, "contact")):
            return people[name]
        anybody = next(iter(people.values()))
        if name is None and len(people) > 1:
            self.note(
                "RS087", "this test has several contacts; say which", f"add 'contact: {anybody.name}'", at
            )
        return anybody

    def journey(self, name: str, at: YamlPath) -> Program | None:
        """The journey under test of that name; None, and perhaps a problem, when there is none."""
        found = self.programs.get(name)
        if found is None and self.knows_all and self.refer("journey", name, at):
            files = ", ".join(self.file.item.ruleset)
            message = f"the journey '{name}' does not run in these tests, which are about {files}"
            self.note("RS087", message, "add its file to 'ruleset', as [welcome.yaml, other.yaml]", at)
        return found

    def owner(
        self, step: str, journey: str | None, kind: type[Send] | type[Call], at: YamlPath, key: str
    ) -> Program | None:
        """The journey under test that has a step of this kind; None, and perhaps a problem, for no such."""
        if journey is not None and self.journey(journey, (*at, "journey")) is None:
            return None
        programs = [self.programs[journey]] if journey is not None else list(self.programs.values())
        owners = [program for program in programs if isinstance(program.steps.get(step), kind)]
        if len(owners) == 1:
            return owners[0]
        if len(owners) > 1:
            names = ", ".join(program.journey for program in owners)
            message = f"several journeys have a step '{step}': {names}"
            self.note("RS087", message, f"add 'journey: {owners[0].journey}'", (*at, key))
            return None
        alike = [each.id for program in programs for each in program.steps.values() if isinstance(each, kind)]
        if any(step in program.steps for program in programs):
            message = f"the step '{step}' {'sends no message' if kind is Send else 'calls no action'}"
        else:
            where = f"'{programs[0].journey}' has" if len(programs) == 1 else "the journeys under test have"
            message = f"{where} no step '{step}'"
        self.unknown(message, step, alike, (*at, key))
        return None

    def unknown(self, message: str, name: str, known: Collection[str], at: YamlPath) -> None:
        """A name that the tested journeys do not have."""
        if self.knows_all:
            self.note("RS087", message, nearest(name, known) or known_list(known), at)


def _fixed(stated: Stated, start: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The moment, and the end of the minute or day that it stands for."""
    if isinstance(stated, timedelta):
        return start + stated, start + stated + MINUTE
    if not isinstance(stated, datetime):
        following: date = stated + _DAY
        midnight = datetime.min.time()
        return clock_moment(stated, midnight, zone), clock_moment(following, midnight, zone)
    if stated.tzinfo is not None:
        moment = stated.astimezone(UTC)
    else:
        moment = clock_moment(stated.date(), stated.time(), zone)
    return moment, moment + MINUTE
