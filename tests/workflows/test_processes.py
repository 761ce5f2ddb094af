"""`wayline up`, `worker` and `doctor` as real processes over real data."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.settings import WorkerSettings
from tests.ports import free_port
from workflows.devserver import EmbeddedServer

pytestmark = [pytest.mark.temporal, pytest.mark.timeout(300)]

PATIENCE = 100.0

WORKSPACE = {
    "wayline.yaml": """
        kind: workspace
        id: naps
        title: naps
        owner: tests
        timezone: UTC
        locales: [en]
        identities: [app]
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
          - {id: again, locales: {en: {body: "hello again"}}}
    """,
    "nap.yaml": """
        kind: journey
        id: nap
        title: nap
        owner: tests
        purpose: service
        enter: {event: contact_added, reentry: never}
        steps:
          - {send: first, content: hello, channels: [letter]}
          - {wait: nap, for: 3h}
          - {send: second, content: again, channels: [letter]}
    """,
}


@dataclass
class Installation:
    """A data folder, a workspace, and the `wayline` processes a test runs over them."""

    folder: Path
    port: int
    environment: dict[str, str]
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, command: str) -> subprocess.Popen[str]:
        with (
            (self.folder / f"{command}.out").open("a") as answers,
            (self.folder / f"{command}.log").open("a") as log,
        ):
            process = subprocess.Popen(
                [sys.executable, "-m", "engine.cli", command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=answers,
                stderr=log,
                text=True,
            )
        self.running.append(process)
        return process

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "engine.cli", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    async def stop(self, process: subprocess.Popen[str], number: int = signal.SIGINT) -> int:
        process.send_signal(number)
        return await asyncio.to_thread(process.wait, PATIENCE)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                assert all(process.poll() is None for process in self.running), self.said()
                await asyncio.sleep(0.05)

    async def until_ready(self) -> None:
        await self.until(self._is_ready, "the API to be ready")

    async def add_contact(self, number: int) -> None:
        events = [
            {
                "type": "identify",
                "messageId": f"i{number}",
                "userId": f"u{number}",
                "traits": {"app": f"a{number}"},
            },
            {"type": "track", "event": "contact_added", "messageId": f"c{number}", "userId": f"u{number}"},
        ]
        async with httpx.AsyncClient() as client:
            answer = await client.post(
                f"http://127.0.0.1:{self.port}/v1/batch",
                json={"batch": events},
                auth=(self.shown("Write key"), ""),
            )
        assert answer.status_code == 200, answer.text

    def letters(self) -> list[str]:
        """The bodies of the letters written so far."""
        return [
            str(json.loads(line)["body"])
            for file in sorted((self.folder / "letters").glob("*.jsonl"))
            for line in file.read_text().splitlines()
        ]

    def is_asleep(self) -> bool:
        """Whether the run waits in Temporal and nothing about it is still to be told."""
        with closing(sqlite3.connect(self.folder / "data" / "wayline.db")) as database:
            asleep = database.execute("SELECT count(*) FROM run WHERE durable AND waiting = 'timer'")
            untold = database.execute("SELECT count(*) FROM outbox WHERE done_at IS NULL")
            return bool(asleep.fetchone()[0]) and not untold.fetchone()[0]

    def shown(self, name: str) -> str:
        """What `wayline up` printed behind a name."""
        lines = (self.folder / "up.out").read_text().splitlines()
        return next(line for line in lines if line.startswith(name)).removeprefix(name).split()[0]

    def said(self) -> str:
        files = [*self.folder.glob("*.out"), *self.folder.glob("*.log")]
        return "\n".join(f"--- {file.name}\n{file.read_text()[-3000:]}" for file in files)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation that was never started; what it leaves running is killed."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    for name, text in WORKSPACE.items():
        (workspace / name).write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("WAYLINE_")},
        "WAYLINE_DATA_DIR": str(tmp_path / "data"),
        "WAYLINE_WORKSPACE": str(workspace),
        "WAYLINE_PORT": str(port),
        "WAYLINE_TIME_SCALE": "900",  # an hour passes in four seconds; a nap is long enough to be seen
        "TEST_LETTERS": str(tmp_path / "letters"),
    }
    made = Installation(tmp_path, port, environment)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.kill()
            process.wait()
    note = tmp_path / "data" / "temporal.json"
    if note.exists():
        os.kill(json.loads(note.read_text())["pid"], signal.SIGKILL)


async def test_up_serves_stops_on_ctrl_c_and_the_next_up_goes_on(installation: Installation) -> None:
    up = installation.start("up")
    await installation.until_ready()
    await installation.add_contact(1)
    await installation.until(lambda: installation.letters() == ["hello"], "the first letter")
    assert await installation.stop(up) == 0, installation.said()
    installation.running.remove(up)

    again = installation.start("up")
    await installation.until(lambda: installation.letters() == ["hello", "hello again"], "the second letter")
    assert await installation.stop(again, signal.SIGTERM) == 0, installation.said()
    shown = (installation.folder / "up.out").read_text()
    assert shown.count("(shown once)") == 2, "each key is shown by the first start only"
    assert shown.count("Write key       as before") == 1
    assert "Published" in shown


async def test_a_killed_up_leaves_nothing_that_the_next_one_cannot_take_over(
    installation: Installation,
) -> None:
    up = installation.start("up")
    await installation.until_ready()
    await installation.add_contact(1)
    await installation.until(installation.is_asleep, "the run to wait in Temporal")
    up.kill()
    up.wait()
    installation.running.remove(up)

    again = installation.start("up")
    await installation.until(lambda: installation.letters() == ["hello", "hello again"], "the second letter")
    assert await installation.stop(again) == 0, installation.said()


async def test_a_second_up_over_the_same_data_is_refused(installation: Installation) -> None:
    up = installation.start("up")
    await installation.until_ready()
    second = await asyncio.to_thread(installation.run, "up")
    assert second.returncode == 2
    assert "another `wayline up` is running" in second.stderr
    assert await installation.stop(up) == 0


async def test_doctor_starts_runs_again_whose_temporal_was_lost(installation: Installation) -> None:
    up = installation.start("up")
    await installation.until_ready()
    healthy = await asyncio.to_thread(installation.run, "doctor")
    assert healthy.returncode == 0, healthy.stdout
    await installation.add_contact(1)
    await installation.until(installation.is_asleep, "the run to wait in Temporal")
    assert await installation.stop(up) == 0
    installation.running.remove(up)
    for file in (installation.folder / "data").glob("temporal.db*"):
        file.unlink()

    installation.start("up")
    await installation.until_ready()
    ill = await asyncio.to_thread(installation.run, "doctor", "--format", "json")
    assert ill.returncode == 1
    assert "1 active runs without a workflow" in ill.stdout
    mended = await asyncio.to_thread(installation.run, "doctor", "--repair")
    assert mended.returncode == 0, mended.stdout
    await installation.until(lambda: installation.letters() == ["hello", "hello again"], "the second letter")


def test_doctor_says_what_to_do_when_nothing_is_set_up(installation: Installation) -> None:
    done = installation.run("doctor")
    assert done.returncode == 1
    assert "run `wayline db upgrade`" in done.stdout


async def test_a_dispatcher_of_its_own_can_be_watched(installation: Installation) -> None:
    assert installation.run("db", "upgrade").returncode == 0
    port = free_port()
    installation.environment["WAYLINE_HEALTH_PORT"] = str(port)
    process = installation.start("dispatch")

    def answered(path: str) -> httpx.Response | None:
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}")
        except httpx.TransportError:
            return None

    await installation.until(lambda: answered("/healthz") is not None, "the dispatcher to answer")
    ready, metrics, intake = answered("/readyz"), answered("/metrics"), answered("/v1/decisions")
    assert ready is not None and ready.status_code == 503 and "publish" in ready.json()["detail"]
    assert metrics is not None and "wayline_outbox" in metrics.text
    assert intake is not None and intake.status_code == 404
    assert await installation.stop(process) == 0


async def test_a_worker_of_its_own_can_be_watched_and_has_the_slots_that_were_set(
    installation: Installation,
) -> None:
    assert installation.run("db", "upgrade").returncode == 0
    server = EmbeddedServer(installation.folder / "data", in_memory=True)
    await server.start()
    port = free_port()
    installation.environment |= {"WAYLINE_HEALTH_PORT": str(port), "WAYLINE_WORKER_BULK_LOOKS": "7"}
    process = installation.start("worker")
    free: dict[tuple[str, str], float] = {}
    labels: set[str] = set()

    def are_counted() -> bool:
        try:
            told = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        except httpx.TransportError:
            return False
        for family in text_string_to_metric_families(told):
            for sample in family.samples:
                if sample.name.startswith("temporal_"):
                    labels.update(sample.labels)
                if sample.name == "temporal_worker_task_slots_available":
                    free[sample.labels["task_queue"], sample.labels["worker_type"]] = sample.value
        return len(free) == 8

    await installation.until(are_counted, "the slots of four lanes")
    assert free["journeys-bulk", "LocalActivityWorker"] == 7
    usual = WorkerSettings()
    assert free["journeys", "LocalActivityWorker"] == usual.normal.looks
    assert free["journeys-urgent", "WorkflowWorker"] == usual.urgent.tasks
    of_kinds = {"namespace", "task_queue", "worker_type", "poller_type", "operation", "service_name", "le"}
    assert labels - {"status_code", "workflow_type", "activity_type"} <= of_kinds
    assert await installation.stop(process) == 0
    await server.stop()
