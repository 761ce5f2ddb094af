"""Which steps, ways, conditions, plans and breakers the tests of a workspace reached, and which none did."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from engine.authoring.bundle import Bundle
from engine.authoring.rule_tests.tests import Act, Halting, Join, Trip, Turn, Way
from engine.errors import Place
from engine.journeys.program import Ask, Branch, Experiment
from engine.journeys.run import NO_ANSWER, Exposed, TaskDecided, TimerDue
from engine.simulation.journal import Asked, Entry, Moved

OF_JOURNEYS = ("entry", "pattern", "leave", "goal", "wait", "branch", "repeat")
"""Families of rule ids that name their journey."""
SIDES = ("true", "not true")
"""A condition is reached on both: where it never fails, nobody would miss it."""


@dataclass(frozen=True, order=True)
class Spot:
    """One thing for tests to reach."""

    place: Place
    kind: str
    """step | way | condition | plan | breaker"""
    journey: str
    """Empty outside journeys."""
    name: str
    """As `benefit`, `copy.else` or `enter.when`."""
    more: str = ""
    """Of a condition its side, of a way the step it begins with."""


@dataclass(frozen=True)
class Coverage:
    """What there is to reach, and what of it no test reached; both in the order of the files."""

    spots: tuple[Spot, ...]
    missed: tuple[Spot, ...]

    @property
    def percent(self) -> float:
        """Of 100; a workspace with nothing to reach is wholly covered."""
        return 100.0 if not self.spots else 100.0 * (1 - len(self.missed) / len(self.spots))

    @property
    def untested(self) -> tuple[str, ...]:
        """Journeys of which no step was reached."""
        steps = {spot for spot in self.spots if spot.kind == "step"}
        reached = {spot.journey for spot in steps - set(self.missed)}
        return tuple(sorted({spot.journey for spot in steps} - reached))


class Reached:
    """Collects what tests reach."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._steps: set[tuple[str, str]] = set()
        self._true: set[str] = set()
        self._not_true: set[str] = set()
        self._taken: set[tuple[str, str]] = set()
        """Branches: (journey, step) of those that went by `else`, and (rule, "") of the cases taken.

        Experiments: (key, arm) of the arms taken."""
        self._answers: set[tuple[str, str, str]] = set()
        """Tasks: journey, step, answer."""
        self._switched: set[tuple[str, str]] = set()
        """Plans that were on and breakers that were tripped, as `Bundle.switches` names them."""

    def note(self, journeys: Collection[str], entries: Iterable[Entry]) -> None:
        """Add what one test of these journeys reached."""
        for entry in entries:
            match entry:
                case Moved():
                    self._steps.update((entry.journey, step) for step in entry.done.path)
                    self._note_answer(entry)
                    exposed = [each for each in entry.done.effects if isinstance(each, Exposed)]
                    self._taken.update((each.design.key, each.assignment.arm) for each in exposed)
                case Asked():
                    asked = [rule for rule in entry.rules if _concerns(rule, journeys)]
                    self._true.update(rule for rule in asked if rule in entry.true)
                    self._not_true.update(rule for rule in asked if rule not in entry.true)
                    if asked and asked[0].startswith("branch:"):
                        taken = next((rule for rule in asked if rule in entry.true), None)
                        self._taken.add((taken or _shard(asked[0]), "" if taken else "else"))

    def note_acts(self, acts: Iterable[Act]) -> None:
        """Add what operators did in one test."""
        for act in acts:
            match act:
                case Turn(plans=plans):
                    self._switched.update(("plan", plan) for plan in plans)
                case Trip(breaker=breaker, level=str()):
                    self._switched.add(("breaker", breaker))
                case Trip() | Join():
                    pass  # a reset alone shows nothing of what the breaker holds
                case Halting():
                    pass  # what a share holds shows in its messages, as with all that budgets say

    def _note_answer(self, moved: Moved) -> None:
        """The way that a task led: by its answer, or by none."""
        match moved.cause:
            case TaskDecided(step, choice):
                self._answers.add((moved.journey, step, choice))
            case TimerDue() if moved.before is not None and moved.before in moved.done.run.answers:
                self._answers.add((moved.journey, moved.before, NO_ANSWER))

    def coverage(self) -> Coverage:
        """What was reached so far of everything there is."""
        found = [*self._of_journeys(), *self._of_conditions(), *self._of_switches()]
        spots = sorted(spot for spot, _ in found)
        return Coverage(tuple(spots), tuple(sorted(spot for spot, reached in found if not reached)))

    def _of_journeys(self) -> Iterator[tuple[Spot, bool]]:
        for journey, marks in self._bundle.landmarks.items():
            for step, place in marks.steps.items():
                yield Spot(place, "step", journey, step), (journey, step) in self._steps
            for way in marks.ways:
                spot = Spot(way.place, "way", journey, f"{way.step}.{way.name}", way.first or "")
                yield spot, self._was_taken(journey, way)

    def _of_switches(self) -> Iterator[tuple[Spot, bool]]:
        for (kind, name), place in self._bundle.switches.items():
            yield Spot(place, kind, "", name), (kind, name) in self._switched

    def _was_taken(self, journey: str, way: Way) -> bool:
        program = self._bundle.programs.get(journey)
        branch = program.steps.get(way.step) if program is not None else None
        if isinstance(branch, Experiment):
            return (branch.design.key, way.name.removeprefix("arms.")) in self._taken
        if isinstance(branch, Ask):
            choices = [choice.id for choice in branch.choices]
            answer = NO_ANSWER if way.name == "otherwise" else choices[_number(way.name, "choices")]
            return (journey, way.step, answer) in self._answers
        if way.first is not None:
            return (journey, way.first) in self._steps
        if not isinstance(branch, Branch):
            return (journey, way.step) in self._steps
        if way.name == "else":
            return (f"branch:{journey}/{way.step}", "else") in self._taken
        return (branch.cases[_number(way.name, "cases")][0], "") in self._taken

    def _of_conditions(self) -> Iterator[tuple[Spot, bool]]:
        names: dict[str, list[str]] = {}
        for rule in self._bundle.rules:
            # An entry has a rule for each of its event types, all from one condition.
            names.setdefault(rule.id.partition("#")[0], []).append(rule.id)
        for name, rules in names.items():
            place = self._bundle.rule_places[rules[0]]
            journey = _journey(name)
            for side, seen in zip(SIDES, (self._true, self._not_true), strict=True):
                spot = Spot(place, "condition", journey, path_of(name), side)
                yield spot, not seen.isdisjoint(rules)


def _number(way: str, key: str) -> int:
    return int(way.removeprefix(f"{key}[").removesuffix("]"))


def _concerns(rule: str, journeys: Collection[str]) -> bool:
    """Whether a rule belongs to one of the journeys, or to none."""
    journey = _journey(rule)
    return not journey or journey in journeys


def _journey(rule: str) -> str:
    family, _, rest = rule.partition(":")
    return rest.partition("#")[0].partition("/")[0] if family in OF_JOURNEYS else ""


def path_of(rule: str) -> str:
    """Where a condition stands in its journey, as `copy.cases[0].when`; other rules by what they decide."""
    family, _, rest = rule.partition(":")
    owner, _, inside = rest.partition("#")[0].partition("/")
    match family:
        case "entry":
            return f"enter.{inside}.when" if inside else "enter.when"
        case "pattern":
            return f"enter.pattern {inside}.when"
        case "leave":
            return f"leave[{int(inside) - 1}].when"
        case "goal":
            return "goal.when"
        case "wait":
            return f"{inside}.when"
        case "repeat":
            return f"{inside}.while"
        case "branch":
            step, _, number = inside.rpartition("/")
            return f"{step}.cases[{int(number) - 1}].when"
        case "class":
            return f"class {owner}.cases[{int(inside) - 1}].when"
        case "score":
            return f"score {owner}.bands[{int(inside) - 1}]"
        case _:
            return f"{family} {owner}"


def _shard(rule: str) -> str:
    return rule.rpartition("/")[0]
