"""Tasks for people on Temporal: a decision wakes the workflow, a deadline does so by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from engine.authoring.loading import bundle_of
from engine.clock import FixedClock, SystemClock
from engine.governance.publishing import publish
from engine.intake.segment import translate
from engine.journeys.driver import RunRef
from engine.journeys.lanes import Lane
from engine.runs.deciding import decide
from engine.services import Services, build_services
from engine.settings import Settings
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld
from engine.store.control import ensure_control
from engine.store.tables import DecisionRow, RunRow, TaskRow
from tests.workflows.test_same_decisions import JumpingAdvance
from workflows.driver import TemporalDriver

pytestmark = pytest.mark.temporal

LANES = (Lane.NORMAL, Lane.HUMAN)
START = datetime(2026, 3, 6, 8, 0, tzinfo=UTC)
"""Friday, 16:00 in Shanghai."""
WORKSPACE = {
    "wayline.yaml": """
        kind: workspace
        id: care
        title: care
        owner: tests
        timezone: Asia/Shanghai
        locales: [en]
        identities: [app]
        queues: {support: {title: Support}, seniors: {title: Seniors}}
    """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: tests
        purposes:
          - {id: service, title: service, version: "1", kind: transactional, max_hold: 3d}
    """,
    "office.yaml": """
        kind: calendar
        id: office
        title: office
        owner: tests
        hours: [{days: [mon, tue, wed, thu, fri], from: "09:00", to: "17:00"}]
    """,
    "care.yaml": """
        kind: journey
        id: care
        title: care
        owner: tests
        purpose: service
        enter: {event: contact_added}
        steps:
          - ask: call
            queue: support
            question: Call?
            choices: [{id: solved, title: Solved, steps: [{stop: fine}]}, {id: open, title: Not yet}]
            deadline: 3h
            calendar: office
            otherwise: [{tag: missed, add: [missed]}]
          - branch: hours
            cases:
              - {when: {calendar.office: true}, steps: [{tag: by_day, add: [by_day]}]}
          - ask: senior
            queue: seniors
            question: Take over?
            choices: [{id: done, title: Done}]
            deadline: 30h
    """,
}
Told = tuple[datetime, str, str, str]


def files() -> Mapping[str, str]:
    return {name: dedent(text).lstrip("\n") for name, text in WORKSPACE.items()}


@pytest_asyncio.fixture
async def services(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Services]:
    clock = FixedClock(SystemClock().now())
    made = build_services(Settings(data_dir=tmp_path, database_url=sqlite_url), clock=clock)
    with made.store.begin() as session:
        ensure_control(session, clock.now(), journey_origin=START)
        publish(session, files(), by="test", now=clock.now())
    yield made
    await made.close()


async def begin(services: Services) -> str:
    """Let somebody in; the id of their run's workflow, which has been started."""
    message = {"type": "track", "event": "contact_added", "messageId": "added", "userId": "ann"}
    receipt = services.intake.accept([translate(message)], source="test")
    for run_id in receipt.run_ids:
        await services.runs.carry(run_id)
    await services.dispatcher.step()
    with services.store.read() as session:
        row = session.scalars(select(RunRow)).one()
    return RunRef(row.id, row.journey, row.contact_id, row.entry_key, row.version).workflow_id


def told(services: Services) -> list[Told]:
    with services.store.read() as session:
        rows = session.scalars(select(DecisionRow).order_by(col(DecisionRow.id)))
        return [(_minute(row.at), row.kind, row.verdict, row.reason) for row in rows]


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


async def test_a_decision_wakes_the_workflow_and_the_run_goes_its_way(
    client: Client, driver: TemporalDriver, working: Any, services: Services
) -> None:
    services.driver = driver
    clock = services.clock
    assert isinstance(clock, FixedClock)
    async with working(client, JumpingAdvance(services.runs, clock).advance, lanes=LANES):
        workflow = client.get_workflow_handle(await begin(services))
        with services.store.begin() as session:
            task = session.scalars(select(TaskRow)).one()
            decide(session, task.id, "solved", by="ana", now=clock.now())
        await services.dispatcher.step()
        ended = await workflow.result()
    assert ended["outcome"] == "stopped"
    assert [reason for *_, reason in told(services)][1:] == ["task.opened", "task.decided", "run.stopped"]


async def test_deadlines_pass_on_temporal_as_in_virtual_time(
    skipping: WorkflowEnvironment, working: Any, services: Services
) -> None:
    clock = services.clock
    assert isinstance(clock, FixedClock)

    async def client() -> Client:
        return skipping.client

    services.driver = TemporalDriver(client)
    async with working(skipping.client, JumpingAdvance(services.runs, clock).advance, lanes=LANES):
        ended = await skipping.client.get_workflow_handle(await begin(services)).result()
    world = VirtualWorld(bundle_of(files()), START)
    world.add(Person("ann"))
    world.feed("ann", "contact_added", START)
    await world.run_until(START + timedelta(days=9))
    world.close()

    assert ended["outcome"] == "completed"
    real = told(services)
    assert real == [(_minute(each.at), each.kind, each.verdict, each.reason) for each in world.decisions]
    # One hour is left on Friday, the rest is Monday morning; thirty hours later it is Tuesday.
    expired = [at for at, *_, reason in real if reason == "task.expired"]
    assert expired == [START + timedelta(hours=67), START + timedelta(hours=97)]
