"""The breaker's state machine: single steps, and a model that tries everything in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.risk import machine
from engine.risk.machine import State, Status
from engine.risk.metrics import BUILT_IN_METRICS, SEND_FAILURE_RATE
from engine.risk.model import Breaker, Level, Recovery
from engine.risk.windows import Figures, send_failures

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BREAKER = Breaker(
    id="send_failure",
    scope="channel",
    metric=SEND_FAILURE_RATE,
    window=10 * MINUTE,
    min_samples=10,
    levels=(Level("yellow", 0.15), Level("red", 0.4)),
    recovery=Recovery(probe_after=5 * MINUTE, probes=4, close_below=0.25, ramp=(0.1, 0.5, 1.0)),
    resume_within=None,
)
CLOSED = Status(State.CLOSED, START)
NOTHING = Figures()


def look(
    status: Status, seen: Figures = NOTHING, probes: Figures = NOTHING, *, after: timedelta = MINUTE
) -> Status:
    return machine.observe(BREAKER, status, seen, probes, status.since + after)


def test_failures_are_whatever_the_provider_did_not_take() -> None:
    assert send_failures({"accepted": 6, "retry": 1, "rejected": 2, "unknown": 1}) == Figures(10, 4)
    assert send_failures({}).rate == 0.0


BOUNCES = replace(BREAKER, metric=BUILT_IN_METRICS["bounce_rate"])
PROBING = Status(State.HALF_OPEN, START, "red", probes_left=0)


def hear(status: Status, seen: Figures, probes: Figures, *, after: timedelta) -> Status:
    return machine.observe(BOUNCES, status, seen, probes, status.since + after)


def test_what_is_told_later_is_waited_for_before_probes_and_shares_count_as_good() -> None:
    taken = Figures(4, 0)
    assert hear(PROBING, NOTHING, taken, after=MINUTE) is PROBING
    ramped = hear(PROBING, NOTHING, taken, after=5 * MINUTE)
    assert (ramped.state, ramped.ramp) == (State.HALF_OPEN, 0.1)
    assert hear(ramped, Figures(400, 0), NOTHING, after=MINUTE) is ramped
    assert hear(ramped, Figures(400, 0), NOTHING, after=5 * MINUTE).ramp == 0.5


def test_what_is_told_later_opens_it_again_as_soon_as_it_is_too_much() -> None:
    assert hear(PROBING, NOTHING, Figures(4, 1), after=MINUTE).state is State.OPEN
    climbing = Status(State.HALF_OPEN, START, "red", ramp=0.5)
    assert hear(climbing, Figures(40, 10), NOTHING, after=MINUTE).state is State.OPEN


def test_a_round_whose_probes_nobody_took_goes_on_and_one_that_lost_some_begins_anew() -> None:
    waiting = replace(PROBING, probes_left=2)
    assert hear(waiting, NOTHING, Figures(2, 0), after=9 * MINUTE) is waiting
    again = hear(PROBING, NOTHING, Figures(2, 0), after=9 * MINUTE)
    assert (again.probes_left, again.since) == (4, START + 9 * MINUTE)


def test_events_are_judged_by_their_own_share_and_waited_for_by_messages() -> None:
    few = Figures(1, 0, messages=4)
    assert hear(PROBING, NOTHING, few, after=5 * MINUTE).ramp == 0.1
    angry = Figures(2, 1, messages=400)
    assert hear(PROBING, NOTHING, angry, after=5 * MINUTE).state is State.OPEN


def test_a_share_is_never_more_than_everything() -> None:
    assert Figures(2, 5).rate == 1.0


def test_it_stays_closed_with_too_few_samples_or_at_the_threshold() -> None:
    assert look(CLOSED, Figures(9, 9)) is CLOSED
    assert look(CLOSED, Figures(20, 3)) is CLOSED


@pytest.mark.parametrize(("failed", "level"), [(4, "yellow"), (8, "yellow"), (9, "red"), (20, "red")])
def test_it_opens_at_the_highest_level_reached(failed: int, level: str) -> None:
    opened = look(CLOSED, Figures(20, failed))
    assert (opened.state, opened.level) == (State.OPEN, level)


def test_it_probes_after_its_pause_and_not_before() -> None:
    opened = Status(State.OPEN, START, "red")
    assert look(opened, after=5 * MINUTE - timedelta(microseconds=1)) is opened
    probing = look(opened, after=5 * MINUTE)
    assert (probing.state, probing.probes_left, probing.level) == (State.HALF_OPEN, 4, "red")
    assert machine.next_look(BREAKER, opened, START) == START + 5 * MINUTE


def test_good_probes_lead_up_the_ramp_and_then_to_closed() -> None:
    status = Status(State.HALF_OPEN, START, "red", probes_left=0)
    shares = []
    status = look(status, probes=Figures(4, 0))
    while status.state is State.HALF_OPEN:
        shares.append(status.ramp)
        status = look(status, seen=Figures(4, 0))
    assert shares == [0.1, 0.5]
    assert status.state is State.CLOSED


def test_a_bad_probe_opens_it_again_without_waiting_for_the_rest() -> None:
    status = Status(State.HALF_OPEN, START, "red", probes_left=3)
    assert look(status, probes=Figures(1, 1)).state is State.OPEN


def test_probes_that_never_come_back_make_the_round_void() -> None:
    status = Status(State.HALF_OPEN, START, "red", probes_left=0)
    assert look(status, probes=Figures(2, 0)) is status
    again = look(status, probes=Figures(2, 0), after=5 * MINUTE)
    assert (again.probes_left, again.since) == (4, START + 5 * MINUTE)


def test_probes_that_nobody_has_taken_yet_are_waited_for() -> None:
    status = Status(State.HALF_OPEN, START, "red", probes_left=2)
    assert look(status, probes=Figures(2, 0), after=60 * MINUTE) is status


def test_probes_that_nobody_takes_do_not_keep_its_workflow_busy() -> None:
    status = Status(State.HALF_OPEN, START, "red", probes_left=2)
    assert machine.next_look(BREAKER, status, START + 60 * MINUTE) == START + 65 * MINUTE


def test_a_quiet_share_of_the_ramp_ends_by_time_and_a_bad_one_opens() -> None:
    status = Status(State.HALF_OPEN, START, "red", ramp=0.1)
    assert look(status, after=5 * MINUTE).ramp == 0.5
    assert look(status, seen=Figures(2, 1), after=5 * MINUTE).state is State.OPEN


def test_what_a_person_opened_stays_open_until_a_person_resets_it() -> None:
    tripped = machine.trip(CLOSED, "black", "ops.li", START)
    assert look(tripped, after=timedelta(days=30)) is tripped
    assert machine.next_look(BREAKER, tripped, START) is None
    assert machine.reset(tripped, START + MINUTE) == Status(State.CLOSED, START + MINUTE)


class BreakerModel(RuleBasedStateMachine):
    """Traffic, time, looks and people in any order; counts for itself what the machine is told."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.status = Status(State.CLOSED, START)
        self.attempts: list[tuple[datetime, bool, bool]] = []
        self.in_round = 0

    def seen(self) -> Figures:
        after = max(self.now - BREAKER.window, self.status.since)
        return self.count([attempt for attempt in self.attempts if attempt[0] > after])

    def probes(self) -> Figures:
        return self.count(
            [attempt for attempt in self.attempts if attempt[1] and attempt[0] > self.status.since]
        )

    @staticmethod
    def count(attempts: list[tuple[datetime, bool, bool]]) -> Figures:
        return Figures(len(attempts), sum(failed for _, _, failed in attempts))

    def become(self, status: Status) -> None:
        if status != self.status:
            self.in_round = 0
        self.status = status

    @rule(failed=st.booleans())
    def send(self, failed: bool) -> None:
        """One intent arrives at the gate and, if it is let through, comes back at once."""
        self.now += timedelta(seconds=1)
        status = self.status
        if status.state is State.CLOSED or status.ramp is not None:
            self.attempts.append((self.now, False, failed))
        elif status.state is State.HALF_OPEN and status.probes_left > 0:
            self.status = Status(
                status.state, status.since, status.level, status.probes_left - 1, status.ramp, status.by
            )
            self.in_round += 1
            self.attempts.append((self.now, True, failed))

    @rule(failures=st.integers(0, 15), samples=st.integers(1, 15))
    @precondition(lambda self: self.status.state is State.CLOSED)
    def burst(self, failures: int, samples: int) -> None:
        for number in range(samples):
            self.send(number < failures)

    @rule(seconds=st.integers(1, 900))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def observe(self) -> None:
        seen, probes, before = self.seen(), self.probes(), self.status
        self.become(machine.observe(BREAKER, before, seen, probes, self.now))
        if before.state is State.CLOSED and self.status.state is State.CLOSED:
            assert machine.level_of(BREAKER, seen) is None
        if before.state is State.OPEN:
            assert self.status.state is not State.CLOSED
        if before.is_manual:
            assert self.status == before

    @rule(level=st.sampled_from(["yellow", "red", "black"]))
    def trip(self, level: str) -> None:
        self.become(machine.trip(self.status, level, "ops", self.now))
        assert (self.status.state, self.status.level) == (State.OPEN, level)

    @rule()
    def reset(self) -> None:
        self.become(machine.reset(self.status, self.now))
        assert self.status.state is State.CLOSED

    @invariant()
    def probes_never_exceed_a_round(self) -> None:
        assert self.in_round <= BREAKER.recovery.probes
        assert 0 <= self.status.probes_left <= BREAKER.recovery.probes

    @invariant()
    def only_a_half_open_breaker_has_probes_or_a_ramp(self) -> None:
        if self.status.state is not State.HALF_OPEN:
            assert (self.status.probes_left, self.status.ramp) == (0, None)
        assert self.status.ramp is None or 0 < self.status.ramp < 1

    @invariant()
    def it_never_waits_for_ever_by_itself(self) -> None:
        if self.status.state is not State.CLOSED and not self.status.is_manual:
            looks = machine.next_look(BREAKER, self.status, self.now)
            assert looks is not None and looks > self.now


BreakerModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBreakerModel = BreakerModel.TestCase
