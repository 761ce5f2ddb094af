"""When a schedule next comes round to somebody whom it would let in: found by asking ahead.

A journey that looks at everybody each morning lets in very few. Whether it would let a contact in hangs on a
handful of facts, so the firings of a month are asked about at once, with those facts, and the answer serves
everybody of whom the same is true. It is the matcher that answers, and what it answers holds until one of
those facts changes; at the firing itself everything is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.authoring.bundle import Bundle
from engine.authoring.profile_rules import STAGE
from engine.contacts.profile import Profile, contact_facts
from engine.intake.firing import firing_event, scheduled
from engine.journeys.event import SCHEDULE_FIRED, event_facts
from engine.journeys.interpreter import Decider
from engine.journeys.program import Program
from engine.rules.condition import Condition, FactRef, Op, Test, tests_of
from engine.rules.evaluator import evaluate
from engine.rules.facts import Facts, FactValue
from engine.rules.timing import turns_of
from engine.rules.truth import Truth

MONTHS_AHEAD = 13
"""How far one question looks; after that it is asked again."""
_MOST_REMEMBERED = 200_000
_TICK = timedelta(microseconds=1)
_OF_CONTACT = "contact."
_LABEL_TESTS = {Op.HAS, Op.LACKS, Op.HAS_ANY, Op.HAS_ALL}

_Month = tuple[int, int]
_Reader = Callable[[Profile], Hashable]


@dataclass(frozen=True)
class Coming:
    """The next moment at which a schedule concerns somebody."""

    at: datetime | None
    """None: it never does while they stand as they do."""
    fires: bool
    """False: nothing is known of later firings; ask again then."""
    state: Hashable
    """What the answer hangs on; once it differs, ask again."""


class Firings:
    """The schedules of one bundle. With `every` each firing counts, whomever it lets in."""

    def __init__(self, bundle: Bundle, matcher: Decider, *, every: bool = False) -> None:
        self._schedules = {
            journey: _Schedule(program, bundle, matcher, every=every)
            for journey, program in sorted(scheduled(bundle).items())
        }
        self.journeys: Sequence[str] = tuple(self._schedules)
        """The journeys that are entered by the clock, by name."""

    def state_of(self, journey: str, profile: Profile) -> Hashable:
        """What it hangs on whether a firing lets this contact in."""
        return self._schedules[journey].state_of(profile)

    def next_after(self, journey: str, profile: Profile, moment: datetime) -> Coming:
        """The first firing after the moment that would let the contact in, as they stand."""
        return self._schedules[journey].next_after(profile, moment)


@dataclass(frozen=True)
class _Firings:
    """The firings of a month in one zone."""

    moments: tuple[datetime, ...]
    facts: Sequence[Facts]
    alike: Hashable
    """Firings of which this is equal are true of the same contacts, one by one."""


class _Schedule:
    def __init__(self, program: Program, bundle: Bundle, matcher: Decider, *, every: bool) -> None:
        assert program.entry.schedule is not None, "only scheduled journeys fire"
        self._program = program
        self._schedule = program.entry.schedule
        self._bundle = bundle
        self._matcher = matcher
        self._every = every
        self._rule = f"{program.entry.rule}#{SCHEDULE_FIRED}"
        condition = bundle.condition(self._rule)
        tests = list(tests_of(condition))
        self._paths = sorted(set(_contact_paths(tests)))
        self._readers = [_reader(path, tests, bundle) for path in self._paths]
        counts = {f"{_OF_CONTACT}{count.id}" for count in bundle.counts}
        self._ask_counts = not counts.isdisjoint(self._paths)
        # Said of the contact alone, the condition stays as it is while neither ages nor counts are in it.
        of_contact = [test for test in tests if test.path.startswith(_OF_CONTACT)]
        is_steady = not self._ask_counts and not turns_of(of_contact)
        asks_for_absence = any(test.op is Op.EXISTS and test not in of_contact for test in tests)
        self._steady: Condition | None = condition if is_steady and not asks_for_absence else None
        self._of_event = sorted({path for test in tests for path in _paths(test)} - set(self._paths))
        # Unless something ages, what is true of two firings that bring along the same is the same.
        self._ages = self._ask_counts or any(isinstance(test.wanted, timedelta) for test in tests)
        self._events: dict[tuple[str, _Month], _Firings] = {}
        self._never: dict[Hashable, bool] = {}
        self._true: dict[tuple[Hashable, Hashable], tuple[int, ...]] = {}

    def state_of(self, profile: Profile) -> tuple[Hashable, ...]:
        zone = self._schedule.zone(profile.timezone, self._bundle.workspace.timezone).key
        return (zone,) if self._every else (zone, *[read(profile) for read in self._readers])

    def next_after(self, profile: Profile, moment: datetime) -> Coming:
        zone = self._schedule.zone(profile.timezone, self._bundle.workspace.timezone)
        state = self.state_of(profile)
        if self._every:
            return Coming(self._schedule.next_after(moment, zone), True, state)
        if self._lets_nobody_in(profile, state):
            return Coming(None, False, state)
        month = (moment.year, moment.month)
        for _ in range(MONTHS_AHEAD):
            for at in self._true_in(month, profile, state):
                if at > moment:
                    return Coming(at, True, state)
            month = _next(month)
        fires_again = self._schedule.next_after(_begin(month) - _TICK, zone) is not None
        return Coming(_begin(month) if fires_again else None, False, state)

    def _lets_nobody_in(self, profile: Profile, state: Hashable) -> bool:
        """Whether the rule is false of the contact whatever a firing brings along."""
        if self._steady is None:
            return False
        known = self._never.get(state)
        if known is None:
            now = profile.created_at  # no matter which: nothing that is asked depends on it
            _make_room(self._never)
            known = evaluate(self._steady, self._asked(profile, now), now) is Truth.FALSE
            self._never[state] = known
        return known

    def _true_in(self, month: _Month, profile: Profile, state: tuple[Hashable, ...]) -> tuple[datetime, ...]:
        """The firings of a month at which the rule holds of a contact in this state."""
        firings = self._firings_in(month, profile)
        _zone, *stands = state
        asked = tuple(stands), firings.alike
        known = self._true.get(asked)
        if known is None:
            _make_room(self._true)
            known = self._true[asked] = tuple(self._asked_ahead(firings, profile))
        return tuple([firings.moments[number] for number in known])

    def _asked_ahead(self, firings: _Firings, profile: Profile) -> Iterator[int]:
        contact: Mapping[str, FactValue | None] | None = None
        for number, (at, event) in enumerate(zip(firings.moments, firings.facts, strict=True)):
            if contact is None or self._ask_counts:
                contact = self._asked(profile, at)
            if self._matcher.holds(self._rule, {**contact, **event}, at):
                yield number

    def _asked(self, profile: Profile, at: datetime) -> dict[str, FactValue | None]:
        """The facts of the contact that the rule asks for."""
        facts = contact_facts(profile, self._bundle, at)
        return {path: facts.get(path) for path in self._paths}

    def _firings_in(self, month: _Month, profile: Profile) -> _Firings:
        """The firings of a month, each with the facts it brings; the same for everybody of a zone."""
        zone = self._schedule.zone(profile.timezone, self._bundle.workspace.timezone)
        known = self._events.get((zone.key, month))
        if known is None:
            moments = tuple(self._schedule.firings(_begin(month) - _TICK, _begin(_next(month)) - _TICK, zone))
            facts = [
                event_facts(firing_event(self._program, self._bundle, profile, at, at)) for at in moments
            ]
            brought = tuple(tuple(map(each.get, self._of_event)) for each in facts)
            alike = (zone.key, month) if self._ages else brought
            known = self._events[zone.key, month] = _Firings(moments, facts, alike)
        return known


def _begin(month: _Month) -> datetime:
    return datetime(*month, 1, tzinfo=UTC)


def _next(month: _Month) -> _Month:
    year, number = month
    return (year, number + 1) if number < 12 else (year + 1, 1)


def _make_room(memory: dict[Any, Any]) -> None:
    if len(memory) >= _MOST_REMEMBERED:
        memory.clear()


def _contact_paths(tests: Sequence[Test]) -> Iterator[str]:
    return (path for test in tests for path in _paths(test) if path.startswith(_OF_CONTACT))


def _paths(test: Test) -> list[str]:
    return [test.path, test.wanted.path] if isinstance(test.wanted, FactRef) else [test.path]


def _reader(path: str, tests: Sequence[Test], bundle: Bundle) -> _Reader:
    """What of a profile stands behind a fact, as far as the tests ask for it; independent of the moment."""
    name = path.removeprefix(_OF_CONTACT)
    rules = bundle.profile
    if name == "tags":
        labels = _labels_asked(path, tests)
        if labels is None:
            return lambda profile: frozenset(profile.tags | profile.derived_tags)
        return lambda profile: (labels & profile.tags) | (labels & profile.derived_tags)
    if name == "audiences":
        return lambda profile: frozenset(profile.audiences)
    if name == "average_order_value":
        return lambda profile: (profile.total_spent, profile.order_count)
    if any(count.id == name for count in bundle.counts):
        return lambda profile: (repr(profile.counts.get(name)), bool(profile.last_event_seq))
    if any(score.id == name for score in rules.scores):
        return lambda profile: profile.scores.get(name)
    if any(division.id == name for division in rules.classes) and name != STAGE:
        return lambda profile: profile.classes.get(name)
    if name in bundle.workspace.attributes:
        return lambda profile: repr(profile.attributes.get(name))
    return lambda profile: getattr(profile, name)


def _labels_asked(path: str, tests: Sequence[Test]) -> frozenset[str] | None:
    """The labels that the tests look for; None when they ask for the set as a whole."""
    asked: set[str] = set()
    for test in tests:
        if isinstance(test.wanted, FactRef) and path in (test.path, test.wanted.path):
            return None
        if test.path != path:
            continue
        if test.op not in _LABEL_TESTS:
            return None
        wanted = test.wanted if isinstance(test.wanted, tuple) else (test.wanted,)
        asked.update(str(label) for label in wanted)
    return frozenset(asked)
