"""Tasks for people: how a run asks, what an answer, a deadline and an end of the run make of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.journeys.calendar import Hours, WorkingCalendar
from engine.journeys.interpreter import Advanced, Decider, advance, next_send_at
from engine.journeys.program import (
    Ask,
    Branch,
    Choice,
    Entry,
    Leave,
    Program,
    Reentry,
    ReentryKind,
    Repeat,
    Send,
    Step,
    Stop,
    Wait,
)
from engine.journeys.run import (
    NO_ANSWER,
    Cancelled,
    Cause,
    Ended,
    GoalReached,
    LeaveSeen,
    Repeated,
    RunState,
    Started,
    TaskClosed,
    TaskDecided,
    TaskOpened,
    TaskState,
    TimerDue,
    Waiting,
    WaitKind,
    journey_facts,
)
from engine.rules.condition import Op, Rule, Test

MONDAY = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
"""11:00 in Shanghai."""
SHANGHAI = ZoneInfo("Asia/Shanghai")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FRESH = RunState("r1", "care", "c1", "once")
OFFICE = WorkingCalendar(
    "office",
    "Asia/Shanghai",
    (Hours((1, 2, 3, 4, 5), time(9), time(12)), Hours((1, 2, 3, 4, 5), time(13, 30), time(18))),
    holidays=(date(2026, 5, 5),),
)
CALL = Ask(
    "call",
    "support",
    "Please call.",
    (Choice("solved", "Solved", "thanks"), Choice("open", "Not yet", None)),
    DAY,
    "sorry",
)


def program(*steps: Step, leaves: tuple[Leave, ...] = ()) -> Program:
    return Program(
        journey="care",
        version="v1",
        purpose="service",
        priority=70,
        entry=Entry(("feedback",), None, Reentry(ReentryKind.NEVER)),
        leaves=leaves,
        goal=None,
        first=steps[0].id,
        steps={step.id: step for step in steps},
        calendars={"office": OFFICE},
    )


def send(step: str) -> Send:
    return Send(step, step, ("email",), "service", None)


CARE = program(CALL, send("thanks"), send("sorry"))


@pytest.fixture
def go(decider: Callable[..., Decider]) -> Callable[..., Advanced]:
    def advanced(run: RunState, cause: Cause, now: datetime = MONDAY, journey: Program = CARE) -> Advanced:
        return advance(journey, run, cause, facts={}, zone=SHANGHAI, now=now, matcher=decider())

    return advanced


Go = Callable[..., Advanced]


def test_a_run_gives_its_task_and_waits_until_the_deadline(go: Go) -> None:
    done = go(FRESH, Started())
    choices = (("solved", "Solved"), ("open", "Not yet"))
    assert done.effects == (TaskOpened("call", 1, "support", "Please call.", choices, 70, MONDAY + DAY),)
    assert done.run.waiting == Waiting(WaitKind.TASK, "call", MONDAY + DAY)
    assert done.run.visits == {"call": 1}


def test_the_steps_own_priority_counts_before_the_journeys(go: Go) -> None:
    urgent = Ask("call", "support", "Now!", (Choice("done", "Done", None),), DAY, None, priority=95)
    (opened,) = go(FRESH, Started(), journey=program(urgent)).effects
    assert isinstance(opened, TaskOpened)
    assert opened.priority == 95


@pytest.mark.parametrize(("choice", "position"), [("solved", "thanks"), ("open", None)])
def test_each_answer_leads_its_way_and_is_a_fact_from_then_on(
    go: Go, choice: str, position: str | None
) -> None:
    asked = go(FRESH, Started()).run
    done = go(asked, TaskDecided("call", choice), MONDAY + HOUR)
    assert done.run.answers == {"call": choice}
    assert journey_facts(done.run)["journey.answers.call"] == choice
    assert (done.run.waiting.step if done.run.waiting else None) == position
    assert not [effect for effect in done.effects if isinstance(effect, TaskClosed)]


def test_without_an_answer_in_time_the_task_expires_and_the_run_goes_the_other_way(go: Go) -> None:
    asked = go(FRESH, Started()).run
    assert go(asked, TimerDue(), MONDAY + DAY - timedelta(microseconds=1)) == Advanced(asked)
    done = go(asked, TimerDue(), MONDAY + DAY)
    assert done.effects[0] == TaskClosed("call", 1, TaskState.EXPIRED)
    assert done.run.position == "sorry"
    assert done.run.answers == {"call": NO_ANSWER}


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (LeaveSeen("1"), "run.left"),
        (GoalReached(), "run.goal"),
        (Cancelled("run.cancelled"), "run.cancelled"),
    ],
)
def test_a_run_that_ends_takes_its_task_back(go: Go, cause: Cause, reason: str) -> None:
    asked = go(FRESH, Started()).run
    closed, ended = go(asked, cause).effects
    assert closed == TaskClosed("call", 1, TaskState.WITHDRAWN)
    assert isinstance(ended, Ended)
    assert ended.reason == reason


def test_a_run_that_leaves_as_its_task_expires_says_both(decider: Callable[..., Decider]) -> None:
    rules = decider(Rule("leave:care/1", "leave:care", Test("contact.tags", Op.HAS, "left")))
    journey = program(CALL, send("thanks"), send("sorry"), leaves=(Leave("1", (), "leave:care/1"),))

    def at(run: RunState, cause: Cause, tags: frozenset[str], now: datetime) -> Advanced:
        facts = {"contact.tags": tags}
        return advance(journey, run, cause, facts=facts, zone=SHANGHAI, now=now, matcher=rules)

    asked = at(FRESH, Started(), frozenset(), MONDAY).run
    closed, ended = at(asked, TimerDue(), frozenset({"left"}), MONDAY + DAY).effects
    assert closed == TaskClosed("call", 1, TaskState.EXPIRED)
    assert isinstance(ended, Ended)
    assert ended.reason == "run.left"


def test_a_deadline_counts_as_a_moment_that_may_lead_to_a_send(go: Go) -> None:
    assert next_send_at(CARE, go(FRESH, Started()).run) == MONDAY + DAY
    quiet = program(Ask("call", "support", "?", (Choice("done", "Done", None),), DAY, None))
    assert next_send_at(quiet, go(FRESH, Started(), journey=quiet).run) is None


@pytest.mark.parametrize(
    ("length", "due"),
    [
        (timedelta(minutes=30), "2026-05-04 11:30"),
        (timedelta(hours=1), "2026-05-04 12:00"),
        (timedelta(hours=2), "2026-05-04 14:30"),
        (timedelta(hours=5, minutes=30), "2026-05-04 18:00"),
        (timedelta(hours=6), "2026-05-06 09:30"),  # the 5th is a holiday
        (timedelta(hours=13), "2026-05-06 18:00"),
        (timedelta(hours=13, seconds=1), "2026-05-07 09:00:01"),
    ],
)
def test_a_deadline_of_a_calendar_counts_working_time_only(go: Go, length: timedelta, due: str) -> None:
    ask = Ask("call", "support", "?", (Choice("done", "Done", None),), length, None, OFFICE)
    waiting = go(FRESH, Started(), journey=program(ask)).run.waiting
    assert waiting is not None
    assert waiting.due_at == datetime.fromisoformat(due).replace(tzinfo=SHANGHAI)


@given(
    begin=st.integers(0, 365 * 24 * 60).map(lambda minutes: MONDAY + timedelta(minutes=minutes)),
    minutes=st.integers(1, 3000),
    zone=st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/Santiago"]),
)
def test_as_much_working_time_goes_by_as_was_asked_for(begin: datetime, minutes: int, zone: str) -> None:
    """Counted minute by minute, independently."""
    calendar = WorkingCalendar("own", "contact", OFFICE.hours, OFFICE.holidays)
    there = ZoneInfo(zone)
    due = calendar.after_working(begin, timedelta(minutes=minutes), there)
    assert due is not None
    counted, moment = 0, begin
    while moment < due:
        if calendar.is_working(moment, there):
            counted += 1
            moment += timedelta(minutes=1)
        else:
            following = calendar.next_working(moment, there)
            assert following is not None
            moment = following
    assert counted == minutes
    assert calendar.is_working(due - timedelta(minutes=1), there)


@pytest.mark.parametrize(("hours", "case"), [(0, "open"), (1.5, "shut"), (24, "shut"), (47, "open")])
def test_a_branch_may_ask_whether_people_are_at_work(
    decider: Callable[..., Decider], hours: float, case: str
) -> None:
    shard = "branch:care/which"
    rules = decider(Rule(f"{shard}/1", shard, Test("calendar.office", Op.EQ, True)))
    journey = program(Branch("which", ((f"{shard}/1", "open"),), "shut"), Stop("open"), Stop("shut"))
    now = MONDAY + timedelta(hours=hours)
    done = advance(journey, FRESH, Started(), facts={}, zone=SHANGHAI, now=now, matcher=rules)
    assert done.run.position == case


def test_a_repeat_may_ask_whether_people_are_at_work(decider: Callable[..., Decider]) -> None:
    rules = decider(Rule("r", "r", Test("calendar.office", Op.EQ, True)))
    hourly = Repeat("hourly", "nap", "over", 20, "r", frozenset({"nap"}))
    journey = program(hourly, Wait("nap", "hourly", for_=timedelta(hours=1)), Stop("over"))
    run, now = FRESH, MONDAY
    done = advance(journey, run, Started(), facts={}, zone=SHANGHAI, now=now, matcher=rules)
    while done.run.is_active:
        now += timedelta(hours=1)
        done = advance(journey, done.run, TimerDue(), facts={}, zone=SHANGHAI, now=now, matcher=rules)
    # It ends with the first hour at whose beginning nobody works.
    assert OFFICE.is_working(now - timedelta(hours=1), SHANGHAI)
    assert not OFFICE.is_working(now, SHANGHAI)
    over = next(each for each in done.effects if isinstance(each, Repeated))
    assert over.seen["calendar.office"] is False
