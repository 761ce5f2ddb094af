"""An installation in this process: real services over a database, with journeys that wait in Temporal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

from sqlalchemy import select

from engine.clock import SystemClock
from engine.governance.publishing import publish
from engine.intake.segment import translate
from engine.journeys.driver import RunRef
from engine.services import Services, build_services
from engine.settings import Settings
from engine.store.control import ensure_control
from engine.store.tables import RunRow
from tests.workflows.conftest import eventually
from workflows.driver import TemporalDriver
from workflows.worker import run_worker

WORKSPACE = {
    "wayline.yaml": """
        kind: workspace
        id: carrying
        title: carrying
        owner: tests
        timezone: UTC
        locales: [en]
        identities: [app]
        attributes: {booked_for: {type: instant}}
    """,
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: tests
        events:
          - {id: opened, title: opened, schema: {type: object}}
          - {id: booked, title: booked, schema: {type: object}}
    """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: tests
        purposes:
          - {id: service, title: service, version: "1", kind: transactional, max_hold: 1d}
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
          - {id: hello, locales: {en: {body: "hello"}}}
          - {id: thanks, locales: {en: {body: "thanks"}}}
          - {id: pity, locales: {en: {body: "a pity"}}}
    """,
    "breakers.yaml": """
        kind: breakers
        id: breakers
        title: breakers
        owner: tests
        breakers:
          - id: send_failure
            scope: channel
            metric: send_failure_rate
            window: 10m
            min_samples: 4
            levels: {red: {gt: 40%}}
            recover: {probe_after: 5m, probes: 2, close_when: {lt: 5%}}
          - id: bounces
            scope: content
            metric: bounce_rate
            window: 10m
            min_samples: 3
            levels: {red: {gt: 40%}}
            recover: {probe_after: 1s, probes: 1, close_when: {lt: 5%}}
    """,
    "remind.yaml": """
        kind: journey
        id: remind
        title: remind
        owner: tests
        purpose: service
        enter: {event: booked, reentry: never}
        steps:
          - {wait: the_day, until: contact.booked_for}
          - {send: reminder, content: hello, channels: [letter]}
    """,
    "ask.yaml": """
        kind: journey
        id: ask
        title: ask
        owner: tests
        purpose: service
        enter: {event: contact_added, reentry: never}
        steps:
          - {send: first, content: hello, channels: [letter]}
          - wait_for: opening
            event: opened
            up_to: 1h
            then: [{send: pleased, content: thanks, channels: [letter]}]
            otherwise: [{send: sorry, content: pity, channels: [letter]}]
    """,
}
HOUR_IN_SECONDS = 3.0


@dataclass
class Shop:
    """An installation in this process: services, dispatcher and worker at work."""

    services: Services
    letters_folder: Path

    async def tell(self, number: int, event: str, **traits: str) -> None:
        """One event of one contact, taken in as the HTTP intake does it, and what else is stated of them."""
        name = f"user-{number}"
        stated = {"app": name, **traits}
        messages = [
            {"type": "identify", "messageId": f"{name}-id-{event}", "userId": name, "traits": stated},
            {"type": "track", "event": event, "messageId": f"{name}-{event}", "userId": name},
        ]
        receipt = await self.services.store.run(
            self.services.intake.accept, [translate(message) for message in messages], source="test"
        )
        assert receipt.dead == 0
        for run_id in receipt.run_ids:
            await self.services.runs.carry(run_id)

    def letters(self) -> list[str]:
        return [
            str(json.loads(line)["body"])
            for file in sorted(self.letters_folder.glob("*.jsonl"))
            for line in file.read_text().splitlines()
        ]

    def runs(self) -> list[RunRow]:
        with self.services.store.read() as session:
            return list(session.scalars(select(RunRow)))

    async def until(self, condition: Callable[[], bool]) -> None:
        await eventually(condition)


async def is_gone(driver: TemporalDriver, row: RunRow) -> bool:
    return not await driver.is_running(ref_of(row))


@asynccontextmanager
async def at_work(services: Services) -> AsyncIterator[None]:
    """Dispatcher and worker of this process, while the block runs."""
    stop = asyncio.Event()
    working = [
        asyncio.create_task(services.dispatcher.run(stop)),
        asyncio.create_task(run_worker(services, stop)),
    ]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*working)


@asynccontextmanager
async def opened(folder: Path, database_url: str, temporal_address: str) -> AsyncIterator[Shop]:
    """A shop over an empty database, its workspace published; its letters lie in `letters` in the folder."""
    settings = Settings(data_dir=folder, database_url=database_url, temporal_address=temporal_address)
    services = build_services(settings)
    now = SystemClock().now()
    with services.store.begin() as session:
        ensure_control(
            session, now, scale=3600 / HOUR_IN_SECONDS, journey_origin=datetime(2026, 3, 1, tzinfo=UTC)
        )
        files = {name: dedent(text).lstrip("\n") for name, text in WORKSPACE.items()}
        publish(session, files, by="test", now=now)
    yield Shop(services, folder / "letters")
    await services.close()


def ref_of(row: RunRow) -> RunRef:
    return RunRef(row.id, row.journey, row.contact_id, row.entry_key, row.version)


async def lists(driver: TemporalDriver, count: int) -> bool:
    """Whether that many open workflows are listed; the list lags behind by a moment."""
    return len([each async for each in driver.open_runs()]) == count
