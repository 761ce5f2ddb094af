"""Records histories of the real workflows on a real server into `tests/histories/`, for the replay tests.

Run `python tests/workflows/record_histories.py LABEL` after a change of the workflows that old histories
still replay under; the label (`v2`) becomes part of the file names. No file is overwritten or removed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import (
    Client,
    WorkflowContinuedAsNewError,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.testing import TimeSkipper

from engine.errors import CommandError
from engine.journeys.driver import Nudge, RunRef
from workflows.devserver import EmbeddedServer, free_port
from workflows.driver import TemporalDriver
from workflows.messages import (
    ADVANCE,
    FORCE_BREAKER,
    OBSERVE_BREAKER,
    AdvanceRequest,
    AdvanceResult,
    BreakerState,
    ForceOrder,
    ObserveRequest,
    breaker_workflow_id,
)
from workflows.worker import build_worker

HISTORIES = Path(__file__).parents[1] / "histories"
Answer = Callable[[AdvanceRequest, int], AdvanceResult]


def _timer(request: AdvanceRequest, look: int) -> AdvanceResult:
    """Sleeps a second, then for ever."""
    span = timedelta(seconds=1) if look == 1 else timedelta(days=30)
    return AdvanceResult(look, "active", "timer", request.now + span, "overnight")


def _event(request: AdvanceRequest, look: int) -> AdvanceResult:
    """Listens, with a time-out, and ends at the second nudge."""
    if look == 3:
        return AdvanceResult(look, "ended", "ended", outcome="goal")
    return AdvanceResult(look, "active", "event", request.now + timedelta(days=2), "first_browse")


def _trouble(request: AdvanceRequest, look: int) -> AdvanceResult:
    """Fails twice, finds another process at work, then ends."""
    if look < 3:
        raise ConnectionError("the database is away")
    if look == 3:
        return AdvanceResult(look, "active", "ready", step="hello")
    return AdvanceResult(look, "ended", "ended", outcome="completed")


def _forever(request: AdvanceRequest, look: int) -> AdvanceResult:
    """Waits for an outcome without a time-out."""
    return AdvanceResult(look, "active", "outcome", step="hello")


class _Recorder:
    """One server and driver, and the activities behind the workflows that are recorded."""

    def __init__(self, client: Client, answers: dict[str, Answer]) -> None:
        self._answers = answers
        self._looks: dict[str, int] = {}
        self._looked = asyncio.Condition()
        self._breaker = BreakerState("closed")
        self.client = client
        self.histories: dict[str, str] = {}

    def driver(self, continue_after: int | None = None) -> TemporalDriver:
        async def connected() -> Client:
            return self.client

        return TemporalDriver(connected, continue_after=continue_after)

    @activity.defn(name=ADVANCE)
    async def advance(self, request: AdvanceRequest) -> AdvanceResult:
        async with self._looked:
            self._looks[request.run_id] = self._looks.get(request.run_id, 0) + 1
            self._looked.notify_all()
        return self._answers[request.run_id](request, self._looks[request.run_id])

    @activity.defn(name=OBSERVE_BREAKER)
    async def observe(self, request: ObserveRequest) -> BreakerState:
        async with self._looked:
            self._looks["breaker"] = self._looks.get("breaker", 0) + 1
            self._looked.notify_all()
        return self._breaker

    @activity.defn(name=FORCE_BREAKER)
    async def force(self, order: ForceOrder) -> BreakerState:
        self._breaker = BreakerState("open", order.request.level, 1, order.now + timedelta(minutes=5))
        return self._breaker

    async def looked(self, run_id: str, times: int) -> None:
        async with asyncio.timeout(30), self._looked:
            await self._looked.wait_for(lambda: self._looks.get(run_id, 0) >= times)

    async def keep(self, name: str, handle: WorkflowHandle[Any, Any], *, ended: bool) -> None:
        if ended:
            with suppress(WorkflowFailureError, WorkflowContinuedAsNewError):
                await handle.result(follow_runs=False)
        self.histories[name] = (await handle.fetch_history()).to_json()


async def _record_journeys(recorder: _Recorder) -> None:
    def ref(name: str) -> RunRef:
        return RunRef(name, "welcome", f"contact-{name}", "once", "v1")

    async def started(name: str, continue_after: int | None = None) -> WorkflowHandle[Any, Any]:
        await recorder.driver(continue_after).start(ref(name))
        first = await recorder.client.get_workflow_handle(ref(name).workflow_id).describe()
        return recorder.client.get_workflow_handle(ref(name).workflow_id, run_id=first.run_id)

    nudge = recorder.driver().signal

    handle = await started("sleeping")
    await recorder.looked("sleeping", 2)
    await nudge(ref("sleeping"), Nudge("event", "evt-1"))
    await recorder.looked("sleeping", 3)
    await recorder.keep("journey_sleeping_open", handle, ended=False)

    handle = await started("goal")
    for look in (1, 2):
        await recorder.looked("goal", look)
        await nudge(ref("goal"), Nudge("event", f"evt-{look}"))
    await recorder.keep("journey_goal_ended", handle, ended=True)

    handle = await started("trouble")
    await recorder.keep("journey_trouble_ended", handle, ended=True)

    handle = await started("cancelled")
    await recorder.looked("cancelled", 1)
    await recorder.driver().cancel(ref("cancelled"), "consent.withdrawn")
    await recorder.keep("journey_cancelled", handle, ended=True)

    handle = await started("long", continue_after=15)
    for look in range(1, 6):
        await recorder.looked("long", look)
        await nudge(ref("long"), Nudge("outcome", f"intent-{look}"))
    await recorder.keep("journey_continued_as_new", handle, ended=True)


async def _record_breakers(recorder: _Recorder) -> None:
    scope = ("send_failure", "channel:email")
    driver = recorder.driver()
    await driver.watch_breaker(*scope)
    await recorder.looked("breaker", 1)
    with suppress(CommandError):
        await driver.force_breaker(*scope, action="open", by="ops")
    await driver.force_breaker(*scope, action="trip", by="ops", reason="maintenance")
    await recorder.looked("breaker", 2)
    handle = recorder.client.get_workflow_handle(breaker_workflow_id(*scope))
    await recorder.keep("breaker_tripped_open", handle, ended=False)


async def _record_idle_breaker(recorder: _Recorder) -> None:
    handle: WorkflowHandle[Any, Any] = await TimeSkipper(recorder.client).client.start_workflow(
        "Breaker",
        {"breaker": "idle", "scope": "channel:file"},
        id=breaker_workflow_id("idle", "channel:file"),
        task_queue="journeys",
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    await recorder.keep("breaker_idle_ended", handle, ended=True)


async def record() -> dict[str, str]:
    """Name -> history as JSON, each from a run that has just been made."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(
            Path(folder),
            port=free_port(),
            in_memory=True,
            extra=("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
        )
        # Named, so that no machine's name goes into the files.
        client = await Client.connect(await server.start(), identity="recorder")
        answers: dict[str, Answer] = {
            "sleeping": _timer,
            "goal": _event,
            "trouble": _trouble,
            "cancelled": _forever,
            "long": _forever,
        }
        recorder = _Recorder(client, answers)
        activities: list[Callable[..., Any]] = [recorder.advance, recorder.observe, recorder.force]
        try:
            async with build_worker(client, activities, graceful_shutdown=timedelta(seconds=1)):
                await _record_idle_breaker(recorder)
                await _record_journeys(recorder)
                await _record_breakers(recorder)
        finally:
            await server.stop()
        return recorder.histories


def main(label: str) -> None:
    """Write every history as `<name>.<label>.json`, leaving files that exist as they are."""
    for name, text in asyncio.run(record()).items():
        file = HISTORIES / f"{name}.{label}.json"
        if file.exists():
            sys.stderr.write(f"{file.name} exists and stays as it is\n")
        else:
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/workflows/record_histories.py LABEL")
    main(sys.argv[1])
