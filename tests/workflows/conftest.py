"""One real Temporal server for all workflow tests, and activities that answer as a test has written down."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from engine.journeys.lanes import Lane
from tests.ports import free_port
from workflows.connection import connect
from workflows.devserver import EmbeddedServer, find_binary
from workflows.driver import TemporalDriver
from workflows.messages import ADVANCE, AdvanceRequest, AdvanceResult
from workflows.service import OURS, register_attributes
from workflows.worker import build_worker

if TYPE_CHECKING:
    from tests.workflows.shop import Shop

PATIENCE = 20.0
"""Real seconds a test waits for something that takes milliseconds when all is well."""


@dataclass
class ScriptedAdvance:
    """An `advance` that answers from a list, the last answer for ever, and tells when it was asked."""

    answers: Sequence[Callable[[AdvanceRequest], AdvanceResult]]
    asked: list[AdvanceRequest] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @activity.defn(name=ADVANCE)
    async def advance(self, request: AdvanceRequest) -> AdvanceResult:
        self.asked.append(request)
        self._changed.set()
        return self.answers[min(len(self.asked), len(self.answers)) - 1](request)

    async def was_asked(self, times: int) -> None:
        """Return once `advance` has been asked `times` times in all."""
        async with asyncio.timeout(PATIENCE):
            while len(self.asked) < times:
                self._changed.clear()
                await self._changed.wait()


def waits(
    *, waiting: str = "event", due_in: timedelta | None = None, step: str = "nap"
) -> Callable[[AdvanceRequest], AdvanceResult]:
    """The run waits, if asked to until a span after the workflow's present moment."""
    return lambda request: AdvanceResult(
        revision=1,
        status="active",
        waiting=waiting,
        due_at=None if due_in is None else request.now + due_in,
        step=step,
    )


def ends(outcome: str = "completed") -> Callable[[AdvanceRequest], AdvanceResult]:
    """The run has ended."""
    return lambda request: AdvanceResult(2, "ended", "ended", outcome=outcome)


@dataclass(frozen=True)
class Script:
    """What tests write journeys' answers with."""

    advance: Callable[..., ScriptedAdvance] = lambda *answers: ScriptedAdvance(answers)
    waits: Callable[..., Callable[[AdvanceRequest], AdvanceResult]] = waits
    ends: Callable[..., Callable[[AdvanceRequest], AdvanceResult]] = ends


@pytest.fixture
def script() -> Script:
    return Script()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal_address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """host:port of a real development server of this test process."""
    server = EmbeddedServer(tmp_path_factory.mktemp("temporal"), port=free_port(), in_memory=True)
    yield await server.start()
    await server.stop()


@pytest_asyncio.fixture
async def client(temporal_address: str) -> AsyncIterator[Client]:
    """A client of the real server; what a test leaves running is terminated after it."""
    connected = await connect(temporal_address, "default")
    yield connected
    await _terminate_all(connected)


@pytest_asyncio.fixture
async def driver(temporal_address: str, client: Client) -> TemporalDriver:
    """The driver under test, connected to the real server."""
    return TemporalDriver(lambda: connect(temporal_address, "default"))


WorkerFactory = Callable[..., AbstractAsyncContextManager[list[Worker]]]

SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules("workflows.messages")
)
"""Looks over what workflows do, as a linter would; production runs them without it."""


@pytest.fixture
def working() -> WorkerFactory:
    """`async with working(client, activities...)`: workers of the production shape while the block runs.

    They serve normal and urgent work unless told which `lanes`. Their workflows run in the sandbox.
    """

    @asynccontextmanager
    async def run(
        client: Client,
        *activities: Callable[..., Any],
        lanes: Sequence[Lane] = (Lane.NORMAL, Lane.URGENT),
        **options: Any,
    ) -> AsyncIterator[list[Worker]]:
        options.setdefault("graceful_shutdown", timedelta(seconds=1))
        options.setdefault("workflow_runner", SANDBOX)
        async with AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(build_worker(client, activities, lane=lane, **options))
                for lane in lanes
            ]

    return run


@pytest_asyncio.fixture
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A real server on which each workflow's time jumps to its next timer."""
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(find_binary()),
        dev_server_log_level="error",
        dev_server_extra_args=[
            "--dynamic-config-value",
            "frontend.WorkflowTimeSkippingEnabled=true",
            "--dynamic-config-value",
            "history.transferProcessorMaxPollRPS=1000",
        ],
    )
    async with environment:
        await register_attributes(environment.client)
        yield environment


async def eventually(condition: Callable[[], bool | Awaitable[bool]], *, within: float = 30) -> None:
    """Return once the condition holds; other processes are asked, so there is nothing to wait on."""
    for _ in range(int(within / 0.02)):
        answer = condition()
        if answer if isinstance(answer, bool) else await answer:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came true")


_numbers = itertools.count(1)


@pytest.fixture
def run_id(request: pytest.FixtureRequest) -> str:
    """A run id of this test's own."""
    return f"{request.node.name}-{next(_numbers)}"


async def _terminate_all(client: Client) -> None:
    async for found in client.list_workflows(OURS):
        try:
            await client.get_workflow_handle(found.id).terminate("the test is over")
        except RPCError as error:
            # The list lags behind: it may have ended by itself meanwhile.
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise


@pytest_asyncio.fixture
async def shop(
    tmp_path: Path, sqlite_url: str, temporal_address: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shop]:
    """An installation in this process, its processes not at work yet."""
    from tests.workflows.shop import opened  # which waits as this file says

    monkeypatch.setenv("TEST_LETTERS", str(tmp_path / "letters"))
    async with opened(tmp_path, sqlite_url, temporal_address) as made:
        yield made
