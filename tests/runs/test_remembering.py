"""What runs keep of events in the store: what is named, read again, and taken over to other versions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from engine.journeys.program import InFlight
from engine.store.tables import DecisionRow

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

DAY = timedelta(days=1)
MIGRATE = {"trip": InFlight.MIGRATE}
REMEMBERS = """
    enter: {event: viewed, reentry: always}
    steps:
      - {wait: night, for: 1d}
      - wait_for: again
        event: viewed
        when: {event.price: {gt: {fact: journey.entry.price}}}
        up_to: 2d
      - branch: dearer
        cases:
          - when: {journey.events.again.price: {gte: 50}, journey.entry.price: {lt: 50}}
            steps: [{send: dear, content: text, channels: [email]}]
        else: [{send: cheap, content: text, channels: [email]}]
    """


def kept(spine: Spine) -> tuple[object, object]:
    variables = spine.run().variables
    return variables.get("entry"), variables.get("events")


async def test_a_run_keeps_what_its_journey_names_and_nothing_else(spine: Spine) -> None:
    spine.publish(trip=REMEMBERS)
    await spine.feed("viewed", price=20, colour="red")
    assert kept(spine) == ({"price": 20}, None)
    spine.clock.advance(DAY)
    await spine.carry_all()
    await spine.feed("viewed", price=10)
    assert spine.run().position == "again"
    await spine.feed("viewed", price=60, colour="blue")
    await spine.carry_all()
    assert kept(spine) == ({"price": 20}, {"again": {"price": 60}})
    assert spine.post.delivered == ["dear"]
    (told,) = spine.rows(DecisionRow, reason="run.branched")
    (case,) = told.evidence["cases"]
    assert "journey.events.again.price  (was 60, wanted gte 50)" in "\n".join(case["tests"])


async def test_an_event_that_came_before_the_wait_was_written_is_remembered_too(spine: Spine) -> None:
    spine.publish(trip=REMEMBERS.replace("      - {wait: night, for: 1d}\n", ""))
    spine.accept("viewed", price=20)
    spine.accept("viewed", price=60)
    await spine.carry_all()
    assert kept(spine) == ({"price": 20}, {"again": {"price": 60}})
    assert spine.post.delivered == ["dear"]


async def test_a_wait_that_ends_in_vain_remembers_nothing(spine: Spine) -> None:
    spine.publish(trip=REMEMBERS)
    await spine.feed("viewed", price=20)
    for _ in range(3):
        spine.clock.advance(DAY)
        await spine.carry_all()
    assert spine.post.delivered == ["cheap"]
    assert kept(spine) == ({"price": 20}, None)


async def test_another_version_asks_the_event_again(spine: Spine) -> None:
    spine.publish(trip=REMEMBERS)
    await spine.feed("viewed", price=20, colour="red")
    asks = REMEMBERS.replace("journey.entry.price: {lt: 50}}", "journey.entry.type: viewed}")
    spine.publish_with(MIGRATE, trip=asks.replace("{wait: night, for: 1d}", "{wait: night, for: 2d}"))
    await spine.take_over()
    assert kept(spine) == ({"price": 20, "type": "viewed"}, None)


async def test_texts_and_conditions_say_the_same_of_an_event(spine: Spine) -> None:
    spine.publish(trip=REMEMBERS)
    await spine.feed("viewed", price=20)
    spine.clock.advance(DAY)
    await spine.carry_all()
    await spine.feed("viewed", price=60)
    await spine.carry_all()
    intent = spine.intent("dear")
    assert intent.variables["journey"]["entry"] == {"price": 20}
    assert intent.variables["journey"]["events"] == {"again": {"price": 60}}
