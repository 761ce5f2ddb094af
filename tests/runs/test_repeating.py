"""Repeats on rows: rounds survive everybody who carries the run, and every answer of a condition is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from engine.delivery import explaining, rendering
from engine.governance.records import run_record
from engine.runs.leasing import LEASE
from engine.runs.service import Runs
from engine.store.tables import DecisionRow, IntentRow

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

DAY = timedelta(days=1)

NAGS = """
    enter: {event: added, reentry: never}
    steps:
      - repeat: remind
        while: {contact.total_spent: {lt: 100}}
        at_most: 3
        steps:
          - {wait: morning, at: "10:00"}
          - {send: nudge, content: text, channels: [email]}
      - branch: how_often
        cases:
          - when: {journey.rounds.remind: {gte: 3}}
            steps: [{stop: in_vain}]
    """
TWICE = """
    enter: {event: added, reentry: never}
    steps:
      - repeat: twice
        times: 2
        steps:
          - {send: one, content: text, channels: [email]}
          - {send: two, content: text, channels: [email]}
    """


async def next_morning(spine: Spine) -> None:
    """A new process, with nothing in its memory, carries on with the same rows."""
    due_at = spine.run().due_at
    assert due_at is not None
    spine.clock.moment = due_at
    spine.runs = Runs(spine.store, spine.shelf, spine.post, spine.clock)
    await spine.carry_all()


async def test_rounds_are_counted_on_the_row_whoever_carries_the_run(spine: Spine) -> None:
    spine.publish(nags=NAGS)
    await spine.feed("added")
    for rounds in (1, 2, 3):
        assert (spine.run().variables["rounds"], spine.run().position) == ({"remind": rounds}, "morning")
        await next_morning(spine)
    assert spine.post.delivered == ["nudge"] * 3
    assert len({row.key for row in spine.rows(IntentRow)}) == 3
    assert [row.visit for row in spine.rows(IntentRow)] == [1, 2, 3]
    assert spine.rows(IntentRow)[1].variables["journey"]["rounds"] == {"remind": 2}
    assert (spine.run().outcome, spine.reasons("run")) == ("stopped", ["run.stopped"])
    assert spine.reasons("branch") == ["run.repeated"] * 3 + ["run.repeat_over", "run.branched"]


async def test_a_condition_that_no_longer_holds_ends_the_rounds_and_says_why(spine: Spine) -> None:
    spine.publish(nags=NAGS)
    await spine.feed("added")
    await spine.feed("paid", amount=150)
    await next_morning(spine)
    assert spine.post.delivered == ["nudge"]
    begun, over, _ = spine.rows(DecisionRow, kind="branch")
    assert (begun.evidence["taken"], begun.evidence["rounds"], begun.evidence["at_most"]) == ("round 1", 0, 3)
    assert (over.evidence["taken"], over.evidence["rounds"]) == ("over", 1)
    assert over.evidence["cases"][0]["rule"] == "repeat:nags/remind"
    with spine.store.read() as session:
        told = explaining.explain_contact(session, spine.shelf, spine.run().contact_id)
        story = rendering.render(
            explaining.explain_intent(session, spine.shelf, spine.rows(IntentRow)[0].key)
        )
        shown = run_record(session, spine.run().id)
    (asked,) = [each for each in told if each.reason == "run.repeat_over"]
    (reasons,) = asked.reasons
    assert reasons.tree.truth == "false" and "150" in reasons.tree.text
    assert asked.place.startswith("nags.yaml:")
    assert "  + repeat remind was over after 1 round" in story  # at the same moment, by this test's clock
    assert shown["rounds"] == {"remind": 1}


async def test_a_message_that_another_process_finishes_counts_as_one_of_its_round(spine: Spine) -> None:
    spine.publish(twice=TWICE)
    spine.post.script["two"] = "busy"
    await spine.feed("added")
    for round_ in (1, 2):
        assert spine.run().variables["rounds"] == {"twice": round_}
        (open_,) = [row for row in spine.rows(IntentRow, step_id="two") if row.outcome is None]
        spine.post.settle(open_.key)
        spine.clock.advance(LEASE)
        await spine.runs.pick_up_abandoned(10)
    assert spine.post.delivered == ["one", "two"] * 2
    assert spine.run().outcome == "completed"
