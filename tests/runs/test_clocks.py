"""A clock that is set back or jumps ahead: nothing is lost, nothing doubled, and each case has one answer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from engine.errors import UnknownRun
from engine.runs.cancelling import cancel
from engine.runs.leasing import LEASE
from engine.store.tables import DecisionRow, IntentRow, RunRow

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
YEAR = 365 * DAY

SLEEPS = """
    enter: {event: added, reentry: never}
    steps:
      - {send: one, content: text, channels: [email]}
      - {wait: night, for: 1d}
      - {send: two, content: text, channels: [email]}
      - {wait: noon, at: "12:00"}
      - {send: three, content: text, channels: [email]}
    """
LOOKS = """
    enter: {event: added, reentry: never}
    steps:
      - {wait: first, for: 1d}
      - {wait_for: look, event: viewed, up_to: 2d, then: [{stop: seen}], otherwise: [{stop: missed}]}
    """


def jump(spine: Spine, by: timedelta) -> None:
    """What no clock should do, and some do."""
    spine.clock.moment += by


async def test_a_clock_set_back_an_hour_lets_a_sleeper_sleep_an_hour_longer_and_wake_once(
    spine: Spine,
) -> None:
    spine.publish(nap=SLEEPS)
    await spine.feed("added")
    spine.clock.advance(DAY - timedelta(minutes=1))
    jump(spine, -HOUR)
    for _ in range(61):
        await spine.carry_all()
        assert spine.post.delivered == ["one"]
        spine.clock.advance(timedelta(minutes=1))
    await spine.carry_all()
    await spine.carry_all()
    assert spine.post.delivered == ["one", "two"]


async def test_a_clock_set_back_just_after_a_wake_up_repeats_nothing(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    await spine.feed("added")
    spine.clock.advance(DAY)
    await spine.carry_all()
    jump(spine, -HOUR)
    await spine.carry_all()
    assert spine.post.delivered == ["one", "two"]
    assert spine.run().position == "noon"
    due_at = spine.run().due_at
    assert due_at is not None and due_at > spine.clock.now()
    spine.clock.moment = due_at
    await spine.carry_all()
    assert spine.post.delivered == ["one", "two", "three"]
    assert len(spine.rows(IntentRow)) == 3


async def test_an_event_under_a_clock_that_was_set_back_still_reaches_who_waits_for_it(spine: Spine) -> None:
    spine.publish(look=LOOKS)
    await spine.feed("added")
    spine.clock.advance(DAY)
    await spine.carry_all()
    jump(spine, -HOUR)
    await spine.feed("viewed")
    await spine.carry_all()
    assert spine.run().outcome == "stopped"
    assert spine.rows(DecisionRow, kind="run")[0].evidence["by"] == "seen"


async def test_a_clock_a_year_ahead_wakes_every_sleeper_once_and_lets_nobody_in_late(spine: Spine) -> None:
    spine.publish(nap=SLEEPS, look=LOOKS)
    await spine.feed("added")
    began = spine.clock.now()
    spine.clock.advance(YEAR)
    await spine.carry_all()
    await spine.carry_all()
    assert spine.post.delivered == ["one", "two"]
    assert (
        spine.run(journey="look").position == "look"
    )  # what it waits for now is a year late, and waited for
    late = spine.accept("added", who="bob", at=began)
    assert late.run_ids == ()
    assert [row.reason for row in spine.rows(DecisionRow, verdict="skip")] == ["entry.late"] * 2


async def test_what_was_begun_under_a_clock_a_year_ahead_keeps_its_moment_when_the_clock_is_right_again(
    spine: Spine,
) -> None:
    """The moment was told to people; a run that is not worth waiting for is cancelled by hand."""
    spine.publish(nap=SLEEPS)
    spine.clock.advance(YEAR)
    await spine.feed("added")
    due_at = spine.run().due_at
    jump(spine, -YEAR)
    await spine.carry_all()
    assert (spine.run().due_at, spine.run().status) == (due_at, "active")
    with spine.store.begin() as session:
        assert cancel(session, spine.run().id, by="ana", now=spine.clock.now())
    assert spine.reasons("run") == ["run.cancelled"]


async def test_a_lease_from_a_clock_a_year_ahead_does_not_keep_a_run_for_a_year(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    spine.clock.advance(YEAR)
    spine.accept("added")  # and its process dies
    jump(spine, -YEAR)
    assert await spine.runs.pick_up_abandoned(10) == 1
    assert spine.post.delivered == ["one"]
    spine.clock.advance(2 * LEASE)
    assert await spine.runs.pick_up_abandoned(10) == 0


@pytest.mark.parametrize("by", [-HOUR, YEAR])
async def test_a_row_that_is_gone_is_not_found_and_nothing_else_breaks(spine: Spine, by: timedelta) -> None:
    """Somebody deletes a contact from the database by hand: others go on, whatever the clock says."""
    spine.publish(nap=SLEEPS)
    await spine.feed("added", who="ann")
    await spine.feed("added", who="bob")
    ann, bob = spine.rows(RunRow)
    with spine.store.begin() as session:
        session.execute(text("delete from identity where contact_id = :id"), {"id": ann.contact_id})
        session.execute(text("delete from contact where id = :id"), {"id": ann.contact_id})
    spine.clock.advance(DAY)
    jump(spine, by)
    with pytest.raises(UnknownRun):
        await spine.runs.carry(ann.id, durable=True)
    spine.clock.advance(DAY)
    await spine.runs.carry(bob.id, durable=True)
    assert "two" in spine.post.delivered
