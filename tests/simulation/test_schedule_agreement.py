"""Schedules fire the same in SQL and in virtual time: the same people, moments and decisions."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlmodel import col

from engine.authoring.loading import bundle_of
from engine.clock import FixedClock
from engine.delivery.service import Delivery
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.scheduling import Schedules
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import load_registry
from engine.runs.service import Runs
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ContactRow, DecisionRow, ScheduleRow

START = datetime(2026, 3, 27, 3, 0, tzinfo=UTC)  # two days before Berlin changes its clocks
HEAD = "kind: {kind}\nid: {id}\ntitle: t\nowner: us\n"
ZONES = {"ann": "Europe/Berlin", "bob": None, "eve": "America/New_York"}
FILES = {
    "wayline.yaml": HEAD.format(kind="workspace", id="default")
    + "timezone: Asia/Shanghai\nlocales: [en]\nidentities: [email]\n",
    "purposes.yaml": HEAD.format(kind="purposes", id="p")
    + 'purposes: [{id: service, title: s, version: "1", kind: transactional, max_hold: 1d}]\n',
    "office.yaml": HEAD.format(kind="calendar", id="office")
    + 'hours: [{days: [mon, tue, wed, thu, fri], from: "09:00", to: "18:00"}]\n'
    + 'holidays: [{date: "2026-03-30", title: h, source: test}]\n',
}
Story = list[tuple[datetime, str | None, str]]


def files(cron: str, zone: str, reentry: str, days: str) -> dict[str, str]:
    journey = HEAD.format(kind="journey", id="clock") + "purpose: service\n"
    journey += f'enter: {{schedule: {{cron: "{cron}", timezone: {zone}{days}}}, reentry: {reentry}}}\n'
    return {**FILES, "clock.yaml": journey + "steps: [{tag: note, add: [seen]}]\n"}


@settings(max_examples=8)
@given(
    cron=st.sampled_from(["0 10 * * *", "30 2 * * *", "0 */6 * * *", "15 9 * * mon,tue"]),
    zone=st.sampled_from(["contact", "workspace", "Europe/Berlin"]),
    reentry=st.sampled_from(["never", "always", "{after: 1d}", "{once_per: event.fires_at}"]),
    days=st.sampled_from(["", ", only: {workdays: office}", ", not_on: {holidays: office}"]),
)
def test_sql_and_virtual_time_fire_the_same(
    cron: str, zone: str, reentry: str, days: str, _sqlite_template: Path
) -> None:
    made = files(cron, zone, reentry, days)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            in_sql = asyncio.run(live_in_sql(store, made))
    assert in_sql == asyncio.run(live_in_memory(made))


async def live_in_memory(made: dict[str, str]) -> dict[str, Story]:
    world = VirtualWorld(bundle_of(made), START)
    world.add(*(Person(name, timezone=zone) for name, zone in ZONES.items()))
    await world.run_until(START + timedelta(days=5))
    world.close()
    stories: dict[str, Story] = {name: [] for name in ZONES}
    for decided in world.decisions:
        stories[decided.contact_id].append((decided.at, decided.journey, decided.reason))
    return stories


async def live_in_sql(store: Store, made: dict[str, str]) -> dict[str, Story]:
    clock, shelf = FixedClock(START), BundleShelf()
    registry = load_registry(entry_points=False, extra=[RecordingChannel()])
    delivery = Delivery(store, shelf, registry, clock, public_url="http://here", secret="s")
    runs = Runs(store, shelf, delivery, clock)
    schedules = Schedules(store, shelf, Intake(store, shelf, runs, clock), runs, clock)
    with store.begin() as session:
        publish(session, made, by="test", now=START)
        for name, zone in ZONES.items():
            session.add(ContactRow(id=name, created_at=START, timezone=zone))
    while clock.moment <= START + timedelta(days=5):
        while await schedules.fire_due():
            pass
        with store.read() as session:
            coming = session.scalar(select(func.min(col(ScheduleRow.next_at))))
        assert coming is not None
        clock.moment = coming
    shelf.close()
    stories: dict[str, Story] = {name: [] for name in ZONES}
    with store.read() as session:
        for row in session.scalars(select(DecisionRow).order_by(col(DecisionRow.id))):
            stories[row.contact_id].append((row.at, row.journey, row.reason))
    return stories
