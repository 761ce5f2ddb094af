"""People on their way when another bundle is published in virtual time: who goes where, as in production.

Orders, destinations and what a run becomes there are decided by the functions that production asks. A round
of those who take people over comes at once after whatever happens; in production it comes within seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from engine.authoring.bundle import Bundle
from engine.authoring.compiling.overlaying import overlay_hash
from engine.contacts.profile import contact_facts
from engine.governance.in_flight import refuse_to_strand
from engine.governance.outlook import JourneyOutlook, Look, Standing, orders_said
from engine.journeys.calendar import working_facts
from engine.journeys.event import Event, event_facts
from engine.journeys.interpreter import Decider
from engine.journeys.keeping import kept_of
from engine.journeys.localtime import zone_of
from engine.journeys.matching import ANY_EVENT, lasting_listeners, step_listeners
from engine.journeys.migrating import Destination, How, destination, is_ready, move
from engine.journeys.program import InFlight, Program, WaitFor
from engine.journeys.run import (
    Cause,
    Ended,
    EventSeen,
    RunOutcome,
    RunState,
    TimerDue,
    WaitKind,
    journey_facts,
)
from engine.rules.facts import FactValue
from engine.runs.migrating import asks_anew
from engine.runs.telling import Stand, taken_over
from engine.simulation.people import Living, VirtualRun
from engine.store.in_flight import Order, orders_after


@dataclass(frozen=True)
class Taken:
    """What became of a run."""

    evidence: Mapping[str, Any]
    ended: Ended | None = None
    """How it ended; None: it stands in the new version."""
    cause: Cause | None = None
    """What takes it on from there at once; None: it waits."""
    withdraws_task: bool = False


class InFlightKeeper:
    """Which people go where, of a world that `runs` looks through."""

    def __init__(self, runs: Callable[[], Iterable[VirtualRun]]) -> None:
        self._runs = runs
        self._orders: dict[str, Order] = {}
        self._known: dict[str, tuple[Bundle, Decider]] = {}

    @property
    def has_orders(self) -> bool:
        return bool(self._orders)

    def know(self, bundle: Bundle, decider: Decider) -> None:
        """A bundle that is in force from now on."""
        self._known[bundle.hash] = (bundle, decider)

    def forget(self) -> None:
        """Let nothing have been published."""
        self._orders = {}

    def foretell(
        self, wanted: Bundle, live: Bundle, policies: Mapping[str, InFlight]
    ) -> Sequence[JourneyOutlook]:
        """What publishing a bundle means for people on their way. RulesetError when it would strand some."""
        counted = Counter((run.program.journey, run.bundle.hash, run.state.position) for run in self._runs())
        standing: dict[str, list[Standing]] = {}
        for (journey, hash_, position), people in sorted(counted.items(), key=str):
            if self._without_plans(hash_) != wanted.hash:
                standing.setdefault(journey, []).append(Standing(hash_, position, people))
        look = Look(
            wanted,
            {live.hash, self._without_plans(live.hash)},
            lambda hash_: self._known[hash_][0] if hash_ in self._known else None,
            lambda plans: self._bundle_for(wanted.hash, plans),
        )
        journeys = sorted({*wanted.programs, *standing, *policies})
        found = look.outlooks(journeys, standing, policies, told=False)
        refuse_to_strand(found, wanted.files)
        return found

    def place_orders(self, wanted: str, people: Sequence[JourneyOutlook]) -> None:
        """Have done from now on what a publish means for people."""
        self._orders, _ = orders_after(self._orders, wanted, wanted, orders_said(people))

    def draining(self) -> frozenset[str]:
        """The journeys that nobody enters before people on earlier versions have finished."""
        drained = {name: each for name, each in self._orders.items() if each.policy is InFlight.DRAIN}
        if not drained:
            return frozenset()
        return frozenset(
            run.program.journey
            for run in self._runs()
            if run.program.journey in drained and run.bundle.hash in drained[run.program.journey].left
        )

    def take(self, person: Living, run: VirtualRun, cause: Cause | None, now: datetime) -> Taken | None:
        """Take the run over, changed in place, or say how it ends; None when it is not to be moved now.

        `cause` is what has come to its wait already.
        """
        order = self._orders.get(run.program.journey)
        if order is None or not order.is_moving or run.bundle.hash not in order.left:
            return None
        here = run.state.position or ""
        because = {"policy": order.policy.value, "to_bundle": order.bundle}
        if order.policy is InFlight.END:
            ended = Ended(RunOutcome.CANCELLED, "run.retired", here)
            return Taken({**because, "because": "policy"}, ended)
        new, decider = self._known[self._bundle_for(order.bundle, run.bundle.plans_on)]
        program = new.programs.get(run.program.journey)
        if program is None:
            return None
        where = destination(run.program, program, run.state.position)
        if not is_ready(run.state, cause, program, where):
            return None
        if where.how is How.ENDS:
            ended = Ended(RunOutcome.STOPPED, "run.retired", here)
            return Taken({**because, "because": where.because}, ended)
        return _move(person, run, cause, new, program, decider, where, now)

    def _bundle_for(self, bundle: str, plans: Sequence[str]) -> str:
        overlaid = overlay_hash(bundle, plans)
        return overlaid if plans and overlaid in self._known else bundle

    def _without_plans(self, hash_: str) -> str:
        bundle = self._known[hash_][0]
        if not bundle.plans_on:
            return hash_
        return next(each for each in self._known if overlay_hash(each, bundle.plans_on) == hash_)


def _move(
    person: Living,
    run: VirtualRun,
    cause: Cause | None,
    new: Bundle,
    program: Program,
    decider: Decider,
    where: Destination,
    now: datetime,
) -> Taken:
    """Write the run down where it goes."""
    facts = contact_facts(person.profile, new, now)
    zone = zone_of(person.profile.timezone, new.workspace.timezone)
    before, was = run.state, _stand(run)
    moved = move(before, cause, run.program, program, where, facts=facts, zone=zone, now=now)
    state = replace(moved.run, entry=_kept_of_entry(run, moved.run, program))
    asks = (
        state.waiting is not None
        and before.position is not None
        and state.position is not None
        and asks_anew(run.program.steps[before.position], run.bundle, program.steps[state.position], new)
    )
    run.bundle, run.program, run.matcher = new, program, decider
    known = {**facts, **journey_facts(state), **working_facts(program.calendars, now, zone)}
    heard = _came_before(run, state, known, now) if asks else None
    if heard is None and asks and _has_come_true(run, state, known, now):
        assert state.waiting is not None
        state = replace(state, waiting=replace(state.waiting, due_at=now))
    run.state = state
    run.lasting = lasting_listeners(program, run.started_at, person.seq)
    run.at_step = step_listeners(program, state, person.seq) if heard is None else ()
    if where.how is How.GOES_ON:
        run.since = []
    due_at = state.waiting.due_at if state.waiting is not None else None
    next_: Cause | None = moved.cause
    if next_ is None and heard is not None:
        next_ = EventSeen(heard.event_id, event_facts(heard))
    elif next_ is None and due_at is not None and due_at <= now:
        next_ = TimerDue()
    was_asked = before.waiting is not None and before.waiting.kind is WaitKind.TASK
    return Taken(
        taken_over(where, was, _stand(run)), None, next_, withdraws_task=was_asked and state.waiting is None
    )


def _kept_of_entry(run: VirtualRun, state: RunState, program: Program) -> Mapping[str, FactValue]:
    """What the new version asks of the event that let the person in."""
    names = program.keeps.entry
    return state.entry if names == run.program.keeps.entry else kept_of(event_facts(run.entered_by), names)


def _stand(run: VirtualRun) -> Stand:
    waiting = run.state.waiting
    due_at = waiting.due_at if waiting is not None else None
    return Stand(run.program.version, run.bundle.hash, run.state.position, due_at)


def _came_before(run: VirtualRun, state: RunState, known: Mapping[str, Any], now: datetime) -> Event | None:
    """The event since the wait began that the wait is for as it is now."""
    listeners = [each for each in step_listeners(run.program, state, 0) if each.event_type != ANY_EVENT]
    for event in run.since if listeners else ():
        seen = {**known, **event_facts(event)}
        if any(
            each.event_type == event.type and each.hears(event, seen, now, run.matcher) for each in listeners
        ):
            return event
    return None


def _has_come_true(run: VirtualRun, state: RunState, known: Mapping[str, Any], now: datetime) -> bool:
    """Whether the condition that is waited for now, and was not before, is true already."""
    step = run.program.steps.get(state.position or "")
    if not isinstance(step, WaitFor) or step.events or step.rule is None:
        return False
    return run.matcher.holds(step.rule, known, now)
