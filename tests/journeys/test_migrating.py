"""Where runs go in a new version: pure, for any two versions and any step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.journeys.migrating import Destination, How, destination, is_ready, move
from engine.journeys.program import (
    Entry,
    Program,
    Reentry,
    ReentryKind,
    Send,
    Step,
    Wait,
    WaitFor,
)
from engine.journeys.run import EventSeen, OutcomeKnown, RunState, SentOn, Waiting, WaitKind

NOW = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ZONE = ZoneInfo("Asia/Shanghai")
NAMES = ("a", "b", "c", "d", "e")


def program(*steps: Step, was: dict[str, str | None] | None = None) -> Program:
    return Program(
        journey="trip",
        version="v",
        purpose="service",
        priority=50,
        entry=Entry(("added",), None, Reentry(ReentryKind.ALWAYS)),
        leaves=(),
        goal=None,
        first=steps[0].id if steps else None,
        steps={step.id: step for step in steps},
        was=was or {},
    )


def send(name: str) -> Send:
    return Send(name, "text", ("email",), "service", None)


def asleep(step: str, due_at: datetime | None, began_at: datetime | None = NOW) -> RunState:
    waiting = Waiting(WaitKind.TIMER, step, due_at, began_at)
    return RunState("r", "trip", "c", "n1", position=step, waiting=waiting)


def taken(run: RunState, old: Program, new: Program, **more: Any) -> Any:
    where = destination(old, new, run.position)
    return move(run, None, old, new, where, facts={}, zone=ZONE, now=NOW, **more)


def listen(name: str) -> WaitFor:
    return WaitFor(name, ("viewed",), None, None, None, None)


def sleep(name: str) -> Wait:
    return Wait(name, None, for_=DAY)


def step_id(step: Step) -> str:
    return step.id


STEPS: st.SearchStrategy[Step] = st.builds(
    lambda make, name: make(name), st.sampled_from([send, sleep, listen]), st.sampled_from(NAMES)
)
PROGRAMS = st.lists(STEPS, min_size=1, max_size=5, unique_by=step_id)


@given(PROGRAMS, PROGRAMS, st.dictionaries(st.sampled_from(NAMES), st.sampled_from((*NAMES, None))))
def test_everybody_has_a_destination_that_is_there_or_is_counted_as_stranded(
    before: list[Step], after: list[Step], lines: dict[str, str | None]
) -> None:
    there = {step.id for step in after}
    was = {name: to for name, to in lines.items() if name not in there and (to is None or to in there)}
    old, new = program(*before), program(*after, was=was)
    for step in before:
        where = destination(old, new, step.id)
        match where.how:
            case How.STAYS:
                assert where.step == step.id
                assert type(new.steps[step.id]) is type(step)
            case How.RENAMED:
                assert where.step in there - {step.id}
                assert type(new.steps[where.step or ""]) is type(step)
            case How.GOES_ON:
                assert type(new.steps[where.step or ""]) is not type(step)
            case How.ENDS:
                assert was[step.id] is None
            case How.STRANDED:
                assert step.id not in there
                assert step.id not in was
    assert destination(old, new, None) == Destination(How.STAYS)


@given(PROGRAMS)
def test_to_the_same_version_everybody_stays_as_they_are(steps: list[Step]) -> None:
    same = program(*steps)
    for step in steps:
        run = asleep(step.id, NOW + DAY)
        assert destination(same, same, step.id).how is How.STAYS
        assert taken(run, same, same).run == run


@given(st.integers(1, 240), st.integers(1, 240), st.integers(0, 240))
def test_a_wait_counts_from_its_beginning_and_is_over_now_at_the_earliest(
    before: int, after: int, passed: int
) -> None:
    began = NOW - timedelta(hours=passed)
    old = program(Wait("a", None, for_=timedelta(hours=before)))
    new = program(Wait("a", None, for_=timedelta(hours=after)))
    run = asleep("a", began + timedelta(hours=before), began)
    due_at = taken(run, old, new).run.waiting.due_at
    if before == after:
        assert due_at == began + timedelta(hours=before)
    else:
        assert due_at == max(NOW, began + timedelta(hours=after))


def test_the_way_back_reads_what_was_backwards_unless_it_is_two_ways() -> None:
    old = program(send("b"), was={"a": "b"})
    assert destination(old, program(send("a")), "b") == Destination(How.RENAMED, "a", "was_before")
    two = program(send("b"), was={"a": "b", "c": "b"})
    assert destination(two, program(send("a"), send("c")), "b").how is How.STRANDED
    assert destination(two, program(send("a")), "b").step == "a"


def test_a_message_on_its_way_keeps_its_run_until_its_outcome_is_known() -> None:
    old, new = program(send("a")), program(send("b"), was={"a": "b"})
    run = replace(asleep("a", None), waiting=Waiting(WaitKind.OUTCOME, "a"), visits={"a": 2})
    where = destination(old, new, "a")
    assert not is_ready(run, None, new, where)
    known = OutcomeKnown("a", "sent")
    assert is_ready(run, known, new, where)
    done = move(run, known, old, new, where, facts={}, zone=ZONE, now=NOW)
    assert done.cause == OutcomeKnown("b", "sent")
    assert done.run.waiting == Waiting(WaitKind.OUTCOME, "b")
    assert done.run.visits == {"b": 2}


@pytest.mark.parametrize("cause", [None, EventSeen("e1")])
def test_to_a_step_of_another_kind_the_run_goes_on(cause: EventSeen | None) -> None:
    old, new = program(listen("a")), program(send("a"))
    run = replace(asleep("a", None), waiting=Waiting(WaitKind.EVENT, "a"))
    where = destination(old, new, "a")
    done = move(run, cause, old, new, where, facts={}, zone=ZONE, now=NOW)
    assert (where.how, done.cause, done.run.waiting, done.run.position) == (How.GOES_ON, SentOn(), None, "a")


def test_a_wait_from_before_beginnings_were_kept_keeps_its_moment() -> None:
    old, new = program(Wait("a", None, for_=DAY)), program(Wait("a", None, for_=2 * DAY))
    assert taken(asleep("a", NOW + DAY, None), old, new).run.waiting.due_at == NOW + DAY
    before = program(WaitFor("a", ("viewed",), None, 2 * DAY, None, None))
    after = program(WaitFor("a", ("viewed",), None, 5 * DAY, None, None))
    listening = replace(asleep("a", None), waiting=Waiting(WaitKind.EVENT, "a", NOW + DAY))
    assert taken(listening, before, after).run.waiting.due_at == NOW + 4 * DAY


@given(ends_in=st.none() | st.integers(-5, 9))
def test_a_date_that_is_no_longer_known_moves_nobody_and_another_one_counts(ends_in: int | None) -> None:
    due_at = NOW + 5 * DAY
    old = program(Wait("a", None, until="contact.ends_at"))
    new = program(Wait("a", None, until="contact.ends_at", for_=DAY))
    ends_at = NOW + ends_in * DAY if ends_in is not None else None
    where = destination(old, new, "a")
    facts = {"contact.ends_at": ends_at}
    run = asleep("a", due_at, NOW - DAY)
    moved = move(run, None, old, new, where, facts=facts, zone=ZONE, now=NOW)
    assert moved.run.waiting is not None
    wanted = max(max(ends_at, NOW - DAY) + DAY, NOW) if ends_at is not None else due_at
    assert moved.run.waiting.due_at == wanted


def test_who_sleeps_for_something_else_does_not_wait_for_a_date_that_nobody_knows() -> None:
    old, new = program(sleep("a")), program(Wait("a", None, until="contact.ends_at"))
    moved = taken(asleep("a", NOW + DAY), old, new)
    assert moved.run.waiting.due_at == NOW
