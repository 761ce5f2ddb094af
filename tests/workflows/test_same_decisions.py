"""A month on Temporal, with time that jumps, and in virtual time: the same decisions, minute by minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col
from temporalio import activity
from temporalio.testing import WorkflowEnvironment

from engine.authoring.declared import with_declared
from engine.authoring.loading import load_files
from engine.clock import FixedClock, SystemClock
from engine.governance.publishing import publish
from engine.intake.segment import translate
from engine.journeys.driver import RunRef
from engine.journeys.run import CallOutcome
from engine.plugin import ContactFact, Done, EventKind, Failed, Known, Retry, hookimpl
from engine.plugin.recording import RecordingAction
from engine.plugin.registry import load_registry
from engine.runs.service import Runs
from engine.services import Services, build_services
from engine.settings import Settings
from engine.simulation.calling import SaidCall
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld
from engine.store.control import ensure_control
from engine.store.tables import CallRow, DecisionRow, IntentRow, RunRow
from plugins.channels import file
from plugins.generators import template
from workflows.activities import JourneyActivities
from workflows.driver import TemporalDriver
from workflows.messages import ADVANCE, AdvanceRequest, AdvanceResult

pytestmark = pytest.mark.temporal

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
"""New York puts its clocks forward seven days later."""

WORKSPACE = {
    "wayline.yaml": """
        kind: workspace
        id: month
        title: month
        owner: tests
        timezone: Asia/Shanghai
        locales: [en]
        identities: [app]
    """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: tests
        purposes:
          - {id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 3d}
    """,
    "caps.yaml": """
        kind: caps
        id: caps
        title: caps
        owner: tests
        caps:
          - {id: three, counts: {purpose: marketing}, limit: 3, window: {rolling: 30d}, when_full: skip}
    """,
    "channels.yaml": """
        kind: channels
        id: channels
        title: channels
        owner: tests
        channels:
          - {id: letter, plugin: file, identity: app, settings: {folder: {env: TEST_LETTERS}}}
    """,
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: tests
        contents:
          - {id: text, locales: {en: {body: "good day"}}}
    """,
    "beside.yaml": """
        kind: journey
        id: beside
        title: beside
        owner: tests
        purpose: marketing
        enter:
          event: contact_deleted
          also: [{api: {parameters: {why: {type: text, required: true}}}}]
        steps:
          - {set: came, values: {why: {fact: journey.entry.why}}}
          - branch: came_by
            cases:
              - {when: {journey.values.why: month, journey.entry.type: journey_requested}, steps: []}
            else: [{tag: mark, add: [reached]}]
    """,
    "actions.yaml": """
        kind: actions
        id: actions
        title: actions
        owner: tests
        actions:
          - {id: points, plugin: recording}
    """,
    "office.yaml": """
        kind: calendar
        id: office
        title: office
        owner: tests
        hours: [{days: [mon, tue, wed, thu, fri], from: "09:00", to: "18:00"}]
    """,
    "month.yaml": """
        kind: journey
        id: month
        title: month
        owner: tests
        purpose: marketing
        enter: {event: contact_added, when: {calendar.office: false}, reentry: never}
        steps:
          - {send: first, content: text, channels: [letter]}
          - experiment: tone
            stratify_by: [contact.timezone]
            arms:
              - {id: warm, weight: 2, steps: [{tag: warmed, add: [warm]}]}
              - {id: dry, weight: 1}
          - {wait: a_week, days: 7, at: "10:00"}
          - branch: where
            cases:
              - {when: {contact.ocean: pacific}, steps: [{tag: sailed, add: [pacific]}]}
              - {when: {contact.ocean: atlantic}, steps: [{tag: crossed, add: [atlantic]}]}
          - {send: second, content: text, channels: [letter]}
          - {call: points, action: points, values: {points: 5}, results: {balance: number}}
          - {call: no_points, action: points, failed: [{tag: unlucky, add: [unlucky]}]}
          - branch: rich
            cases:
              - {when: {journey.results.points.balance: {gte: 5}}, steps: [{tag: note, add: [rich]}]}
          - wait_for: reply
            event: message_replied
            up_to: 5d
            then:
              - branch: heard
                cases:
                  - when: {journey.events.reply.type: message_replied, journey.entry.type: contact_added}
                    steps: [{stop: answered}]
            otherwise: [{send: third, content: text, channels: [letter]}]
          - repeat: twice
            times: 2
            steps: [{wait: eleven, at: "11:00"}]
          - {start: beside, journey: beside, values: {why: month}}
          - {start: again, journey: beside, values: {why: month}}
          - repeat: until_late
            while: {journey.rounds.until_late: {lt: 3}}
            at_most: 5
            steps: [{wait: hours, for: 5h}]
          - {wait: a_fortnight, for: 2w, at: "18:30", weekdays: [mon, thu]}
          - send: fourth
            content: text
            channels: [letter]
            outcomes:
              capped:
                - {wait: a_breath, for: 3d}
                - {send: late, content: text, channels: [letter]}
    """,
}
SECOND = timedelta(seconds=1)
ZONES = ["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"]


@dataclass(frozen=True, order=True)
class Seen:
    """What is compared of a decision."""

    at: datetime
    kind: str
    stage: str
    verdict: str
    reason: str
    step: str
    channel: str
    arm: str


class JumpingAdvance:
    """The real `advance`, in an installation whose clock is that of the workflow that asks."""

    def __init__(self, runs: Runs, clock: FixedClock) -> None:
        self._real = JourneyActivities(runs, SystemClock())
        self._clock = clock

    @activity.defn(name=ADVANCE)
    async def advance(self, request: AdvanceRequest) -> AdvanceResult:
        self._clock.moment = max(self._clock.moment, request.now)
        return await self._real.advance(request)


class Oceans:
    """A plugin with a fact that a branch asks for, and with the event type that a wait is for."""

    @hookimpl
    def register_facts(self) -> list[ContactFact]:
        return [ContactFact("ocean", "text", "the nearest ocean", ("timezone",), self.nearest)]

    @hookimpl
    def register_event_types(self) -> list[EventKind]:
        return [EventKind("message_replied", "a reply", {"type": "object"})]

    @staticmethod
    def nearest(known: Mapping[str, Known]) -> str | None:
        near = {"Asia/Shanghai": "pacific", "America/New_York": "atlantic"}
        return near.get(str(known.get("timezone")))


def files() -> Mapping[str, str]:
    return {name: dedent(text).lstrip("\n") for name, text in WORKSPACE.items()}


def minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


SAID = (SaidCall("points", results={"balance": 5}), SaidCall("no_points", CallOutcome.FAILED))
ANSWERED = (Done({"balance": 5}), Failed("no_account"))
"""How both calls end, in virtual time and by the action itself."""


async def in_virtual_time(zone: str) -> list[Seen]:
    bundle = load_files(files(), declared_by=load_registry(entry_points=False, extra=[Oceans()])).bundle
    assert bundle is not None
    world = VirtualWorld(bundle, START, calls=SAID)
    world.add(Person("ann", identities={"app": "ann"}, consents=("marketing",), timezone=zone))
    world.feed("ann", "contact_added", START)
    await world.run_until(START + timedelta(days=60))
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


async def on_temporal(
    environment: WorkflowEnvironment, services: Services, working: Any, zone: str
) -> list[Seen]:
    clock = services.clock
    assert isinstance(clock, FixedClock)

    async def client() -> Any:
        return environment.client

    services.driver = TemporalDriver(client)
    async with working(environment.client, JumpingAdvance(services.runs, clock).advance):
        messages = [
            {
                "type": "track", "event": "consent_granted", "messageId": "consent", "userId": "ann",
                "properties": {"purpose": "marketing"},
                "context": {"timezone": zone, "traits": {"app": "ann"}},
            },
            {"type": "track", "event": "contact_added", "messageId": "added", "userId": "ann"},
        ]  # fmt: skip
        receipt = services.intake.accept([translate(message) for message in messages], source="test")
        assert (receipt.accepted, receipt.notes) == (2, ())
        for run_id in receipt.run_ids:
            await services.runs.carry(run_id)
        await services.dispatcher.step()
        with services.store.read() as session:
            row = session.scalars(select(RunRow)).one()
        ref = RunRef(row.id, row.journey, row.contact_id, row.entry_key, row.version)
        await environment.client.get_workflow_handle(ref.workflow_id).result()
    return decided(services)


def arm_in(evidence: Mapping[str, Any]) -> str:
    """The arm that a decision is about, and the place in its stratum."""
    return f"{evidence['arm']} at {evidence['place_in_stratum']}" if "arm" in evidence else ""


def decided(services: Services) -> list[Seen]:
    key = col(DecisionRow.intent_key)
    query = (
        select(DecisionRow, col(IntentRow.step_id), col(CallRow.step_id))
        .outerjoin(IntentRow, col(IntentRow.key) == key)
        .outerjoin(CallRow, col(CallRow.key) == key)
    )
    with services.store.read() as session:
        return sorted(
            Seen(
                minute(row.at),
                row.kind,
                row.stage,
                row.verdict,
                row.reason,
                step or called or "",
                row.channel or "",
                arm_in(row.evidence),
            )
            for row, step, called in session.execute(query)
        )


@pytest.mark.parametrize("zone", ZONES)
async def test_a_month_on_temporal_and_in_virtual_time_are_the_same_decisions(
    zone: str,
    skipping: WorkflowEnvironment,
    working: Any,
    tmp_path: Path,
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_LETTERS", str(tmp_path / "letters"))
    clock = FixedClock(SystemClock().now())
    # The first try is told to come back: without a dispatcher the workflow itself makes the second one.
    action = RecordingAction(results=[Retry(SECOND), *ANSWERED])
    registry = load_registry(entry_points=False, extra=[file, template, action, Oceans()])
    settings = Settings(data_dir=tmp_path, database_url=sqlite_url)
    services = build_services(settings, clock=clock, registry=registry)
    with services.store.begin() as session:
        ensure_control(session, clock.now(), journey_origin=START)
        publish(session, with_declared(files(), registry), by="test", now=clock.now())
    try:
        real = await on_temporal(skipping, services, working, zone)
    finally:
        await services.close()
    tries = [seen for seen in real if seen.reason == "call.retry"]
    assert [seen.step for seen in tries] == ["points"]
    assert [seen for seen in real if seen not in tries] == await in_virtual_time(zone)
    assert [seen.step for seen in real if seen.reason == "sent.accepted"] == [
        "first",
        "second",
        "third",
        "late",
    ]
    assert max(seen.at for seen in real) > START + timedelta(days=30)
