"""Runs the tests of a workspace in virtual time, and compares what happens with what they expect.

Interpreter, matching, gate, caps, consent and content are those of production; only time, channels and the
database are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property

from engine.authoring.bundle import Bundle
from engine.authoring.loading import Overlays
from engine.authoring.rule_tests.tests import Cast, Halting, Join, RuleTest, SaidEnd, Suite, Trip, Turn
from engine.journeys.run import CallOutcome
from engine.plugin.registry import Registry
from engine.rules.explaining import Explanation, explain
from engine.rules.matcher import Matcher
from engine.simulation.calling import SaidCall
from engine.simulation.comparing import Failure, Lived, compare
from engine.simulation.coverage import Coverage, Reached
from engine.simulation.journal import Entry, Journal, shards_of
from engine.simulation.people import Person
from engine.simulation.records import Sent
from engine.simulation.virtual import VirtualWorld

_OWN_GENERATOR = "template"
"""The one that works alone; others may ask a service that costs money, and fall back to this one."""


@dataclass(frozen=True)
class TestResult:
    """What became of one test."""

    __test__ = False  # pytest must not collect it

    suite: Suite
    test: RuleTest
    failures: tuple[Failure, ...]
    entries: tuple[Entry, ...]
    """What happened, in order."""
    sends: tuple[Sent, ...]

    @property
    def passed(self) -> bool:
        return not self.failures


@dataclass(frozen=True)
class TestReport:
    """What became of all of them."""

    __test__ = False

    results: tuple[TestResult, ...]
    coverage: Coverage

    @property
    def failed(self) -> tuple[TestResult, ...]:
        return tuple(result for result in self.results if not result.passed)


async def run_tests(
    bundle: Bundle,
    registry: Registry | None = None,
    *,
    chosen: Callable[[Suite, RuleTest], bool] = lambda _suite, _test: True,
    tell: Callable[[TestResult], None] = lambda _result: None,
) -> TestReport:
    """Run the bundle's tests, or the chosen ones, one after another; `tell` hears of each at once.

    With a registry messages are made and checked as in production.
    """
    if registry is not None:
        registry = own_generator_only(registry)
    reached = Reached(bundle)
    results: list[TestResult] = []
    with closing(_Bundles(bundle)) as bundles:
        for suite in bundle.suites:
            for test in suite.tests:
                if not chosen(suite, test):
                    continue
                result = await _run(bundles, suite, test, registry)
                reached.note(set(suite.journeys), result.entries)
                reached.note_acts(test.acts)
                results.append(result)
                tell(result)
    return TestReport(tuple(results), reached.coverage())


def own_generator_only(registry: Registry) -> Registry:
    """The registry with nothing that would reach the world: checks, and the generator that works alone.

    Channels that take some texts at any time stay, to be asked which: a simulation gives them no message.
    """
    own = {name: each for name, each in registry.generators.items() if name == _OWN_GENERATOR}
    asked = {name: each for name, each in registry.channels.items() if each.capabilities.writes_first}
    return Registry(asked, own, registry.checks, owners=registry.owners, environ={})


def _held_out(stage: Bundle, test: RuleTest) -> Bundle:
    """The bundle with the contacts held out whom the test says to be, and nobody else."""
    members = {
        hold_out.id: frozenset(cast.name for cast in test.contacts if hold_out.id in cast.held_out)
        for hold_out in stage.hold_outs
    }
    return replace(
        stage, hold_outs=tuple(replace(each, members=members[each.id]) for each in stage.hold_outs)
    )


@dataclass(frozen=True)
class _Ready:
    """A bundle, and what answers its conditions."""

    bundle: Bundle
    matcher: Matcher
    shards: Mapping[str, Sequence[str]]


class _Bundles:
    """The workspace's bundle as it is while plans are on: made once for each set of them that a test has."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._made: dict[tuple[str, ...], _Ready] = {}

    def under(self, plans: tuple[str, ...], suite: Suite, test: RuleTest) -> _Ready:
        """The bundle with these plans on, the journeys of a suite, and whom its test says to be held out."""
        made = self._made.get(plans)
        if made is None:
            base = self._bundle
            bundle = self._overlays.bundle(plans) if plans else base
            bundle = replace(
                bundle,
                suites=base.suites,
                landmarks=base.landmarks,
                windows=base.windows,
                knowing=base.knowing,
            )
            made = self._made[plans] = _Ready(bundle, Matcher(bundle.rules), shards_of(bundle))
        journeys = set(suite.journeys)
        programs = {name: each for name, each in made.bundle.programs.items() if name in journeys}
        return replace(made, bundle=_held_out(replace(made.bundle, programs=programs), test))

    @cached_property
    def _overlays(self) -> Overlays:
        return Overlays(self._bundle.files)

    def close(self) -> None:
        for made in self._made.values():
            made.matcher.close()


async def _run(bundles: _Bundles, suite: Suite, test: RuleTest, registry: Registry | None) -> TestResult:
    ready = bundles.under((), suite, test)
    stage, journal = ready.bundle, Journal(ready.matcher, ready.shards)
    with closing(
        VirtualWorld(stage, test.start, registry=registry, journal=journal, calls=map(_said, test.calls))
    ) as world:
        world.add(*map(_person, test.contacts))
        for past in test.history:
            world.remember(past.contact, past.event, past.at, past.properties)
        for act in test.acts:
            if isinstance(act, Join):
                world.merge(act.one, act.other, act.at)
        for event in test.events:
            world.feed(event.contact, event.event, event.at, event.properties, traits=event.traits)
        for number, answer in enumerate(test.answers):
            world.answer(
                answer.contact, answer.step, answer.choice, answer.at, journey=answer.journey, number=number
            )
        facts = await _pass_time(world, test, bundles, suite, journal)
        lived = Lived(
            sends=tuple(world.sends),
            decisions=tuple(world.decisions),
            positions={cast.name: world.active_runs(cast.name) for cast in test.contacts},
            facts=facts,
            unanswered=frozenset(each.number for each in world.unanswered),
        )
        failures = tuple(compare(test, lived))
        return TestResult(suite, test, failures, tuple(journal.entries()), lived.sends)


async def _pass_time(
    world: VirtualWorld, test: RuleTest, bundles: _Bundles, suite: Suite, journal: Journal
) -> dict[int, Explanation]:
    """Let the time of the test go by, do what its operators do, and look at facts when it does.

    The facts are those of the expectations, by their place among them.
    """
    found: dict[int, Explanation] = {}
    looks = [
        (each.window.first, 1, number)
        for number, each in enumerate(test.expected)
        if each.condition is not None and each.window is not None
    ]
    acts = [(act.at, 0, number) for number, act in enumerate(test.acts)]
    for at, is_look, number in sorted([*looks, *acts]):
        if is_look:
            await world.run_until(at)
            expected = test.expected[number]
            assert expected.condition is not None, "only expected facts are looked at"
            found[number] = explain(expected.condition, world.facts(expected.contact), at)
            continue
        await world.run_before(at)
        match test.acts[number]:
            case Turn(plans=plans):
                ready = bundles.under(plans, suite, test)
                own = journal.beside(ready.matcher, ready.shards)
                await world.put_in_force(ready.bundle, journal=own)
            case Trip(breaker=breaker, scope=scope, level=None):
                await world.reset(breaker, scope)
            case Trip(breaker=breaker, scope=scope, level=str() as level):
                await world.trip(breaker, scope, level)
            case Join():
                pass  # on the world's agenda from the beginning
            case Halting(budget=budget, share=share, halted=halted):
                await world.say_of_share(budget, share, halted=halted)
    await world.run_until(test.until)
    return found


def _said(end: SaidEnd) -> SaidCall:
    return SaidCall(end.step, CallOutcome(end.outcome), end.results, end.journey, end.contact)


def _person(cast: Cast) -> Person:
    return Person(
        cast.name,
        identities=cast.identities,
        consents=cast.consents,
        timezone=cast.timezone if cast.states_timezone else None,
        locale=cast.locale,
        tags=cast.tags,
        attributes=cast.attributes,
        arms=cast.arms,
    )
