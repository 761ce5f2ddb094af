"""Races and crashes: two carriers on one run, processes that die between two commits, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from engine.runs.leasing import LEASE
from engine.runs.locking import RevisionLostError, lock_run, save
from engine.store.tables import DecisionRow, IntentRow, OutboxRow, RunRow

if TYPE_CHECKING:
    from engine.delivery.onward import Onward
    from engine.gate.model import Outcome
    from engine.gate.state import Claim
    from tests.runs.conftest import Spine

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)

THREE_SENDS = """
    enter: {event: added, reentry: never}
    steps:
      - {send: one, content: text, channels: [email]}
      - {send: two, content: text, channels: [email]}
      - {send: three, content: text, channels: [email]}
    """
SLEEPS = """
    enter: {event: added, reentry: never}
    steps:
      - {send: one, content: text, channels: [email]}
      - {wait: night, for: 1d}
      - {send: two, content: text, channels: [email]}
    """


async def test_a_run_whose_process_died_after_the_entry_is_picked_up_when_its_lease_ends(
    spine: Spine,
) -> None:
    spine.publish(hello=THREE_SENDS)
    spine.accept("added")
    assert await spine.runs.pick_up_abandoned(10) == 0
    spine.clock.advance(LEASE)
    assert await spine.runs.pick_up_abandoned(10) == 1
    assert spine.post.delivered == ["one", "two", "three"]
    assert await spine.runs.pick_up_abandoned(10) == 0


class Death(BaseException):
    """The end of a process: nothing catches it."""


@pytest.mark.parametrize("step", ["one", "two", "three"])
@pytest.mark.parametrize("is_sent", [False, True])
async def test_a_process_that_dies_around_a_delivery_loses_and_doubles_nothing(
    spine: Spine, step: str, is_sent: bool
) -> None:
    spine.publish(hello=THREE_SENDS)
    deliver = spine.post.deliver

    async def die_at(
        key: str, *, carried: bool = False, claim: Claim | None = None, onward: Onward | None = None
    ) -> Outcome | None:
        if spine.intent(step).key != key if spine.rows(IntentRow, step_id=step) else True:
            return await deliver(key, carried=carried)
        if is_sent:
            await deliver(key, carried=carried)
        raise Death

    spine.post.deliver = die_at  # type: ignore[method-assign]
    with pytest.raises(Death):
        await spine.feed("added")
    spine.post.deliver = deliver  # type: ignore[method-assign]
    spine.clock.advance(LEASE)
    assert await spine.runs.pick_up_abandoned(10) == 1
    assert spine.post.delivered == ["one", "two", "three"]
    assert spine.run().outcome == "completed"
    assert spine.errands() == []


async def test_of_many_carriers_on_one_run_one_advances_it(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    await spine.feed("added")
    spine.clock.advance(DAY)
    run_id = spine.run().id
    carried = await asyncio.gather(*(spine.runs.carry(run_id, durable=True) for _ in range(12)))
    assert {each.status for each in carried} <= {"active", "ended"}
    await spine.carry_all()
    assert spine.post.delivered == ["one", "two"]
    assert [row.reason for row in spine.rows(DecisionRow, kind="run")] == ["run.completed"]
    assert len(spine.rows(IntentRow)) == 2


async def test_many_carriers_start_a_run_and_its_workflow_once(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    (run_id,) = spine.accept("added").run_ids
    await asyncio.gather(*(spine.runs.carry(run_id) for _ in range(12)))
    assert spine.post.delivered == ["one"]
    assert spine.errands().count("run.start") == 1
    assert spine.run().waiting == "timer"


async def test_a_stale_revision_writes_nothing(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    await spine.feed("added")
    with spine.store.begin() as session:
        _, row, _ = lock_run(session, spine.run().id)
        row.revision -= 1
        with pytest.raises(RevisionLostError):
            save(session, row, position="two")
    assert spine.run().position == "night"


async def test_a_process_that_moves_a_run_under_its_workflow_tells_the_workflow(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    await spine.feed("added")
    spine.clock.advance(DAY)
    await spine.runs.carry(spine.run().id)
    kinds = spine.errands()
    assert kinds[0] == "run.start"
    assert set(kinds[1:]) == {"run.signal"}
    assert spine.rows(OutboxRow)[1].payload["reason"] == "moved"


async def test_events_and_carriers_that_race_leave_one_consistent_end(spine: Spine) -> None:
    spine.publish(
        nap="""
        enter: {event: added, reentry: never}
        leave: [{event: gone}]
        steps:
          - {wait: night, for: 1d}
          - {send: two, content: text, channels: [email]}
        """
    )
    people = [f"p{number}" for number in range(8)]
    for who in people:
        await spine.feed("added", who=who)
    spine.clock.advance(DAY)
    runs = [row.id for row in spine.rows(RunRow)]
    await asyncio.gather(
        *(spine.runs.carry(run_id, durable=True) for run_id in runs),
        *(spine.feed("gone", who=who) for who in people),
    )
    for run in spine.rows(RunRow):
        assert run.status == "ended"
        ends = spine.rows(DecisionRow, kind="run", run_id=run.id)
        assert len(ends) == 1
        sent = [intent for intent in spine.rows(IntentRow, run_id=run.id) if intent.outcome == "sent"]
        assert run.outcome == ("completed" if ends[0].reason == "run.completed" else "left")
        assert len(sent) <= 1
    assert spine.waits() == []


async def test_one_run_that_cannot_be_carried_does_not_keep_the_others(spine: Spine) -> None:
    spine.publish(hello=THREE_SENDS)
    spine.accept("added")
    spine.accept("added", who="bob")
    with spine.store.begin() as session:
        row = session.get(RunRow, spine.rows(RunRow)[0].id)
        assert row is not None
        row.bundle_hash = "never published"
    spine.clock.advance(LEASE)
    assert await spine.runs.pick_up_abandoned(10) == 2
    assert sorted(run.status for run in spine.rows(RunRow)) == ["active", "ended"]
    assert await spine.runs.pick_up_abandoned(10) == 0
