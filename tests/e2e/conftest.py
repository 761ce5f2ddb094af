"""An installation of real processes that a test may kill: Temporal, API, dispatcher, worker."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import httpx
import pytest

from engine.store.database import Store, open_store
from tests.ports import free_port
from workflows.devserver import EmbeddedServer

PATIENCE = 150.0
"""Seconds after which a condition that should come true is a failure."""

WRITE_KEY = "write-key-of-the-test"
TOKEN = "operator-token-of-the-test"


@dataclass
class Installation:
    """Real `wayline` processes over one data folder."""

    folder: Path
    environment: dict[str, str]
    temporal: EmbeddedServer
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one `wayline` command to its end; a failure shows its whole output."""
        done = subprocess.run(
            [sys.executable, "-m", "engine.cli", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"wayline {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    def publish(self, files: dict[str, str]) -> None:
        """Migrate the database and publish a workspace with these files, indentation removed."""
        workspace = self.folder / "workspace"
        workspace.mkdir()
        for name, text in files.items():
            (workspace / name).write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        self.command("db", "upgrade")
        self.command("publish", str(workspace))

    def start(self, *names: str) -> None:
        """Start `wayline NAME` for each name; output goes to NAME.log in the folder."""
        for name in names:
            log = (self.folder / f"{name}.log").open("ab")
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "engine.cli", name],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            log.close()

    def kill(self, name: str) -> None:
        """kill -9: no chance to clean up."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    async def kill_temporal(self) -> None:
        """kill -9 of the Temporal server; its database file stays as it was."""
        pid = self.temporal.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await self.temporal.stop()

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()
        if self.temporal.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.temporal.pid, signal.SIGKILL)

    def logs(self) -> str:
        """The last lines of every process, for a failing test."""
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-25:])
            for log in sorted(self.folder.glob("*.log"))
        )

    async def until(
        self, condition: Callable[[], bool | Awaitable[bool]], what: str, patience: float = PATIENCE
    ) -> None:
        """Return once the condition holds; fail with the logs when it does not within so many seconds."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + patience
        while not (await held if isinstance(held := condition(), Awaitable) else held):
            if loop.time() > give_up:
                raise AssertionError(f"never came true: {what}\n{self.logs()}")
            await asyncio.sleep(0.05)

    async def until_ready(self) -> None:
        """Return once the API answers that it is ready."""
        async with httpx.AsyncClient() as client:
            for _ in range(int(PATIENCE / 0.1)):
                try:
                    if (await client.get(f"http://127.0.0.1:{self.port}/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        raise AssertionError(f"the API never became ready\n{self.logs()}")

    def store(self) -> Store:
        return open_store(self.environment["WAYLINE_DATABASE_URL"])


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation over a SQLite file, not started; everything it started is ended afterwards."""
    port = free_port()
    temporal = EmbeddedServer(tmp_path / "temporal", port=free_port())
    environment = {
        **os.environ,
        "WAYLINE_DATA_DIR": str(tmp_path),
        "WAYLINE_DATABASE_URL": f"sqlite:///{tmp_path / 'wayline.db'}",
        "WAYLINE_TEMPORAL_ADDRESS": temporal.address,
        "WAYLINE_PORT": str(port),
        "WAYLINE_WRITE_KEY": WRITE_KEY,
        "WAYLINE_OPERATOR_TOKEN": TOKEN,
        "WAYLINE_SECRET_KEY": "secret-of-the-test",
        "WAYLINE_LOG_FORMAT": "console",
    }
    made = Installation(tmp_path, environment, temporal, port)
    yield made
    made.stop()
