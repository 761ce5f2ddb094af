"""Rounds beside each other, beside timers and events, and rounds that die: everybody is taken over once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from engine.clock import Clocks
from engine.contacts.profile import Profile
from engine.governance.in_flight import LEASE, PAGE, SETTLED, PeopleKeeper
from engine.journeys.program import InFlight
from engine.runs.migrating import Migrated, Migrating
from engine.runs.states import LockedRun
from engine.store.in_flight import Order
from engine.store.tables import DecisionRow, InFlightRow, RunRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tests.runs.conftest import Spine

MANY = PAGE + 20
SLEEPS = """
    enter: {event: added, reentry: always}
    steps:
      - {wait: night, for: 3d}
      - {send: two, content: text, channels: [email]}
    """


async def fall_asleep(spine: Spine, many: int) -> None:
    spine.publish(trip=SLEEPS)
    for number in range(many):
        await spine.feed("added", who=f"p{number}")


def times_moved(spine: Spine) -> Counter[str | None]:
    return Counter(row.run_id for row in spine.rows(DecisionRow, reason="run.moved"))


async def test_rounds_timers_and_events_side_by_side_take_everybody_over_once(spine: Spine) -> None:
    await fall_asleep(spine, MANY)
    published = spine.publish_with({"trip": InFlight.MIGRATE}, trip=SLEEPS.replace("3d", "2d"))
    spine.clock.advance(timedelta(days=2))
    others = [PeopleKeeper(spine.store, spine.shelf, spine.clock) for _ in range(2)]
    runs = spine.rows(RunRow)

    async def rounds(keeper: PeopleKeeper) -> None:
        for _ in range(6):
            await keeper.take_over()

    async def timers() -> None:
        for row in runs[::7]:
            await spine.runs.carry(row.id, durable=True)

    async def events() -> None:
        for number in range(0, MANY, 11):
            await asyncio.to_thread(spine.accept, "viewed", who=f"p{number}", price=1)

    await asyncio.gather(*map(rounds, others), timers(), events())
    await spine.take_over()
    assert {row.bundle_hash for row in spine.rows(RunRow)} == {published.hash}
    assert times_moved(spine) == dict.fromkeys((row.id for row in runs), 1)
    await spine.carry_all()
    assert {row.outcome for row in spine.rows(RunRow)} == {"completed"}
    assert len(spine.post.delivered) == MANY
    spine.clock.advance(SETTLED)
    await spine.take_over()
    (order,) = spine.rows(InFlightRow)
    assert order.finished_because == "done"
    assert order.moved <= MANY


class Death(BaseException):
    """The end of a process: nothing catches it."""


class Dying(Migrating):
    """Dies in the middle of a page."""

    left = 30

    def migrate(
        self,
        session: Session,
        contact: Profile,
        row: LockedRun,
        clocks: Clocks,
        order: Order,
        cause: Any = None,
        *,
        is_asked: bool = False,
    ) -> Migrated | None:
        self.left -= 1
        if not self.left:
            raise Death
        return super().migrate(session, contact, row, clocks, order, cause, is_asked=is_asked)


async def test_a_round_that_dies_is_gone_on_with_when_its_lease_has_passed(spine: Spine) -> None:
    await fall_asleep(spine, 40)
    published = spine.publish_with({"trip": InFlight.MIGRATE}, trip=SLEEPS.replace("3d", "2d"))
    dying = PeopleKeeper(spine.store, spine.shelf, spine.clock)
    dying._migrating = Dying(spine.shelf)
    with pytest.raises(Death):
        await dying.take_over()
    assert times_moved(spine) == {}
    assert await spine.people.take_over() == 0
    spine.clock.advance(LEASE)
    await spine.take_over()
    assert {row.bundle_hash for row in spine.rows(RunRow)} == {published.hash}
    assert set(times_moved(spine).values()) == {1}


async def test_a_later_publish_takes_the_place_of_an_order_that_is_not_done(spine: Spine) -> None:
    await fall_asleep(spine, 5)
    migrate = {"trip": InFlight.MIGRATE}
    spine.publish_with(migrate, trip=SLEEPS.replace("3d", "2d"))
    last = spine.publish_with(migrate, trip=SLEEPS.replace("3d", "4d"))
    await spine.take_over()
    assert {row.bundle_hash for row in spine.rows(RunRow)} == {last.hash}
    assert set(times_moved(spine).values()) == {1}
    assert [row.finished_because for row in spine.rows(InFlightRow)] == ["replaced", None]


async def test_who_stands_on_what_is_in_force_again_is_left_there(spine: Spine) -> None:
    await fall_asleep(spine, 5)
    first = {row.bundle_hash for row in spine.rows(RunRow)}
    spine.publish_with({"trip": InFlight.MIGRATE}, trip=SLEEPS.replace("3d", "2d"))
    spine.publish(trip=SLEEPS)
    await spine.take_over()
    assert {row.bundle_hash for row in spine.rows(RunRow)} == first
    assert [row.finished_because for row in spine.rows(InFlightRow)] == ["restored"]


async def test_nobody_is_moved_who_entered_after_the_publish(spine: Spine) -> None:
    await fall_asleep(spine, 2)
    spine.publish_with({"trip": InFlight.MIGRATE}, trip=SLEEPS.replace("3d", "2d"))
    await spine.feed("added", who="late")
    before = {row.id for row in spine.rows(RunRow, revision=1)}
    await spine.take_over()
    (late,) = (row for row in spine.rows(RunRow) if row.id in before and row.revision == 1)
    assert times_moved(spine)[late.id] == 0
    assert sum(times_moved(spine).values()) == 2
