"""Runs from their first event to their end, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from engine.errors import NotFound
from engine.gate.model import Outcome
from engine.runs.leasing import LEASE
from engine.store.tables import ContactRow, IntentRow, OutboxRow, RunRow

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

DAY = timedelta(days=1)

THREE_SENDS = """
    enter: {event: added, reentry: never}
    steps:
      - {send: one, content: text, channels: [email]}
      - {send: two, content: text, channels: [email], deadline: 20s}
      - {send: three, content: text, channels: [email]}
    """
SLEEPS = """
    enter: {event: added, reentry: never}
    leave: [{event: gone}]
    steps:
      - {send: one, content: text, channels: [email]}
      - {wait: night, for: 1d}
      - {send: two, content: text, channels: [email]}
    """
LOOKS = """
    enter: {event: added, reentry: never}
    steps:
      - {send: one, content: text, channels: [email]}
      - wait_for: look
        event: viewed
        when: {event.price: {gte: 100}}
        up_to: 2d
        then:
          - {send: picks, content: text, channels: [email]}
        otherwise:
          - {send: best, content: text, channels: [email]}
    """


async def test_a_journey_without_waits_runs_through_and_costs_no_workflow(spine: Spine) -> None:
    spine.publish(hello=THREE_SENDS)
    (carried,) = await spine.feed("added")
    assert (carried.status, carried.outcome, carried.waiting) == ("ended", "completed", "ended")
    assert spine.post.delivered == ["one", "two", "three"]
    assert spine.errands() == []
    assert spine.reasons("entry") == ["entry.entered"]
    assert spine.reasons("run") == ["run.completed"]
    run = spine.run()
    assert run.variables["outcomes"] == {"one": "sent", "two": "sent", "three": "sent"}
    assert run.lease_until is None


async def test_an_intent_carries_its_deadline_expiry_and_what_templates_need(spine: Spine) -> None:
    spine.publish(hello=THREE_SENDS)
    await spine.feed("added", source="fair")
    now = spine.clock.now()
    two = spine.intent("two")
    assert two.deadline_at == now + timedelta(seconds=20)
    assert two.expires_at == now + DAY
    assert spine.intent("one").deadline_at is None
    assert two.variables["event"]["source"] == "fair"
    assert two.variables["event"]["type"] == "added"
    assert two.variables["journey"]["outcomes"] == {"one": "sent"}


async def test_the_first_wait_hands_the_run_to_a_workflow_exactly_once(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    (carried,) = await spine.feed("added")
    now = spine.clock.now()
    assert (carried.waiting, carried.due_at, carried.due_real) == ("timer", now + DAY, now + DAY)
    assert spine.errands() == ["run.start"]
    (errand,) = spine.rows(OutboxRow)
    run = spine.run()
    assert errand.key == run.id
    assert errand.payload == {
        "journey": "nap",
        "contact_id": run.contact_id,
        "entry_key": "once",
        "version": run.version,
        "priority": 50,
        "lane": "normal",
        "bundle": run.bundle_hash,
        "revision": run.revision,
        "waiting": "timer",
        "step": "night",
        "due_at": (now + DAY).isoformat(),
    }
    assert run.durable
    assert (run.waiting_since, run.next_send_at) == (now, now + DAY)
    again = await spine.runs.carry(run.id, durable=True)
    assert again == carried
    assert spine.errands() == ["run.start"]


async def test_a_due_timer_is_carried_by_the_workflow_and_not_before(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    await spine.feed("added")
    spine.clock.advance(DAY - timedelta(seconds=1))
    await spine.carry_all()
    assert spine.post.delivered == ["one"]
    spine.clock.advance(timedelta(seconds=1))
    await spine.carry_all()
    assert spine.post.delivered == ["one", "two"]
    assert spine.run().outcome == "completed"
    assert spine.errands() == ["run.start"]
    assert spine.waits() == []


async def test_skipped_time_has_passed_for_the_run_as_well(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    (carried,) = await spine.feed("added")
    ended = await spine.runs.carry(spine.run().id, durable=True, real_now=carried.due_real)
    assert ended.status == "ended"


async def test_journey_time_may_run_faster_than_delivery_time(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    spine.speed_up(86_400)
    (carried,) = await spine.feed("added")
    now = spine.clock.now()
    assert carried.due_real == now + timedelta(seconds=1)
    spine.clock.advance(timedelta(seconds=1))
    await spine.carry_all()
    assert spine.run().outcome == "completed"


async def test_the_real_moment_of_a_wait_is_never_a_moment_too_early(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    spine.speed_up(70_001.7)
    for number in range(5):
        spine.clock.advance(timedelta(microseconds=number))
        (carried,) = await spine.feed("added", who=f"p{number}")
        (run,) = spine.rows(RunRow, due_at=carried.due_at)
        assert carried.due_real is not None
        ended = await spine.runs.carry(run.id, durable=True, real_now=carried.due_real)
        assert ended.status == "ended"


async def test_a_wait_for_hears_its_event_and_tells_the_workflow(spine: Spine) -> None:
    spine.publish(look=LOOKS)
    await spine.feed("added")
    await spine.feed("viewed", price=5)
    assert spine.errands() == ["run.start"]
    await spine.feed("viewed", price=200)
    await spine.feed("viewed", price=300)
    assert spine.errands() == ["run.start", "run.signal"]
    assert spine.rows(OutboxRow)[1].payload["reason"] == "event"
    await spine.carry_all()
    assert spine.post.delivered == ["one", "picks"]
    assert spine.waits() == []


async def test_a_wait_for_whose_time_is_up_goes_the_other_way(spine: Spine) -> None:
    spine.publish(look=LOOKS)
    await spine.feed("added")
    spine.clock.advance(2 * DAY)
    await spine.carry_all()
    assert spine.post.delivered == ["one", "best"]


async def test_an_event_after_the_wait_was_due_does_not_count_although_nobody_carried_the_run(
    spine: Spine,
) -> None:
    spine.publish(look=LOOKS)
    await spine.feed("added")
    spine.clock.advance(2 * DAY + timedelta(seconds=1))
    await spine.feed("viewed", price=200)
    await spine.carry_all()
    assert spine.post.delivered == ["one", "best"]


async def test_an_event_between_entry_and_the_registered_wait_is_not_lost(spine: Spine) -> None:
    spine.publish(look=LOOKS)
    receipt = spine.accept("added")
    spine.accept("viewed", price=500)  # too early: the message it answers has not left yet
    spine.clock.advance(timedelta(seconds=1))
    spine.post.script["one"] = "held"
    (run_id,) = receipt.run_ids
    assert (await spine.runs.carry(run_id)).waiting == "outcome"
    spine.post.settle(spine.intent("one").key)
    spine.clock.advance(timedelta(seconds=1))
    spine.accept("viewed", price=200)  # after the hand-over, before anybody carried the run on
    assert spine.waits() == []
    carried = await spine.runs.carry(run_id, durable=True)
    assert carried.status == "ended"
    assert spine.post.delivered == ["one", "picks"]


async def test_a_held_message_makes_the_run_wait_durably_for_its_outcome(spine: Spine) -> None:
    spine.publish(hello=THREE_SENDS)
    spine.post.script["two"] = "held"
    (carried,) = await spine.feed("added")
    assert (carried.waiting, carried.position) == ("outcome", "two")
    assert spine.errands() == ["run.start"]
    await spine.carry_all()
    assert spine.errands() == ["run.start"]
    spine.post.settle(spine.intent("two").key, Outcome.BLOCKED)
    assert spine.errands() == ["run.start", "run.signal"]
    await spine.carry_all()
    assert spine.run().variables["outcomes"] == {"one": "sent", "two": "blocked", "three": "sent"}


async def test_a_workflow_whose_message_does_not_end_looks_again_by_itself(spine: Spine) -> None:
    """Whoever delivers for a run and dies before it moves the run has told nobody."""
    spine.publish(hello=THREE_SENDS)
    spine.post.script["one"] = "held"
    (carried,) = await spine.feed("added")
    expires_at = spine.intent("one").expires_at
    assert expires_at is not None
    assert (carried.due_at, carried.due_real) == (None, expires_at + LEASE)
    with spine.store.begin() as session:
        session.get_one(IntentRow, carried.intent_key).state = "handed_over"
    spine.post.script["one"] = "busy"
    carried = await spine.runs.carry(spine.run().id, durable=True)
    assert carried.due_real == spine.clock.now() + LEASE


async def test_a_message_another_process_works_on_keeps_the_run_with_the_processes(spine: Spine) -> None:
    spine.publish(hello=THREE_SENDS)
    spine.post.script["one"] = "busy"
    (carried,) = await spine.feed("added")
    assert carried.waiting == "outcome"
    assert spine.errands() == []
    assert await spine.runs.pick_up_abandoned(10) == 0
    spine.post.settle(spine.intent("one").key)
    assert await spine.runs.pick_up_abandoned(10) == 1
    assert spine.run().outcome == "completed"


async def test_outcomes_values_branches_and_tags_work_on_rows(spine: Spine) -> None:
    spine.publish(
        mixed="""
        enter: {event: added, reentry: never}
        steps:
          - set: keep
            values: {tier: gold}
          - {tag: mark, add: [greeted], remove: [fresh]}
          - send: one
            content: text
            channels: [email]
            outcomes:
              capped:
                - {tag: note, add: [capped]}
          - branch: fork
            cases:
              - when: {journey.values.tier: gold, contact.tags: {has: capped}}
                steps:
                  - {send: sorry, content: text, channels: [email]}
            else:
              - {stop: enough}
        """
    )
    spine.post.script["one"] = "capped"
    await spine.feed("added")
    assert spine.post.delivered == ["sorry"]
    (contact,) = spine.rows(ContactRow)
    assert contact.tags == ["capped", "greeted"]


async def test_a_tag_set_before_a_wait_whose_event_is_already_here_is_seen_behind_it(spine: Spine) -> None:
    spine.publish(
        quick="""
        enter: {event: added, reentry: never}
        steps:
          - {tag: mark, add: [greeted]}
          - wait_for: look
            event: viewed
            up_to: 2d
            then:
              - branch: fork
                cases:
                  - when: {contact.tags: {has: greeted}}
                    steps:
                      - {send: known, content: text, channels: [email]}
                else:
                  - {send: unknown, content: text, channels: [email]}
        """
    )
    (run_id,) = spine.accept("added").run_ids
    spine.accept("viewed")
    await spine.runs.carry(run_id)
    assert spine.post.delivered == ["known"]


async def test_a_run_that_does_not_exist_is_not_found(spine: Spine) -> None:
    spine.publish(hello=THREE_SENDS)
    with pytest.raises(NotFound):
        await spine.runs.carry("nobody")


async def test_runs_keep_the_journey_they_started_with(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    await spine.feed("added")
    spine.publish(nap=SLEEPS.replace("two", "other"))
    spine.clock.advance(DAY)
    await spine.feed("added", who="bob")
    await spine.carry_all()
    assert spine.post.delivered == ["one", "one", "two"]


async def test_an_ended_run_is_left_alone_whatever_arrives(spine: Spine) -> None:
    spine.publish(hello=THREE_SENDS)
    await spine.feed("added")
    before = spine.run().model_dump()
    carried = await spine.runs.carry(spine.run().id)
    assert carried.status == "ended"
    assert spine.run().model_dump() == before
    assert len(spine.rows(IntentRow)) == 3
    assert len(spine.rows(RunRow)) == 1
