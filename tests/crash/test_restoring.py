"""One of the two databases comes back from an older copy, alone: `wayline doctor --repair` makes them agree.

Ours and Temporal's are backed up apart, so after a loss one of them knows less than the other. Nobody is
lost, and what had left already does not leave again: a run that is carried a second time wishes under the
same keys.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from engine.clock import SystemClock
from engine.governance.publishing import publish
from engine.intake.segment import translate
from engine.services import Services, build_services
from engine.settings import Settings
from engine.store.control import ensure_control
from engine.store.tables import RunRow
from tests.ports import free_port
from tests.workflows.conftest import eventually
from workflows.devserver import EmbeddedServer
from workflows.driver import run_worker

pytestmark = [pytest.mark.temporal, pytest.mark.xdist_group("kills"), pytest.mark.timeout(300)]

WORKSPACE = {
    "wayline.yaml": """
        kind: workspace
        id: restoring
        title: restoring
        owner: tests
        timezone: UTC
        locales: [en]
        identities: [app]
    """,
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: tests
        events:
          - {id: opened, title: opened, schema: {type: object}}
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
          - {id: hello, locales: {en: {body: "hello {{ contact.id }}"}}}
          - {id: thanks, locales: {en: {body: "thanks {{ contact.id }}"}}}
    """,
    "story.yaml": """
        kind: journey
        id: story
        title: story
        owner: tests
        purpose: service
        enter: {event: contact_added, reentry: never}
        steps:
          - {send: first, content: hello, channels: [letter]}
          - {wait_for: opening, event: opened, up_to: 30d}
          - {send: second, content: thanks, channels: [letter]}
    """,
}
EARLY, LATE = range(6), range(6, 12)
ENDED = range(3)
"""Those of the early ones whose journey ends after the copy was made."""


@dataclass
class Site:
    """An installation whose processes are this one, over files that can be copied away and back."""

    folder: Path
    server: EmbeddedServer

    @property
    def settings(self) -> Settings:
        return Settings(
            data_dir=self.folder,
            database_url=f"sqlite:///{self.folder / 'wayline.db'}",
            temporal_address=self.server.address,
            secret_key="secret-of-the-test",
        )

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Services]:
        """Temporal, a dispatcher and a worker, while the block runs; afterwards every file is at rest."""
        await self.server.start()
        services, stop = build_services(self.settings), asyncio.Event()
        working = [
            asyncio.create_task(services.dispatcher.run(stop)),
            asyncio.create_task(run_worker(services, stop)),
        ]
        try:
            yield services
        finally:
            stop.set()
            await asyncio.gather(*working)
            await services.close()
            await self.server.stop()

    def files(self, name: str) -> list[Path]:
        return [*self.folder.glob(f"{name}*")]

    async def doctor(self, *options: str) -> tuple[int, str]:
        """`wayline doctor` as a process of its own: its exit code, and what it says of workflows."""
        settings = self.settings
        environment = {
            **os.environ,
            "WAYLINE_DATA_DIR": str(self.folder),
            "WAYLINE_DATABASE_URL": settings.database,
            "WAYLINE_TEMPORAL_ADDRESS": self.server.address,
        }
        command = [sys.executable, "-m", "engine.cli", "doctor", "--format", "json", *options]
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, text=True, check=False
        )
        found = {item["name"]: item["detail"] for item in json.loads(done.stdout)}
        return done.returncode, found["workflows"]

    def letters(self) -> Counter[str]:
        folder = self.folder / "letters"
        lines = [line for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
        return Counter(str(json.loads(line)["body"]) for line in lines)


@pytest.fixture
def site(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("TEST_LETTERS", str(tmp_path / "letters"))
    assert sqlite_url == f"sqlite:///{tmp_path / 'wayline.db'}"
    return Site(tmp_path, EmbeddedServer(tmp_path, port=free_port()))


async def test_ours_restored_alone(site: Site) -> None:
    said = "3 active runs without a workflow, 6 workflows without a run"
    await _restored(site, "wayline.db", said, known=EARLY)


@pytest.mark.long
async def test_temporals_restored_alone(site: Site) -> None:
    said = "6 active runs without a workflow, 3 workflows of ended runs"
    await _restored(site, "temporal.db", said, known=[*EARLY, *LATE])


async def _restored(site: Site, database: str, said: str, known: Collection[int]) -> None:
    async with site.at_work() as services:
        with services.store.begin() as session:
            ensure_control(session, SystemClock().now())
            files = {name: dedent(text) for name, text in WORKSPACE.items()}
            publish(session, files, by="tests", now=SystemClock().now())
        await _tell(services, "contact_added", EARLY)
        await _until(lambda: _workflows(services), len(EARLY))
    copies = [(file, file.read_bytes()) for file in site.files(database)]
    async with site.at_work() as services:
        await _tell(services, "contact_added", LATE)
        await _tell(services, "opened", ENDED)
        await _until(lambda: _ended(services), len(ENDED))
        await _until(lambda: _workflows(services), len(EARLY) + len(LATE) - len(ENDED))
    for file in site.files(database):
        file.unlink()
    for file, content in copies:
        file.write_bytes(content)
    async with site.at_work() as services:
        assert await site.doctor() == (1, said)
        code, _ = await site.doctor("--repair")
        assert code == 0
        await _until(lambda: _workflows(services), len(known) - _count_ended(services))
        assert await site.doctor() == (0, "every run that waits has its workflow, and no more")
        await _tell(services, "opened", known, again=True)
        await _until(lambda: _ended(services), len(known))
        letters = site.letters()
    assert max(letters.values()) == 1, "what had left before does not leave again"
    thanked = sum(count for body, count in letters.items() if body.startswith("thanks"))
    assert thanked == len(known)
    shutil.rmtree(site.folder / "letters")


async def _tell(services: Services, event: str, who: Collection[int], *, again: bool = False) -> None:
    """One event of each, as senders tell it; `again` is another event of the same kind."""
    more = "-again" if again else ""
    for number in who:
        name = f"user-{number}"
        messages = [
            {"type": "identify", "messageId": f"{name}-id", "userId": name, "traits": {"app": name}},
            {"type": "track", "event": event, "messageId": f"{name}-{event}{more}", "userId": name},
        ]
        batch = [translate(message) for message in messages]
        receipt = await services.store.run(services.intake.accept, batch, source="test")
        for run_id in receipt.run_ids:
            await services.runs.carry(run_id)


async def _ended(services: Services) -> int:
    return await services.store.run(_count_ended, services)


def _count_ended(services: Services) -> int:
    """How many runs have ended."""
    query = select(func.count()).where(col(RunRow.status) == "ended")
    with services.store.read() as session:
        return session.scalar(query) or 0


async def _workflows(services: Services) -> int:
    return len([each async for each in services.driver.open_runs()])


async def _until(count: Callable[[], Awaitable[int]], wanted: int) -> None:
    """Return once so many are counted; lists of workflows lag behind by a moment."""

    async def is_so() -> bool:
        return await count() == wanted

    await eventually(is_so)
