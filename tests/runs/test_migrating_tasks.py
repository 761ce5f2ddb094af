"""Tasks that people were given before their journey changed; on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.runs.deciding import decide
from engine.store.tables import TaskRow
from tests.runs.trips import DAY, MIGRATE

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

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
