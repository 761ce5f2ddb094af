"""People on their way when their journey changes, whose waits and steps are other ones; on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.gate.model import Outcome
from engine.store.tables import RunRow, WaitRow
from tests.runs.trips import DAY, HOUR, LISTENS, MIGRATE, SLEEPS, moved

if TYPE_CHECKING:
    from tests.runs.conftest import Spine


async def test_a_shorter_wait_counts_from_its_beginning_and_wakes_its_workflow(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    began = spine.clock.now()
    spine.clock.advance(DAY)
    published = spine.publish_with(MIGRATE, trip=SLEEPS.replace("3d", "2d"))
    await spine.take_over()
    run = spine.run()
    assert (run.bundle_hash, run.position, run.waiting) == (published.hash, "night", "timer")
    assert (run.due_at, run.waiting_since) == (began + 2 * DAY, began)
    assert spine.errands() == ["run.start", "run.signal"]
    told = moved(spine)
    assert (told["from_step"], told["to_step"], told["how"]) == ("night", "night", "stays")
    assert told["due_was"] == (began + 3 * DAY).isoformat()
    assert told["due_is"] == (began + 2 * DAY).isoformat()
    spine.clock.advance(DAY)
    await spine.carry_all()
    assert spine.run().outcome == "completed"
    assert spine.post.delivered == ["one", "two"]


async def test_a_longer_wait_lets_the_workflow_sleep_on_without_being_told(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    spine.publish_with(MIGRATE, trip=SLEEPS.replace("3d", "5d"))
    await spine.take_over()
    assert spine.errands() == ["run.start"]
    spine.clock.advance(3 * DAY)
    (carried,) = [await spine.runs.carry(run.id, durable=True) for run in spine.rows(RunRow)]
    assert (carried.waiting, carried.due_real) == ("timer", spine.clock.now() + 2 * DAY)


async def test_a_wait_that_would_be_over_already_goes_on_at_once(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    spine.clock.advance(2 * DAY)
    spine.publish_with(MIGRATE, trip=SLEEPS.replace("3d", "1d"))
    await spine.take_over()
    await spine.carry_all()
    assert spine.run().outcome == "completed"


async def test_a_renamed_step_keeps_its_wait_and_what_is_kept_by_its_name(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    due_at = spine.run().due_at
    spine.publish_with(
        MIGRATE,
        trip="""
    enter: {event: added, reentry: always}
    was: {one: hello, night: rest}
    steps:
      - {send: hello, content: text, channels: [email]}
      - {wait: rest, for: 3d}
      - branch: heard
        cases:
          - when: {journey.outcomes.hello: sent}
            steps: [{send: heard_it, content: text, channels: [email]}]
        else: [{send: never_came, content: text, channels: [email]}]
    """,
    )
    await spine.take_over()
    run = spine.run()
    assert (run.position, run.due_at, run.variables["outcomes"]) == ("rest", due_at, {"hello": "sent"})
    assert moved(spine)["because"] == "was"
    spine.clock.advance(3 * DAY)
    await spine.carry_all()
    assert spine.post.delivered == ["one", "heard_it"]


async def test_who_stands_at_a_removed_step_goes_where_the_journey_says(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    without = """
    enter: {event: added, reentry: always}
    was: {night: WHERE}
    steps:
      - {send: one, content: text, channels: [email]}
      - {send: two, content: text, channels: [email]}
    """
    spine.publish_with(MIGRATE, trip=without.replace("WHERE", "two"))
    await spine.take_over()
    run = spine.run()
    assert (run.position, run.waiting, run.due_at) == ("two", "ready", None)
    assert spine.errands() == ["run.start", "run.signal"]
    await spine.carry_all()
    assert spine.run().outcome == "completed"
    assert spine.post.delivered == ["one", "two"]


async def test_who_stands_at_a_removed_step_may_be_at_the_end(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    spine.publish_with(
        MIGRATE,
        trip="""
    enter: {event: added, reentry: always}
    was: {night: end}
    steps: [{send: one, content: text, channels: [email]}]
    """,
    )
    await spine.take_over()
    run = spine.run()
    assert (run.status, run.outcome, run.waiting, run.due_at) == ("ended", "stopped", "ended", None)
    assert spine.errands() == ["run.start", "run.cancel"]
    assert spine.reasons("run") == ["run.retired"]
    assert spine.rows(WaitRow) == []


async def test_a_run_is_not_moved_between_its_wish_and_its_outcome(spine: Spine) -> None:
    first = spine.publish(trip=SLEEPS)
    spine.post.script["one"] = "held"
    await spine.feed("added")
    second = spine.publish_with(MIGRATE, trip=SLEEPS.replace("send: two", "send: other").replace("3d", "1d"))
    await spine.take_over()
    assert (spine.run().bundle_hash, spine.run().waiting) == (first.hash, "outcome")
    spine.post.settle(spine.intent("one").key)
    await spine.carry_all()
    run = spine.run()
    assert (run.bundle_hash, run.position) == (second.hash, "night")
    assert run.due_at == spine.clock.now() + DAY
    spine.clock.advance(DAY)
    await spine.carry_all()
    assert spine.post.delivered == ["one", "other"]


async def test_the_outcome_of_a_renamed_send_is_known_under_its_new_name(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    spine.post.script["one"] = "held"
    await spine.feed("added")
    body = """
    enter: {event: added, reentry: always}
    was: {one: hello}
    steps:
      - send: hello
        content: text
        channels: [email]
        outcomes: {failed: [{stop: sad}]}
      - {wait: night, for: 3d}
    """
    spine.publish_with(MIGRATE, trip=body)
    spine.post.settle(spine.intent("one").key, Outcome.FAILED)
    await spine.carry_all()
    run = spine.run()
    assert (run.outcome, run.variables["outcomes"]) == ("stopped", {"hello": "failed"})


async def test_what_came_while_waiting_counts_for_the_wait_as_it_is_now(spine: Spine) -> None:
    spine.publish(trip=LISTENS)
    await spine.feed("added")
    await spine.feed("viewed", price=60)
    spine.clock.advance(HOUR)
    spine.publish_with(MIGRATE, trip=LISTENS.replace("gte: 100", "gte: 50"))
    await spine.take_over()
    (wait,) = spine.rows(WaitRow, kind="step")
    assert wait.matched_event_id == "m2"
    await spine.carry_all()
    assert spine.post.delivered == ["picks"]


async def test_what_came_before_is_not_looked_at_again_where_nothing_changed(spine: Spine) -> None:
    spine.publish(trip=LISTENS)
    await spine.feed("added")
    await spine.feed("viewed", price=60)
    spine.publish_with(MIGRATE, trip=LISTENS.replace("send: best", "send: rest"))
    await spine.take_over()
    (wait,) = spine.rows(WaitRow, kind="step")
    assert wait.matched_event_id is None
    await spine.feed("viewed", price=160)
    await spine.carry_all()
    assert spine.post.delivered == ["picks"]


async def test_an_event_after_the_publish_finds_the_new_version_however_late_the_round_comes(
    spine: Spine,
) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    spine.publish_with(MIGRATE, trip=SLEEPS.replace("event: gone", "event: paid"))
    await spine.feed("gone")
    assert spine.run().status == "active"
    await spine.feed("paid")
    assert spine.run().outcome == "left"


async def test_an_event_wakes_by_the_new_version_in_the_transaction_that_takes_it_over(spine: Spine) -> None:
    spine.publish(trip=LISTENS)
    await spine.feed("added")
    spine.publish_with(MIGRATE, trip=LISTENS.replace("gte: 100", "gte: 50"))
    await spine.feed("viewed", price=60)
    await spine.carry_all()
    assert spine.post.delivered == ["picks"]


async def test_a_timer_that_fires_before_the_round_finds_the_new_version(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    spine.publish_with(MIGRATE, trip=SLEEPS.replace("send: two", "send: other").replace("3d", "4d"))
    spine.clock.advance(3 * DAY)
    await spine.carry_all()
    assert spine.post.delivered == ["one"]
    spine.clock.advance(DAY)
    await spine.carry_all()
    assert spine.post.delivered == ["one", "other"]


PLAN = """
kind: plan
id: busy
title: busy
owner: us
at_most: 10d
priorities: {trip: 90}
"""
