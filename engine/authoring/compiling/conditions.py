"""Reads the conditions of all files into rules, and remembers where each rule and each test is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.authoring.compiling.catalogues import COMPUTED_FACTS
from engine.authoring.definitions import Defined
from engine.authoring.reading.source import dotted
from engine.errors import Place, Problem
from engine.journeys.keeping import ENTRY
from engine.rules.condition import All, Condition, Rule, Test, YamlPath, tests_of
from engine.rules.facts import Catalogue, FactType
from engine.rules.faults import UNKNOWN_FACT, Fault
from engine.rules.parsing import parse_condition

NOTHING: Mapping[str, str] = {}
_CALENDARS = (
    "calendars are asked about in a journey, where a condition has a moment: enter, goal, leave and wait_for "
    "with an event, cases of branches, while; to go on in working time write a wait with 'calendar'"
)


@dataclass(frozen=True)
class Written:
    """One condition as it stands in a file, with the facts it may ask about."""

    defined: Defined[Any]
    path: YamlPath
    """From the top of the file."""
    condition: Condition
    catalogue: Catalogue
    names: tuple[tuple[str, str], ...]
    """The rule ids it is kept under, each with its shard."""

    @property
    def shard(self) -> str:
        return self.names[0][1]

    @property
    def line(self) -> int:
        return self.defined.source.key_place(self.path).line

    def problem(self, code: str, message: str, hint: str = "") -> Problem:
        """A problem with the condition as a whole."""
        return Problem(self.defined.source.key_place(self.path), code, dotted(self.path), message, hint)


@dataclass
class Rulebook:
    """The rules of a bundle while it is being compiled."""

    rules: list[Rule] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    test_places: dict[tuple[str, YamlPath], Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    """Every condition that could be read, once, in the order of compilation."""

    def add(
        self,
        defined: Defined[Any],
        at: YamlPath,
        raw: object | None,
        catalogue: Catalogue,
        names: Sequence[tuple[str, str]],
        *,
        also: Condition | None = None,
        elsewhere: Mapping[str, str] = NOTHING,
    ) -> Condition | None:
        """Read the condition at `at` of a definition and keep it under every (rule id, shard) of `names`.

        `elsewhere` is as for `read`. `also` must hold besides, and is all there is when nothing (None) is
        written; its `at` is a place of the whole file.
        """
        condition = None
        if raw is not None:
            condition = self.read(defined, at, raw, catalogue, elsewhere=elsewhere)
            if condition is None:
                return None
        if isinstance(also, Test) and _names_nothing(also, catalogue):
            return None
        if also is not None:
            condition = also if condition is None else All((also, condition), (*defined.path, *at))
        if condition is None:
            return None
        self.keep(defined, at, condition, catalogue, names)
        return condition

    def read(
        self,
        defined: Defined[Any],
        at: YamlPath,
        raw: object,
        catalogue: Catalogue,
        *,
        elsewhere: Mapping[str, str] = NOTHING,
    ) -> Condition | None:
        """Read the condition at `at` of a definition; None when it has faults, which are kept as problems.

        `elsewhere` says of families of facts that a condition may mean and cannot have here why that is so.
        """
        condition, faults = parse_condition(raw, catalogue, at=(*defined.path, *at))
        self.problems.extend(_problem(defined, fault, catalogue, elsewhere) for fault in faults)
        return None if faults else condition

    def note(
        self, defined: Defined[Any], at: YamlPath, condition: Condition, catalogue: Catalogue, shard: str
    ) -> None:
        """Have a condition looked at like every other, though it becomes no rule of the matcher."""
        path = (*defined.path, *at)
        name = f"{shard}:{dotted(path)}"
        self.written.append(Written(defined, path, condition, catalogue, ((name, shard),)))

    def keep(
        self,
        defined: Defined[Any],
        at: YamlPath,
        condition: Condition,
        catalogue: Catalogue,
        names: Sequence[tuple[str, str]],
    ) -> None:
        """Keep a condition that is written at `at` under every (rule id, shard) of `names`."""
        path = (*defined.path, *at)
        self.written.append(Written(defined, path, condition, catalogue, tuple(names)))
        for rule_id, shard in names:
            self.rules.append(Rule(rule_id, shard, condition))
            self.places[rule_id] = defined.source.key_place(path)
            for test in tests_of(condition):
                self.test_places[rule_id, test.at] = defined.source.key_place(test.at)

    def fact(
        self,
        defined: Defined[Any],
        path: str,
        catalogue: Catalogue,
        types: set[FactType],
        at: YamlPath,
        wanted: str,
    ) -> bool:
        """Whether `path`, written at `at`, is a fact of one of these types; `wanted` names them to people."""
        fact = catalogue.get(path)
        if fact is None:
            near = catalogue.nearest(path)
            hint = f"did you mean '{near}'?" if near else "`wayline facts` lists what there is"
            self.problems.append(defined.problem("RS056", f"'{path}' is not a known fact", hint, at=at))
        elif fact.type not in types:
            message = f"'{path}' is {fact.type}, and {wanted} is needed here"
            self.problems.append(defined.problem("RS056", message, "name another fact", at=at))
        return fact is not None and fact.type in types


def _problem(
    defined: Defined[Any], fault: Fault, catalogue: Catalogue, elsewhere: Mapping[str, str]
) -> Problem:
    hint = fault.hint
    if fault.code == UNKNOWN_FACT:
        path = str(fault.at[-1]) if fault.at else ""
        hint = elsewhere.get(path.partition(".")[0]) or _not_here(path, catalogue) or hint
    place = defined.source.key_place(fault.at)
    return Problem(place, fault.code, dotted(fault.at), fault.message, hint, fault.swap)


def _names_nothing(test: Test, catalogue: Catalogue) -> bool:
    """Whether a test that stands in no file asks for a name that is not there, which is reported as such."""
    fact = catalogue.get(test.path)
    return fact is not None and bool(fact.choices) and test.wanted not in fact.choices


def _not_here(path: str, catalogue: Catalogue) -> str:
    """Why a fact is missing that there could be, or a family that this place does not have; "" otherwise."""
    family, _, name = path.partition(".")
    if family == "event" and catalogue.get(f"{ENTRY}{name}") is not None:
        return f"no event is at hand here; of the one that let the contact in it is '{ENTRY}{name}'"
    if family in {"event", "contact", "journey", "metric"} and not any(
        fact.path.startswith(f"{family}.") for fact in catalogue
    ):
        families = sorted({f"{fact.path.partition('.')[0]}." for fact in catalogue})
        return f"no {family} is at hand here; known are facts that begin with {' or '.join(families)}"
    if family == "calendar" and not any(fact.path.startswith("calendar.") for fact in catalogue):
        return _CALENDARS
    return COMPUTED_FACTS.get(path, "")
