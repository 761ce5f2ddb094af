"""What events do to the runs of their contact, in intake's own transaction, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from engine.gate.model import Outcome
from engine.runs.cancelling import cancel
from engine.store.tables import ControlRow, DecisionRow, IntentRow, OutboxRow, RunRow

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

DAY = timedelta(days=1)

SLEEPS = """
    enter: {event: added, reentry: never}
    leave: [{event: gone}, {when: {contact.tags: {has: quiet}}}]
    goal: {event: paid, within: 7d}
    steps:
      - {send: one, content: text, channels: [email]}
      - {wait: night, for: 30d}
      - {send: two, content: text, channels: [email]}
    """
DORMANT = """
    enter: {event: [viewed, paid], reentry: always}
    leave: [{event: [viewed, paid]}]
    steps:
      - {wait: silence, for: 30d}
      - {send: wake, content: text, channels: [email]}
    """


async def test_leaves_and_goal_listen_from_the_entry_on(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    spine.accept("added")
    assert spine.waits() == [("leave", "gone"), ("leave", "*"), ("goal", "paid")]
    spine.accept("gone")
    assert spine.run().outcome == "left"
    assert spine.waits() == []


async def test_a_leave_ends_the_run_drops_its_held_message_and_cancels_its_workflow(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    spine.post.script["one"] = "held"
    await spine.feed("added")
    await spine.feed("gone")
    run = spine.run()
    assert (run.status, run.outcome, run.ended_at) == ("ended", "left", spine.clock.now())
    intent = spine.intent("one")
    assert (intent.state, intent.outcome, intent.reason) == ("ended", "blocked", "run.ended")
    assert spine.errands() == ["run.start", "run.cancel"]
    assert spine.rows(OutboxRow)[1].payload["reason"] == "run.left"
    assert spine.reasons("run") == ["run.left"]
    (end,) = spine.rows(DecisionRow, kind="run")
    assert end.evidence["by"] == "1"


async def test_an_outcome_that_comes_after_the_end_changes_nothing(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    spine.post.script["one"] = "busy"
    await spine.feed("added")
    with spine.store.begin() as session:
        row = session.get(IntentRow, spine.intent("one").key)
        assert row is not None
        row.state = "handed_over"
    await spine.feed("gone")
    before = spine.run().model_dump()
    spine.post.settle(spine.intent("one").key, Outcome.SENT)
    await spine.runs.carry(spine.run().id, durable=True)
    assert spine.run().model_dump() == before
    assert spine.errands() == []


async def test_a_goal_counts_within_its_time_only(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    await spine.feed("added")
    await spine.feed("added", who="bob")
    spine.clock.advance(7 * DAY)
    await spine.feed("paid", amount=1, order_id="o1")
    spine.clock.advance(timedelta(seconds=1))
    await spine.feed("paid", who="bob", amount=1, order_id="o2")
    assert [run.outcome for run in spine.rows(RunRow)].count("goal") == 1
    assert spine.reasons("run") == ["run.goal"]


async def test_the_event_that_ends_a_run_starts_the_next(spine: Spine) -> None:
    spine.publish(dormant=DORMANT)
    for _ in range(3):
        await spine.feed("viewed")
        spine.clock.advance(DAY)
    runs = spine.rows(RunRow)
    assert [(run.entry_key, run.outcome) for run in runs] == [("n1", "left"), ("n2", "left"), ("n3", None)]
    assert spine.errands() == ["run.start", "run.cancel", "run.start", "run.cancel", "run.start"]


async def test_events_of_one_batch_see_each_others_runs(spine: Spine) -> None:
    spine.publish(dormant=DORMANT, nap=SLEEPS)
    receipt = spine.accept_all("added", "viewed", "viewed", "gone")
    assert len(receipt.run_ids) == 3
    by_key = {(run.journey, run.entry_key): run.outcome for run in spine.rows(RunRow)}
    assert by_key == {("nap", "once"): "left", ("dormant", "n1"): "left", ("dormant", "n2"): None}
    for run_id in receipt.run_ids:
        await spine.runs.carry(run_id)
    assert spine.post.delivered == []


async def test_refusals_are_decisions_with_their_reasons(spine: Spine) -> None:
    spine.publish(
        picky="""
        enter: {event: paid, when: {event.amount: {gte: 100}}, reentry: {once_per: event.order_id}}
        steps: [{wait: w, for: 1d}]
        """,
        always="""
        enter: {event: paid, reentry: always}
        steps: [{wait: w, for: 1d}]
        """,
        after="""
        enter: {event: paid, reentry: {after: 10d}}
        steps: [{stop: at_once}]
        """,
    )
    await spine.feed("paid", amount=5, order_id="o1")
    await spine.feed("paid", amount=500, order_id="o2")
    await spine.feed("paid", amount=600, order_id="o2")
    await spine.feed("paid", amount=700, order_id="o3")
    refused = [
        (row.journey, row.reason) for row in spine.rows(DecisionRow, kind="entry") if row.verdict == "skip"
    ]
    assert refused == [
        ("picky", "entry.no_match"),
        ("after", "entry.reentry"),
        ("always", "entry.running"),
        ("after", "entry.reentry"),
        ("always", "entry.running"),
        ("picky", "entry.reentry"),
        ("after", "entry.reentry"),
        ("always", "entry.running"),
    ]
    no_match = spine.rows(DecisionRow, reason="entry.no_match")[0]
    assert no_match.evidence["rule"] == "entry:picky#paid"
    assert no_match.evidence["tests"] == ["- event.amount  (was 5, wanted gte 100)"]
    assert {run.entry_key for run in spine.rows(RunRow, journey="picky")} == {"per:o2", "per:o3"}


async def test_an_address_that_names_an_entry_is_masked_in_its_decision(spine: Spine) -> None:
    spine.publish(
        once="""
        enter: {event: paid, reentry: {once_per: event.order_id}}
        steps: [{stop: at_once}]
        """
    )
    await spine.feed("paid", order_id="ann@example.com")
    (entered,) = spine.rows(DecisionRow, kind="entry")
    assert entered.evidence["entry_key"] == "per:a***@example.com"
    assert spine.run().entry_key == "per:ann@example.com"


async def test_a_paused_journey_takes_nobody_in_and_goes_on_with_those_inside(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    await spine.feed("added")
    with spine.store.begin() as session:
        control = session.get(ControlRow, 1)
        assert control is not None
        control.paused_journeys = ["nap"]
    assert await spine.feed("added", who="bob") == []
    assert spine.reasons("entry") == ["entry.entered", "entry.paused"]
    await spine.feed("gone")
    assert spine.run().outcome == "left"


async def test_a_late_event_starts_nothing_and_still_ends_runs(spine: Spine) -> None:
    spine.publish(dormant=DORMANT)
    await spine.feed("viewed")
    receipt = spine.accept("viewed", at=spine.clock.now() - 8 * DAY)
    assert receipt.run_ids == ()
    assert spine.run().outcome == "left"
    assert spine.reasons("entry") == ["entry.entered", "entry.late"]


async def test_a_withdrawal_ends_the_runs_of_its_purpose_and_drops_their_messages(spine: Spine) -> None:
    spine.publish(
        nap=SLEEPS,
        ads="""
        purpose: marketing
        enter: {event: added, reentry: never}
        steps:
          - {send: ad, content: text, channels: [email]}
        """,
    )
    spine.post.script["ad"] = spine.post.script["one"] = "held"
    await spine.feed("added")
    await spine.feed("consent_withdrawn", purpose="marketing", channel="email")
    assert spine.run(journey="ads").status == "active"
    await spine.feed("consent_withdrawn", purpose="marketing")
    assert (spine.run(journey="ads").outcome, spine.run(journey="nap").outcome) == ("cancelled", None)
    assert spine.intent("ad").reason == "consent.withdrawn"
    assert spine.intent("one").state == "held"
    assert spine.reasons("run") == ["consent.withdrawn"]


async def test_a_run_of_another_purpose_goes_on_without_the_message_that_was_withdrawn(spine: Spine) -> None:
    spine.publish(
        mixed="""
        enter: {event: added, reentry: never}
        steps:
          - {send: ad, content: text, channels: [email], purpose: marketing}
          - {send: receipt, content: text, channels: [email]}
        """
    )
    spine.post.script["ad"] = "held"
    await spine.feed("added")
    await spine.feed("consent_withdrawn", purpose="marketing")
    assert spine.errands() == ["run.start", "run.signal"]
    await spine.carry_all()
    assert spine.run().outcome == "completed"
    assert spine.post.delivered == ["receipt"]


async def test_an_operator_can_cancel_a_run_once(spine: Spine) -> None:
    spine.publish(nap=SLEEPS)
    await spine.feed("added")
    run_id, now = spine.run().id, spine.clock.now()
    for expected in (True, False):
        with spine.store.begin() as session:
            assert cancel(session, run_id, by="ana", reason="asked by phone", now=now) is expected
    assert spine.run().outcome == "cancelled"
    assert spine.errands() == ["run.start", "run.cancel"]
    (decision,) = spine.rows(DecisionRow, reason="run.cancelled")
    assert decision.evidence == {"outcome": "cancelled", "by": "ana", "why": "asked by phone"}


async def test_no_match_decisions_can_be_left_out(spine: Spine) -> None:
    spine.publish(
        picky="""
        enter: {event: paid, when: {event.amount: {gte: 100}}, reentry: always}
        steps: [{stop: at_once}]
        """
    )
    spine.keep_no_match(False)
    await spine.feed("paid", amount=5, order_id="o1")
    assert spine.rows(DecisionRow) == []
