"""Waits whose moment moves while they last."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from engine.journeys.program import Entry, Program, Reentry, ReentryKind, StepId, Wait
from engine.journeys.retiming import retimed
from engine.journeys.run import RunState, Waiting, WaitKind
from engine.journeys.waiting import wait_is_over_at

BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
DAY = timedelta(days=1)

zones = st.sampled_from(
    [ZoneInfo(name) for name in ("UTC", "Asia/Shanghai", "America/New_York", "Pacific/Apia")]
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
clock_waits = st.builds(
    Wait,
    id=st.just("w"),
    next=st.none(),
    for_=st.none() | st.timedeltas(timedelta(), 3 * DAY),
    days=st.none() | st.integers(1, 5),
    at=st.none() | st.times(),
    weekdays=st.sets(st.integers(1, 7)).map(lambda found: tuple(sorted(found))),
)
date_waits = st.just(Wait("w", None, until="contact.ends_at"))


def waiting_at(step: Wait, due_at: datetime, began_at: datetime | None = BEGAN) -> tuple[Program, RunState]:
    steps: dict[StepId, Wait] = {"w": step}
    entry = Entry(("said",), None, Reentry(ReentryKind.ALWAYS))
    program = Program("j", "v1", "care", 50, entry, (), None, "w", steps)
    waiting = Waiting(WaitKind.TIMER, "w", due_at, began_at)
    return program, RunState("r", "j", "ann", "once", "w", waiting=waiting)


def moved(
    step: Wait, due_at: datetime, now: datetime, zone: ZoneInfo = UTC_ZONE, ends_at: datetime | None = None
) -> datetime | None:
    program, run = waiting_at(step, due_at)
    found = retimed(program, run, facts={"contact.ends_at": ends_at}, zone=zone, now=now)
    return found.waiting.due_at if found is not None and found.waiting is not None else None


@given(step=clock_waits, zone=zones, later=st.timedeltas(timedelta(), 10 * DAY))
def test_a_wait_about_which_nothing_has_changed_stays_where_it_is(
    step: Wait, zone: ZoneInfo, later: timedelta
) -> None:
    assert moved(step, wait_is_over_at(step, zone, BEGAN), BEGAN + later, zone) is None


@given(step=clock_waits, zone=zones, other=zones, later=st.timedeltas(timedelta(), 10 * DAY))
def test_another_zone_moves_a_wait_to_where_it_would_have_been_from_the_beginning(
    step: Wait, zone: ZoneInfo, other: ZoneInfo, later: timedelta
) -> None:
    was, now = wait_is_over_at(step, zone, BEGAN), BEGAN + later
    found = moved(step, was, now, other)
    if was <= now:
        assert found is None
    else:
        assert (found or was) == max(wait_is_over_at(step, other, BEGAN), now)


@given(step=date_waits, was=moments, ends_at=moments, now=moments)
def test_another_date_moves_a_wait_sooner_and_later_and_never_into_the_past(
    step: Wait, was: datetime, ends_at: datetime, now: datetime
) -> None:
    found = moved(step, was, now, ends_at=ends_at)
    if was <= now:
        assert found is None  # it was over before
    else:
        assert (found or was) == max(ends_at, BEGAN, now)


def test_a_date_that_is_no_longer_known_moves_nothing() -> None:
    assert moved(Wait("w", None, until="contact.ends_at"), BEGAN + 5 * DAY, BEGAN + DAY) is None


def test_who_travels_while_waiting_for_ten_o_clock_is_waited_for_on_the_new_clock() -> None:
    step = Wait("w", None, at=time(10))
    was = wait_is_over_at(step, ZoneInfo("Asia/Shanghai"), BEGAN)
    assert was == datetime(2026, 3, 3, 2, tzinfo=UTC)
    new_york = ZoneInfo("America/New_York")
    assert moved(step, was, BEGAN + timedelta(hours=1), new_york) == datetime(2026, 3, 2, 15, tzinfo=UTC)


def test_a_wait_that_only_counts_time_and_one_of_an_earlier_version_are_left_alone() -> None:
    assert moved(Wait("w", None, for_=DAY), BEGAN + 5 * DAY, BEGAN) is None
    program, run = waiting_at(Wait("w", None, until="contact.ends_at"), BEGAN + 5 * DAY, None)
    facts = {"contact.ends_at": BEGAN + 2 * DAY}
    assert retimed(program, run, facts=facts, zone=UTC_ZONE, now=BEGAN) is None
