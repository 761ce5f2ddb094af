"""Which lane a journey's runs belong on, and when a run leaves it for another."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.journeys.driver import Standing
from engine.journeys.lanes import Lane, lane_of, lane_while
from engine.journeys.program import Entry, Program, Reentry, ReentryKind, Send, Step, Stop

BY_EVENT = Entry(("added",), None, Reentry(ReentryKind.NEVER))


def program(*, entry: Entry = BY_EVENT, priority: int = 50, deadline: timedelta | None = None) -> Program:
    send = Send("hello", "text", ("email",), "marketing", "end", deadline=deadline)
    steps: dict[str, Step] = {"hello": send, "end": Stop("end")}
    return Program("welcome", "v1", "marketing", priority, entry, (), None, "hello", steps)


def by_audience() -> Entry:
    return Entry(("audience_entered",), None, BY_EVENT.reentry, audience="sleepers")


@pytest.mark.parametrize(
    ("made", "lane"),
    [
        (program(), Lane.NORMAL),
        (program(priority=79), Lane.NORMAL),
        (program(priority=80), Lane.URGENT),
        (program(deadline=timedelta(seconds=20)), Lane.URGENT),
        (program(deadline=timedelta(minutes=2)), Lane.NORMAL),
        (program(entry=by_audience()), Lane.BULK),
        (program(entry=by_audience(), priority=90), Lane.URGENT),
    ],
    ids=["plain", "79", "80", "within 20 s", "within 2 min", "by audience", "by audience, 90"],
)
def test_a_journey_belongs_on_the_lane_its_hurry_and_its_way_in_call_for(made: Program, lane: Lane) -> None:
    assert lane_of(made) is lane


def test_a_run_that_waits_for_a_person_is_on_the_human_lane_for_as_long() -> None:
    assert lane_while("task") is Lane.HUMAN
    assert {lane_while(other) for other in ("timer", "event", "outcome", "ready", "ended")} == {None}
    assert Standing(1, "task", "approve", None).lane is Lane.HUMAN
