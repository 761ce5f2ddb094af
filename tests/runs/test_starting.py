"""Journeys that start others on rows: one transaction, the same way in as every entry, and no storm."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from engine.delivery import explaining, rendering
from engine.journeys.starting import LONGEST_CHAIN
from engine.runs.leasing import LEASE
from engine.store.tables import ControlRow, DecisionRow, EventRow, IntentRow, RunRow

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

DAY = timedelta(days=1)

PARENT = """
    enter: {event: added, reentry: always}
    steps:
      - {send: hello, content: text, channels: [email]}
      - {start: further, journey: child, values: {reason: vip, level: 3}}
      - {send: bye, content: text, channels: [email]}
    """
CHILD = """
    enter: {api: {parameters: {reason: {type: text, required: true}, level: {type: number}}}}
    steps:
      - branch: why
        cases:
          - when: {contact.tags: {has: fresh}}
            steps: [{stop: fresh}]
      - {send: gift, content: text, channels: [email]}
    """
NAP = """
    enter: {api: {}}
    steps:
      - {wait: nap, for: 1d}
      - {send: gift, content: text, channels: [email]}
    """


def refused(spine: Spine) -> list[tuple[str | None, str]]:
    return [(row.journey, row.reason) for row in spine.rows(DecisionRow, kind="entry", verdict="skip")]


async def test_a_started_journey_runs_beside_its_parent_with_what_it_was_told(spine: Spine) -> None:
    spine.publish(parent=PARENT, child=CHILD)
    await spine.feed("added")
    assert spine.post.delivered == ["hello", "bye", "gift"]
    parent, child = spine.run(journey="parent"), spine.run(journey="child")
    assert (parent.outcome, child.outcome) == ("completed", "completed")
    (asked,) = spine.rows(EventRow, type="journey_requested")
    assert (asked.source, asked.contact_id, child.entry_event_id) == (
        "journey",
        parent.contact_id,
        asked.event_id,
    )
    told = spine.intent("gift").variables["event"]
    assert (told["reason"], told["level"]) == ("vip", 3)
    (entered,) = spine.rows(DecisionRow, kind="entry", journey="child")
    assert entered.evidence["started_by"] == {
        "journey": "parent",
        "run": parent.id,
        "step": "further",
        "chain": 1,
    }
    with spine.store.read() as session:
        story = explaining.explain_contact(session, spine.shelf, child.contact_id, journey="child")
    assert f"run {parent.id}" in rendering.render_decisions(story)


async def test_a_started_run_that_its_process_leaves_lying_is_picked_up(spine: Spine) -> None:
    spine.publish(parent=PARENT, child=CHILD)
    spine.post.script["bye"] = "busy"
    spine.post.script["gift"] = "busy"
    await spine.feed("added")
    assert spine.run(journey="child").waiting == "outcome"
    spine.post.script.clear()
    spine.clock.advance(LEASE)
    await spine.runs.pick_up_abandoned(10)
    assert {row.outcome for row in spine.rows(RunRow)} == {"completed"}
    assert len(spine.rows(IntentRow)) == 3


async def test_nothing_is_started_when_the_parent_could_not_be_moved(spine: Spine) -> None:
    spine.publish(parent=PARENT, child=CHILD)
    (run_id,) = spine.accept("added").run_ids
    spine.post.script["hello"] = "held"
    await spine.runs.carry(run_id)
    spine.post.settle(spine.intent("hello").key)
    assert spine.rows(RunRow, journey="child") == []
    await spine.runs.carry(run_id, durable=True)
    await spine.runs.carry(run_id, durable=True)  # said twice
    assert len(spine.rows(RunRow, journey="child")) == 1
    assert len(spine.rows(EventRow, type="journey_requested")) == 1


async def test_a_journey_that_does_not_take_the_contact_in_says_so_and_the_parent_goes_on(
    spine: Spine,
) -> None:
    spine.publish(parent=PARENT, child=CHILD)
    await spine.feed("added")
    await spine.feed("added")
    assert refused(spine) == [("child", "entry.reentry")]
    with spine.store.begin() as session:
        session.get_one(ControlRow, 1).paused_journeys = ["child"]
    await spine.feed("added")
    assert refused(spine)[1:] == [("child", "entry.paused")]
    assert [row.outcome for row in spine.rows(RunRow, journey="parent")] == ["completed"] * 3


async def test_the_other_journey_is_that_of_the_rules_in_force(spine: Spine) -> None:
    sleeps = PARENT.replace("{send: hello, content: text, channels: [email]}", "{wait: night, for: 1d}")
    spine.publish(parent=sleeps, child=CHILD)
    await spine.feed("added", who="ann")
    spine.publish(parent=sleeps.replace("reason: vip, level: 3", ""), child=NAP)
    await spine.feed("added", who="bob")
    spine.publish(
        hello=PARENT.replace("- {start: further, journey: child, values: {reason: vip, level: 3}}", "")
    )
    await spine.feed("added", who="eve")
    spine.clock.advance(DAY)
    await spine.carry_all()
    assert refused(spine) == [("child", "entry.unknown_journey")] * 2
    first, _ = spine.rows(DecisionRow, reason="entry.unknown_journey")
    assert "enter: {api: …}" in first.would_pass_if
    assert first.evidence["started_by"]["journey"] == "parent"


async def test_what_the_other_journey_no_longer_takes_is_named_without_its_value(spine: Spine) -> None:
    sleeps = PARENT.replace("{send: hello, content: text, channels: [email]}", "{wait: night, for: 1d}")
    spine.publish(parent=sleeps, child=CHILD)
    await spine.feed("added")
    other = sleeps.replace("reason: vip, level: 3", "")
    spine.publish(parent=other, child=NAP)
    spine.clock.advance(DAY)
    await spine.carry_all()
    assert refused(spine) == [("child", "entry.parameters")]
    (told,) = spine.rows(DecisionRow, reason="entry.parameters")
    assert told.evidence["fault"] == "the journey takes no parameter 'reason'; declared are: none"


async def test_too_many_journeys_in_a_row_without_a_wait_end_with_a_reason(spine: Spine) -> None:
    links = LONGEST_CHAIN + 2
    journeys = {
        f"j{number}": f"enter: {{api: {{}}}}\nsteps: [{{start: next, journey: j{number + 1}}}]\n"
        for number in range(1, links)
    }
    first = "enter: {event: added}\nsteps: [{start: next, journey: j1}]\n"
    spine.publish(first=first, **journeys, **{f"j{links}": NAP})
    await spine.feed("added")
    runs = [row for row in spine.rows(RunRow) if row.journey != "first"]
    assert {row.journey for row in runs} == {f"j{number}" for number in range(1, LONGEST_CHAIN + 1)}
    assert {row.outcome for row in runs} == {"completed"}
    (stopped,) = spine.rows(DecisionRow, reason="entry.chain")
    assert (stopped.journey, stopped.evidence["chain"]) == (f"j{LONGEST_CHAIN + 1}", LONGEST_CHAIN)


async def test_a_chain_that_sleeps_begins_anew(spine: Spine) -> None:
    spine.publish(
        first="enter: {event: added}\nsteps: [{start: next, journey: second}]\n",
        second="enter: {api: {}}\nsteps: [{wait: night, for: 1d}, {start: next, journey: third}]\n",
        third=NAP,
    )
    await spine.feed("added")
    assert spine.run(journey="second").variables.get("chain", 0) == 0
    spine.clock.advance(DAY)
    await spine.carry_all()
    (entered,) = spine.rows(DecisionRow, kind="entry", journey="third")
    assert entered.evidence["started_by"]["chain"] == 1


async def test_a_parent_whose_own_leave_hears_the_start_leaves_and_what_it_started_stays(
    spine: Spine,
) -> None:
    spine.publish(
        parent="""
        enter: {event: added, reentry: never}
        leave: [{event: journey_requested}]
        steps:
          - {start: further, journey: child}
          - {wait: night, for: 1d}
        """,
        child=NAP,
    )
    (carried,) = await spine.feed("added")
    assert (carried.status, carried.outcome) == ("ended", "left")
    assert spine.run(journey="child").status == "active"
    assert spine.run(journey="child").durable


OPEN_CHILD = """
    enter:
      event: viewed
      when: {event.price: {gte: 100}}
      reentry: always
      also:
        - api: {parameters: {reason: {type: text, required: true}, level: {type: number}}}
          when: {event.level: {gte: 3}}
    steps:
      - branch: came_by
        cases:
          - when: {journey.entry.type: viewed}
            steps: [{send: looked, content: text, channels: [email]}]
      - {send: gift, content: text, channels: [email]}
    """


async def test_a_journey_entered_by_an_event_is_started_all_the_same(spine: Spine) -> None:
    spine.publish(parent=PARENT, child=OPEN_CHILD)
    await spine.feed("added")
    assert spine.post.delivered == ["hello", "bye", "gift"]
    await spine.feed("viewed", price=120)
    assert spine.post.delivered == ["hello", "bye", "gift", "looked", "gift"]
    await spine.feed("viewed", price=20)
    assert refused(spine) == [("child", "entry.no_match")]


async def test_the_condition_of_one_way_in_says_nothing_of_the_other(spine: Spine) -> None:
    parent = PARENT.replace("level: 3", "level: 2")
    spine.publish(parent=parent, child=OPEN_CHILD)
    await spine.feed("added")
    assert spine.post.delivered == ["hello", "bye"]
    (no,) = spine.rows(DecisionRow, reason="entry.no_match", journey="child")
    assert no.evidence["rule"] == "entry:child/also[0]#journey_requested"
    assert no.evidence["tests"][0] == "+ event.journey  (was child, wanted eq child)"
