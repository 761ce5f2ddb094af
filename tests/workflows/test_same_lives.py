"""Lives made up from a seed, on Temporal with time that jumps and in virtual time: the same decisions.

Timers are Temporal's. An event comes at its moment: before a workflow is let past it, the installation takes
the event in and carries what it wakes, as dispatcher and signal would. So does a bundle that is published in
the middle of a life, under each policy for people on their way.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col
from temporalio import activity
from temporalio.testing import WorkflowEnvironment

from engine.authoring.bundle import Bundle
from engine.authoring.declared import with_declared
from engine.authoring.loading import load_files
from engine.clock import FixedClock, SystemClock
from engine.governance.publishing import publish
from engine.intake.segment import translate
from engine.journeys.driver import RunRef
from engine.journeys.program import InFlight
from engine.plugin.recording import RecordingAction
from engine.plugin.registry import load_registry
from engine.services import Services, build_services
from engine.settings import Settings
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld
from engine.store.control import ensure_control
from engine.store.tables import InFlightRow, OutboxRow, RunRow
from plugins.channels import file
from plugins.generators import template
from tests.workflows.test_same_decisions import (
    ANSWERED,
    SAID,
    START,
    Oceans,
    Seen,
    arm_in,
    decided,
    files,
    minute,
)
from workflows.activities import JourneyActivities
from workflows.driver import TemporalDriver
from workflows.messages import ADVANCE, AdvanceRequest, AdvanceResult

pytestmark = pytest.mark.temporal

ZONES = ("Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Europe/Berlin", "Pacific/Apia")
POLICIES = (InFlight.MIGRATE, InFlight.END, InFlight.PIN, InFlight.DRAIN)
IN_PASSING = 4
IN_EARNEST = 40
PUBLISHED = "something is published"
EDITS = {
    'days: 7, at: "10:00"': 'days: 9, at: "10:00"',
    "up_to: 5d": "up_to: 8d",
    "{send: third,": "{tag: renewed, add: [renewed]}, {send: third,",
    "{wait: a_fortnight, for: 2w,": "{tag: patient, add: [patient]}\n  - {wait: a_fortnight, for: 3w,",
}
"""What the next version of the journey says instead. Waits become longer only: of what is due sooner a
workflow learns by a signal, and none can be sent while time jumps."""

DECLARING = load_registry(entry_points=False, extra=[Oceans()])


def compiled(files: Mapping[str, str]) -> Bundle:
    bundle = load_files(files, declared_by=DECLARING).bundle
    assert bundle is not None
    return bundle


@dataclass(frozen=True)
class Happens:
    after: timedelta
    event: str


@dataclass(frozen=True)
class Life:
    zone: str
    happens: tuple[Happens, ...]
    policy: InFlight
    """For people on their way when the next version is published."""


def life(seed: int) -> Life:
    """Replies at any time of a month and a half, now and then a withdrawal and a second consent."""
    dice = random.Random(seed)
    kinds = ["message_replied"] * dice.randrange(1, 5)
    if dice.random() < 0.3:
        kinds += ["consent_withdrawn", "consent_granted"][: dice.randrange(1, 3)]
    # In the middle of a minute: a server takes a moment for everything it does.
    moments = sorted(dice.sample(range(60, 45 * 24 * 60), len(kinds)))
    happens = [
        Happens(timedelta(minutes=at, seconds=30), kind) for at, kind in zip(moments, kinds, strict=True)
    ]
    zone = dice.choice(ZONES)
    if seed % 2:
        happens.append(Happens(timedelta(minutes=dice.randrange(60, 30 * 24 * 60), seconds=45), PUBLISHED))
    happens.sort(key=lambda each: each.after)
    return Life(zone, tuple(happens), POLICIES[seed // 2 % len(POLICIES)])


def edited() -> dict[str, str]:
    """The workspace with the next version of the journey."""
    found = dict(files())
    for old, new in EDITS.items():
        assert old in found["month.yaml"], old
        found["month.yaml"] = found["month.yaml"].replace(old, new)
    return found


class LivingAdvance:
    """The real `advance` in an installation to which events come at their moments."""

    def __init__(self, services: Services, clock: FixedClock, lived: Life) -> None:
        self._real = JourneyActivities(services.runs, SystemClock())
        self._services = services
        self._clock = clock
        self._begun = clock.now()
        self._coming = list(lived.happens)
        self._policy = lived.policy

    @activity.defn(name=ADVANCE)
    async def advance(self, request: AdvanceRequest) -> AdvanceResult:
        while self._coming and self._begun + self._coming[0].after <= request.now:
            await self._happen(self._coming.pop(0))
        self._clock.moment = max(self._clock.moment, request.now)
        return await self._real.advance(request)

    async def _happen(self, happens: Happens) -> None:
        services = self._services
        self._clock.moment = max(self._clock.moment, self._begun + happens.after)
        if happens.event == PUBLISHED:
            await self._publish()
        else:
            await self._hear(happens)
        for run_id in self._told():
            await services.runs.carry(run_id, durable=True)

    async def _publish(self) -> None:
        """Put the next version in force, and take people over as the dispatcher does it."""
        store, now = self._services.store, self._clock.now()
        with store.begin() as session:
            policies = {"month": self._policy}
            publish(
                session,
                with_declared(edited(), DECLARING),
                by="test",
                now=now,
                policies=policies,
                shelf=self._services.shelf,
            )
            for row in session.scalars(select(InFlightRow)):
                row.ready_at = now
        while await self._services.people.take_over():
            pass

    async def _hear(self, happens: Happens) -> None:
        services = self._services
        message = {
            "type": "track",
            "event": happens.event,
            "messageId": f"{happens.event}{happens.after}",
            "userId": "ann",
            "properties": {"purpose": "marketing"},
        }
        receipt = services.intake.accept([translate(message)], source="test")
        assert (receipt.accepted, receipt.dead) == (1, 0)
        for run_id in receipt.run_ids:
            await services.runs.carry(run_id)

    def _told(self) -> list[str]:
        """The runs that the outbox has signals for; the signals stay where they are."""
        with self._services.store.read() as session:
            query = select(col(OutboxRow.key)).where(
                col(OutboxRow.kind) == "run.signal", col(OutboxRow.done_at).is_(None)
            )
            return list(dict.fromkeys(session.scalars(query)))


async def on_temporal(
    environment: WorkflowEnvironment, services: Services, working: Any, lived: Life
) -> list[Seen]:
    clock = services.clock
    assert isinstance(clock, FixedClock)

    async def client() -> Any:
        return environment.client

    services.driver = TemporalDriver(client)
    living = LivingAdvance(services, clock, lived)
    async with working(environment.client, living.advance):
        messages = [
            {
                "type": "track", "event": "consent_granted", "messageId": "consent", "userId": "ann",
                "properties": {"purpose": "marketing"},
                "context": {"timezone": lived.zone, "traits": {"app": "ann"}},
            },
            {"type": "track", "event": "contact_added", "messageId": "added", "userId": "ann"},
        ]  # fmt: skip
        receipt = services.intake.accept([translate(message) for message in messages], source="test")
        assert receipt.accepted == 2
        for run_id in receipt.run_ids:
            await services.runs.carry(run_id)
        await services.dispatcher.step()
        with services.store.read() as session:
            row = session.scalars(select(RunRow).where(col(RunRow.journey) == "month")).one()
        ref = RunRef(row.id, row.journey, row.contact_id, row.entry_key, row.version)
        await environment.client.get_workflow_handle(ref.workflow_id).result()
    return decided(services)


async def in_virtual_time(lived: Life, until: datetime) -> list[Seen]:
    world = VirtualWorld(compiled(files()), START, calls=SAID)
    world.add(Person("ann", identities={"app": "ann"}, consents=("marketing",), timezone=lived.zone))
    world.feed("ann", "contact_added", START)
    for happens in lived.happens:
        if happens.event == PUBLISHED:
            await world.run_until(START + happens.after)
            await world.publish(compiled(edited()), {"month": lived.policy})
        else:
            world.feed("ann", happens.event, START + happens.after, {"purpose": "marketing"})
    await world.run_until(until)
    world.close()
    return sorted(
        Seen(
            minute(made.at),
            made.kind,
            made.stage,
            made.verdict,
            made.reason,
            made.step or "",
            made.channel or "",
            arm_in(made.evidence),
        )
        for made in world.decisions
    )


@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param(range(IN_PASSING), id="few"),
        pytest.param(
            range(IN_PASSING, IN_EARNEST), id="many", marks=[pytest.mark.long, pytest.mark.timeout(3600)]
        ),
    ],
)
async def test_lives_on_temporal_and_in_virtual_time_are_the_same_decisions(
    seeds: range,
    skipping: WorkflowEnvironment,
    working: Any,
    tmp_path: Path,
    _sqlite_template: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_LETTERS", str(tmp_path / "letters"))
    reasons: set[str] = set()
    for seed in seeds:
        lived = life(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        shutil.copyfile(_sqlite_template, folder / "wayline.db")
        clock = FixedClock(SystemClock().now())
        settings = Settings(data_dir=folder, database_url=f"sqlite:///{folder / 'wayline.db'}")
        action = RecordingAction(results=ANSWERED)
        registry = load_registry(entry_points=False, extra=[file, template, action, Oceans()])
        services = build_services(settings, clock=clock, registry=registry)
        with services.store.begin() as session:
            ensure_control(session, clock.now(), journey_origin=START)
            publish(session, with_declared(files(), DECLARING), by="test", now=clock.now())
        try:
            real = await on_temporal(skipping, services, working, lived)
        finally:
            await services.close()
        assert real == await in_virtual_time(lived, START + timedelta(days=120)), f"seed {seed}: {lived}"
        reasons |= {seen.reason for seen in real}
    assert {"sent.accepted", "run.stopped", "run.completed", "run.moved"} <= reasons
