"""People on their way when their journey changes: taken over, ended, left or waiting; on both databases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from engine.authoring.loading import bundle_of
from engine.delivery import explaining
from engine.errors import RulesetError
from engine.gate.model import Outcome
from engine.governance.difference import difference
from engine.governance.in_flight import SETTLED
from engine.governance.plans import switch_off, switch_on
from engine.governance.publishing import Published, publish
from engine.governance.records import run_record
from engine.journeys.program import InFlight
from engine.runs.deciding import decide
from engine.store.tables import (
    ControlRow,
    DecisionRow,
    InFlightRow,
    OutboxRow,
    RunRow,
    TaskRow,
    WaitRow,
)

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MIGRATE = {"trip": InFlight.MIGRATE}

SLEEPS = """
    enter: {event: added, reentry: always}
    leave: [{event: gone}]
    steps:
      - {send: one, content: text, channels: [email]}
      - {wait: night, for: 3d}
      - {send: two, content: text, channels: [email]}
    """
LISTENS = """
    enter: {event: added, reentry: always}
    goal: {event: paid, within: 10d}
    steps:
      - wait_for: look
        event: viewed
        when: {event.price: {gte: 100}}
        up_to: 4d
        then: [{send: picks, content: text, channels: [email]}]
        otherwise: [{send: best, content: text, channels: [email]}]
    """


def moved(spine: Spine) -> dict[str, object]:
    (row,) = spine.rows(DecisionRow, reason="run.moved")
    return row.evidence


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


async def test_without_a_policy_everybody_finishes_on_their_own_version(spine: Spine) -> None:
    first = spine.publish(trip=SLEEPS)
    await spine.feed("added")
    second = spine.publish(trip=SLEEPS.replace("send: two", "send: three"))
    await spine.feed("added", who="bob")
    await spine.take_over()
    assert {run.bundle_hash for run in spine.rows(RunRow)} == {first.hash, second.hash}
    spine.clock.advance(3 * DAY)
    await spine.carry_all()
    assert sorted(spine.post.delivered) == ["one", "one", "three", "two"]
    assert spine.rows(InFlightRow) == []


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


async def test_nobody_is_stranded_the_publish_is_refused_with_the_way_out(spine: Spine) -> None:
    first = spine.publish(trip=SLEEPS)
    await spine.feed("added")
    await spine.feed("added", who="bob")
    gone = SLEEPS.replace("- {wait: night, for: 3d}", "- {wait: dusk, for: 3d}")
    with pytest.raises(RulesetError) as refused:
        spine.publish_with(MIGRATE, trip=gone)
    (problem,) = refused.value.problems
    assert (problem.code, problem.path, problem.place.file) == ("RS128", "trip.night", "trip.yaml")
    assert "2 people on bundle 1 at 'night' would be stranded" in problem.message
    assert "was: {night: two}" in problem.hint
    assert "--policy trip=pin" in problem.hint
    with spine.store.read() as session:
        control = session.get(ControlRow, 1)
        assert control is not None
        assert (control.live_bundle, control.in_flight) == (first.hash, {})
    spine.publish_with({"trip": InFlight.PIN}, trip=gone)
    assert {run.bundle_hash for run in spine.rows(RunRow)} == {first.hash}


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


async def test_drain_lets_nobody_in_until_the_last_has_finished(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    spine.publish_with({"trip": InFlight.DRAIN}, trip=SLEEPS.replace("send: two", "send: other"))
    await spine.take_over()
    await spine.feed("added", who="bob")
    assert spine.reasons("entry") == ["entry.entered", "entry.draining"]
    spine.clock.advance(3 * DAY)
    await spine.carry_all()
    assert spine.post.delivered == ["one", "two"]
    await spine.take_over()
    await spine.feed("added", who="bob")
    assert spine.reasons("entry") == ["entry.entered", "entry.draining", "entry.entered"]
    assert [row.finished_because for row in spine.rows(InFlightRow)] == ["done"]


async def test_runs_of_a_journey_that_is_gone_finish_or_end_as_told(spine: Spine) -> None:
    first = spine.publish(trip=SLEEPS, other=LISTENS)
    await spine.feed("added")
    with pytest.raises(RulesetError, match="1 problem"):
        spine.publish_with(MIGRATE, other=LISTENS)
    published = spine.publish(other=LISTENS)
    (outlook,) = [each for each in published.people if each.journey == "trip"]
    assert (outlook.policy, outlook.people, outlook.is_there) == (InFlight.PIN, 1, False)
    assert spine.run(journey="trip").bundle_hash == first.hash
    spine.publish_with({"trip": InFlight.END}, other=LISTENS)
    await spine.take_over()
    run = spine.run(journey="trip")
    assert (run.outcome, run.status) == ("cancelled", "ended")
    assert spine.rows(DecisionRow, reason="run.retired")[0].evidence["policy"] == "end"


async def test_an_order_is_over_when_nobody_is_left_and_nobody_can_come_any_more(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    spine.publish_with(MIGRATE, trip=SLEEPS.replace("3d", "2d"))
    await spine.take_over()
    assert [row.finished_at for row in spine.rows(InFlightRow)] == [None]
    spine.clock.advance(SETTLED)
    await spine.take_over()
    (row,) = spine.rows(InFlightRow)
    assert (row.finished_because, row.moved, row.ended) == ("done", 1, 0)
    with spine.store.read() as session:
        control = session.get(ControlRow, 1)
        assert control is not None
        assert control.in_flight == {}
    assert spine.rows(OutboxRow)[-1].kind == "run.signal"


ASKS = """
    enter: {event: added, reentry: always}
    steps:
      - ask: call
        queue: support
        question: Please call.
        choices:
          - {id: solved, title: Solved, steps: [{send: thanks, content: text, channels: [email]}]}
          - {id: busy, title: Busy}
        deadline: 24h
        otherwise: [{send: sorry, content: text, channels: [email]}]
      - {send: bye, content: text, channels: [email]}
    """


def answer(spine: Spine, choice: str) -> None:
    (task,) = spine.rows(TaskRow)
    with spine.store.begin() as session:
        decide(session, task.id, choice, by="ana", now=spine.clock.now(), key=None, note="")


async def test_who_was_given_a_task_is_moved_with_the_answer(spine: Spine) -> None:
    first = spine.publish(trip=ASKS)
    await spine.feed("added")
    spine.publish_with(
        MIGRATE,
        trip=ASKS.replace("ask: call", "ask: ring").replace("send: thanks", "send: hooray")
        + "\n    was: {call: ring}\n",
    )
    await spine.take_over()
    assert spine.run().bundle_hash == first.hash
    answer(spine, "solved")
    await spine.carry_all()
    assert spine.post.delivered == ["hooray", "bye"]
    assert spine.run().variables["answers"] == {"ring": "solved"}


async def test_an_answer_that_the_new_version_does_not_have_goes_its_old_way(spine: Spine) -> None:
    spine.publish(trip=ASKS)
    await spine.feed("added")
    spine.publish_with(
        MIGRATE,
        trip=ASKS.replace("id: solved", "id: done").replace("send: bye", "send: farewell"),
    )
    answer(spine, "solved")
    await spine.carry_all()
    assert spine.post.delivered == ["thanks", "farewell"]


async def test_a_task_whose_step_is_gone_is_withdrawn_and_its_run_goes_on(spine: Spine) -> None:
    spine.publish(trip=ASKS)
    await spine.feed("added")
    spine.publish_with(
        MIGRATE,
        trip="""
    enter: {event: added, reentry: always}
    was: {call: bye}
    steps: [{send: bye, content: text, channels: [email]}]
    """,
    )
    await spine.take_over()
    (task,) = spine.rows(TaskRow)
    assert (task.state, task.reason) == ("withdrawn", "run.moved")
    await spine.carry_all()
    assert spine.post.delivered == ["bye"]


async def test_a_task_that_nobody_answered_expires_in_the_new_version(spine: Spine) -> None:
    spine.publish(trip=ASKS)
    await spine.feed("added")
    spine.publish_with(MIGRATE, trip=ASKS.replace("send: sorry", "send: apology"))
    spine.clock.advance(DAY)
    await spine.carry_all()
    assert spine.post.delivered == ["apology", "bye"]
    (task,) = spine.rows(TaskRow)
    assert task.state == "expired"


PLAN = """
kind: plan
id: busy
title: busy
owner: us
at_most: 10d
priorities: {trip: 90}
"""


async def test_who_entered_under_a_plan_goes_over_with_it_and_switching_moves_nobody(spine: Spine) -> None:
    def put(body: str, policies: Mapping[str, InFlight]) -> Published:
        files = {**spine.files(trip=body), "busy.yaml": PLAN.lstrip()}
        with spine.store.begin() as session:
            return publish(
                session, files, by="test", now=spine.clock.now(), policies=policies, shelf=spine.shelf
            )

    put(SLEEPS, {})
    await spine.feed("added", who="ann")
    with spine.store.begin() as session:
        switch_on(session, spine.shelf, "busy", until=None, by="ana", reason="", now=spine.clock.now())
    await spine.feed("added", who="bob")
    assert {row.revision for row in spine.rows(RunRow)} == {spine.rows(RunRow)[0].revision}
    new = put(SLEEPS.replace("3d", "2d"), MIGRATE)
    await spine.take_over()
    (control,) = spine.rows(ControlRow)
    by_priority = {row.priority: row.bundle_hash for row in spine.rows(RunRow)}
    assert by_priority == {50: new.hash, 90: control.live_bundle}
    assert control.live_bundle != new.hash
    with spine.store.begin() as session:
        switch_off(session, spine.shelf, "busy", by="ana", reason="", now=spine.clock.now())
    await spine.take_over()
    assert {row.priority: row.bundle_hash for row in spine.rows(RunRow)} == by_priority
    spine.clock.advance(2 * DAY)
    await spine.carry_all()
    assert {row.outcome for row in spine.rows(RunRow)} == {"completed"}


async def test_a_moved_run_tells_where_it_came_from(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    spine.publish_with(MIGRATE, trip=SLEEPS.replace("3d", "2d"))
    await spine.take_over()
    with spine.store.read() as session:
        found = explaining.explain_contact(session, spine.shelf, spine.run().contact_id)
    told = explaining.render_decisions([each for each in found if each.reason == "run.moved"])
    assert "allow: run.moved" in told
    assert "from_step: night" in told
    assert "how: stays" in told


async def test_one_publish_may_say_something_else_for_every_journey(spine: Spine) -> None:
    spine.publish(trip=SLEEPS, other=SLEEPS, third=LISTENS)
    await spine.feed("added")
    spine.publish(other=SLEEPS, third=LISTENS)
    policies = {"trip": InFlight.PIN, "other": InFlight.MIGRATE, "third": InFlight.END}
    published = spine.publish_with(policies, other=SLEEPS.replace("3d", "2d"), third=LISTENS)
    assert {each.journey: each.policy for each in published.people} == policies
    await spine.take_over()
    rows = {row.journey: row for row in spine.rows(RunRow)}
    assert {name: row.status for name, row in rows.items()} == {
        "trip": "active",
        "other": "active",
        "third": "ended",
    }
    assert rows["other"].bundle_hash == published.hash != rows["trip"].bundle_hash


async def test_messages_that_nobody_could_send_any_more_are_foretold_for_those_who_finish(
    spine: Spine,
) -> None:
    steps = """
        enter: {event: added, reentry: always}
        steps:
          - {wait: night, for: 1d}
          - {send: one, content: text, channels: [email], purpose: marketing}
          - {send: two, content: text, channels: [email]}
        """
    spine.publish(trip=steps)
    await spine.feed("added")
    files = spine.files(trip=steps.replace(", purpose: marketing", ""))
    kept = [line for line in files["purposes.yaml"].splitlines(True) if "id: marketing" not in line]
    files["purposes.yaml"] = "".join(kept)
    wanted = bundle_of(files)
    with spine.store.read() as session:
        found = difference(session, spine.shelf, wanted, {})
        run = run_record(session, spine.run().id)
    (journey,) = found.journeys
    assert journey.people is not None
    assert [(fate.step, fate.silenced) for fate in journey.people.fates] == [("night", ("one",))]
    assert run["clock"] == {"timezone": None, "timezone_source": "default", "timezone_candidates": []}
