"""People who turn out to be one: SQL and virtual time do the same, and nobody gets too much."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from engine.contacts.consent import verify_chain
from engine.intake.incoming import IncomingEvent
from engine.intake.merging import Merger
from engine.simulation.virtual import VirtualWorld
from engine.store.database import Store
from engine.store.tables import CapPlaceRow, ContactRow, IntentRow, MergeRow, RunRow
from tests.simulation.small_workspace import DAY, PEOPLE, START
from tests.simulation.test_consent_agreement import bundle, lives
from tests.simulation.two_drivers import Happening, SqlLife, Story, because

MERGE = "(merge)"
merges = st.builds(
    Happening,
    pause=st.sampled_from([timedelta(minutes=1), timedelta(hours=5), timedelta(days=2)]),
    who=st.sampled_from([person.id for person in PEOPLE]),
    event=st.just(MERGE),
    properties=st.builds(lambda other: {"other": other}, st.sampled_from([person.id for person in PEOPLE])),
)


@st.composite
def mixed(draw: st.DrawFn) -> list[Happening]:
    """A life in which people turn out to be one now and then."""
    life = list(draw(lives))
    for merge in draw(st.lists(merges, min_size=1, max_size=3)):
        life.insert(draw(st.integers(0, len(life))), merge)
    return life


async def live_in_memory(life: list[Happening]) -> dict[str, list[Story]]:
    world = VirtualWorld(bundle(), START)
    world.add(*PEOPLE)
    at = START
    for happening in life:
        at += happening.pause
        if happening.event == MERGE:
            world.merge(happening.who, happening.properties["other"], at)
        else:
            world.feed(happening.who, happening.event, at, happening.properties)
    await world.run_until(at + 20 * DAY)
    world.close()
    stories: dict[str, list[Story]] = {person.id: [] for person in PEOPLE}
    for each in world.decisions:
        stories[each.contact_id].append(
            (
                *(each.at, each.kind, each.journey, each.step, each.channel, each.verdict, each.reason),
                because(each.evidence),
                each.hold_until,
            )
        )
    return stories


class MergingLife(SqlLife):
    """Production, in which an operator merges people now and then."""

    async def live(self, life: list[Happening]) -> dict[str, list[Story]]:
        merger = Merger(self.store, self.shelf, self.intake, self.clock)
        await self.carry_swept(self.sweeper.refresh_page(100))
        at = self.clock.now()
        for number, happening in enumerate(life):
            at += happening.pause
            await self.pass_time(at, inclusive=False)
            self.clock.moment = max(at, self.clock.moment)
            if happening.event == MERGE:
                other = happening.properties["other"]
                for run_id in merger.merge(happening.who, other, by="ana", reason="").run_ids:
                    await self.runs.carry(run_id)
            else:
                await self.take_in(number, happening)
            await self.carry_told()
        await self.pass_time(at + 20 * DAY, inclusive=True)
        self.shelf.close()
        return self.stories()

    async def take_in(self, number: int, happening: Happening) -> None:
        event = IncomingEvent(
            f"m{number}",
            happening.event,
            (),
            happening.properties,
            occurred_at=self.clock.now(),
            contact_id=happening.who,
        )
        receipt = self.intake.accept([event], source="simulation")
        assert (receipt.accepted, receipt.dead) == (1, 0)
        for run_id in receipt.run_ids:
            await self.runs.carry(run_id)


def must_be_sound(store: Store) -> None:
    """Nothing is lost or doubled, and across a merge nobody gets a second message on one day."""
    with store.read() as session:
        assert verify_chain(session) == []
        gone = {row.id: row.merged_into for row in session.scalars(select(ContactRow)) if row.merged_into}
        assert not gone.keys() & set(gone.values()), "chains end at once"
        for row in session.scalars(select(RunRow)):
            assert row.contact_id not in gone
        merged_at: dict[str, datetime] = {row.gone: row.at for row in session.scalars(select(MergeRow))}
        sends = session.scalars(
            select(CapPlaceRow)
            .where(col(CapPlaceRow.cap_id) == "breathing", col(CapPlaceRow.state) == "confirmed")
            .order_by(col(CapPlaceRow.at))
        ).all()
        for earlier, later in pairwise(sends):
            since = max(merged_at.get(each.merged_from or "", START) for each in (earlier, later))
            if later.contact_id == earlier.contact_id and later.at > since:
                assert later.at - earlier.at >= timedelta(hours=4)
        runs = {row.id: row.contact_id for row in session.scalars(select(RunRow))}
        for intent in session.scalars(select(IntentRow)):
            assert intent.run_id is None or runs[intent.run_id] == intent.contact_id


def told_apart(told: dict[str, list[Story]]) -> dict[str, Any]:
    return {person.id: told[person.id] for person in PEOPLE}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(life=mixed())
def test_sql_and_virtual_time_merge_the_same(life: list[Happening], _sqlite_template: Path) -> None:
    in_memory = told_apart(asyncio.run(live_in_memory(life)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            sql = MergingLife(store, bundle().files)
            in_sql = told_apart(asyncio.run(sql.live(life)))
            must_be_sound(store)
    for person in PEOPLE:
        for number, (one, other) in enumerate(zip_longest(in_sql[person.id], in_memory[person.id])):
            assert one == other, f"decision {number} about {person.id}"
