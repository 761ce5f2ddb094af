"""Sets the stage: a folder of its own, the shipped workspace, and `wayline up` as a real process."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx

from engine.authoring.shipped import shipped_folder
from engine.demo.receivers import MailReceiver, WebhookReceiver
from engine.errors import CommandError
from engine.governance.publishing import publish
from engine.store.control import change_control, ensure_control
from engine.store.database import Store, open_store, upgrade

READY_WITHIN = 60.0
"""Seconds `wayline up` may take until it answers that it is ready."""

CHANGED = (
    ("breakers.yaml", "window", "10m", "6s"),
    ("breakers.yaml", "min_samples", "50", "4"),
    ("breakers.yaml", "probe_after", "5m", "3s"),
    ("breakers.yaml", "probes", "20", "2"),
    ("breakers.yaml", "resume_within", "6h", "30d"),
    ("channels.yaml", "pause", "30s", "2s"),
    ("purposes.yaml", "max_hold", "3d", "30d"),
    ("caps.yaml", "limit", "3", "2"),
)
"""(file, key, as shipped, here). Breakers and circuits run on delivery time, which is never compressed: while
one is open for ten seconds, ten journey days pass. So their times are shortened, and what they hold is kept
longer. One cap is tightened, because these histories alone would never fill it."""


class Stage:
    """One demonstration's installation: folder, database, environment and the `wayline up` process."""

    def __init__(self, folder: Path, mail: MailReceiver, webhook: WebhookReceiver, *, scale: float) -> None:
        self.folder = folder
        self.scale = scale
        self.port = _free_port()
        self.write_key = "demonstration-write-key"
        self.environment = {
            **os.environ,
            "WAYLINE_DATA_DIR": str(folder),
            "WAYLINE_DATABASE_URL": f"sqlite:///{folder / 'wayline.db'}",
            "WAYLINE_WORKSPACE": str(folder / "rulesets"),
            "WAYLINE_PORT": str(self.port),
            "WAYLINE_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "WAYLINE_WRITE_KEY": self.write_key,
            "WAYLINE_OPERATOR_TOKEN": "demonstration-operator-token",
            "WAYLINE_SECRET_KEY": "demonstration-secret-key",
            "WAYLINE_TIME_SCALE": str(scale),
            "WAYLINE_SMTP_HOST": "127.0.0.1",
            "WAYLINE_SMTP_PORT": str(mail.port),
            "WAYLINE_SMTP_TLS": "none",
            "WAYLINE_SMTP_SENDER": "shop@example.com",
            "WAYLINE_WEBHOOK_URL": f"http://127.0.0.1:{webhook.port}/messages",
            "WAYLINE_WEBHOOK_SECRET": "whsec_ZGVtb25zdHJhdGlvbi13ZWJob29rLXNlY3JldA==",
            "WAYLINE_LETTER_FOLDER": str(folder / "letters"),
        }
        self.environment.pop("WAYLINE_TEMPORAL_ADDRESS", None)  # it runs a Temporal server of its own
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self, journey_origin: datetime) -> int:
        """Make the database and publish the shipped workspace; the bundle's number.

        Changed are only the settings in `CHANGED`.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        workspace = self.folder / "rulesets"
        shutil.copytree(shipped_folder("rulesets"), workspace)
        for name, key, shipped, here in CHANGED:
            _change(workspace / name, key, shipped, here)
        files = {
            file.relative_to(workspace).as_posix(): file.read_text(encoding="utf-8")
            for file in sorted(workspace.rglob("*.yaml"))
        }
        upgrade(self.environment["WAYLINE_DATABASE_URL"])
        store = self.store()
        try:
            with store.begin() as session:
                now = datetime.now(UTC)
                ensure_control(session, now, scale=self.scale, journey_origin=journey_origin)
                return publish(session, files, by="demonstration", now=now).number
        finally:
            store.close()

    def store(self) -> Store:
        return open_store(self.environment["WAYLINE_DATABASE_URL"])

    async def start(self) -> None:
        """Start `wayline up` and return once it is ready; CommandError with its last words when it is not."""
        with (self.folder / "up.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "engine.cli", "up",
                env=self.environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                # Ctrl-C reaches the demonstration first, which then stops this in order.
                start_new_session=True,
            )  # fmt: skip
        try:
            await asyncio.wait_for(self._until_ready(self._process), READY_WITHIN)
        except TimeoutError:
            raise CommandError(f"`wayline up` was not ready in time; see {self.folder / 'up.log'}") from None

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        async with httpx.AsyncClient() as client:
            while True:
                if process.returncode is not None:
                    raise CommandError(f"`wayline up` ended by itself; see {self.folder / 'up.log'}")
                try:
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass  # not listening yet
                await asyncio.sleep(0.1)

    def set_journey_time(self, journey_now: datetime) -> datetime:
        """Let journey time stand at `journey_now` from this moment on; the moment, in delivery time."""
        store = self.store()
        try:
            with store.begin() as session:
                now = datetime.now(UTC)
                change_control(session, time_origin=now, time_journey_origin=journey_now)
                return now
        finally:
            store.close()

    async def ask(self, *arguments: str) -> str:
        """What one `wayline` command prints."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "engine.cli", *arguments,
            env=self.environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        printed, _ = await process.communicate()
        return printed.decode()

    async def stop(self) -> None:
        """Stop `wayline up` as Ctrl-C does, and make sure that it is gone."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(self._process.wait(), 40)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def _change(file: Path, key: str, shipped: str, here: str) -> None:
    text, count = re.subn(rf"\b{key}: {shipped}\b", f"{key}: {here}", file.read_text(encoding="utf-8"))
    if not count:
        raise CommandError(f"the shipped {file.name} no longer says `{key}: {shipped}`")
    file.write_text(text, encoding="utf-8")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
