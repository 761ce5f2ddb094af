"""Records histories of the real workflows on a real server into `tests/histories/`, for the replay tests.

Run `python tests/workflows/record_histories.py LABEL` after a change of the workflows that old histories
still replay under; the label (`v3`) becomes part of the file names. No file is overwritten or removed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.api.failure.v1 import Failure
from temporalio.client import (
    Client,
    WorkflowContinuedAsNewError,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.converter import DataConverter, DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError
from temporalio.testing import TimeSkipper

from engine.errors import CommandError
from engine.journeys.driver import Nudge, RunRef, Standing
from engine.journeys.lanes import Lane
from tests.ports import free_port
from workflows.devserver import EmbeddedServer
from workflows.driver import TemporalDriver
from workflows.messages import (
    ADVANCE,
    FORCE_BREAKER,
    OBSERVE_BREAKER,
    UNKNOWN_RUN,
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
DAYS = timedelta(days=1)
AWAY = 8
"""Tries in vain after which the workflows rest."""


def _timer(request: AdvanceRequest, look: int) -> AdvanceResult:
    """Sleeps a second, then for ever."""
    span = timedelta(seconds=1) if look == 1 else 30 * DAYS
    return AdvanceResult(look, "active", "timer", request.now + span, "overnight")


def _event(request: AdvanceRequest, look: int) -> AdvanceResult:
    """Listens, with a time-out, and ends at the second nudge."""
    if look == 3:
        return AdvanceResult(look, "ended", "ended", outcome="goal")
    return AdvanceResult(look, "active", "event", request.now + 2 * DAYS, "first_browse")


def _goal(request: AdvanceRequest, look: int) -> AdvanceResult:
    """Ends at the first look."""
    return AdvanceResult(look, "ended", "ended", outcome="goal")


def _trouble(request: AdvanceRequest, look: int) -> AdvanceResult:
    """Fails twice, finds another process at work, then ends."""
    if look < 3:
        raise ConnectionError("the database is away")
    if look == 3:
        return AdvanceResult(look, "active", "ready", step="hello")
    return AdvanceResult(look, "ended", "ended", outcome="completed")


def _outage(request: AdvanceRequest, look: int) -> AdvanceResult:
    """Fails at every try of the first look."""
    if look <= AWAY:
        raise _away()
    return AdvanceResult(look, "ended", "ended", outcome="completed")


def _forever(request: AdvanceRequest, look: int) -> AdvanceResult:
    """Waits for an outcome without a time-out."""
    return AdvanceResult(look, "active", "outcome", step="hello")


def _person(request: AdvanceRequest, look: int) -> AdvanceResult:
    """Naps, then asks a person on their own lane, then naps again."""
    if look in (2, 3):
        return AdvanceResult(look, "active", "task", request.now + 2 * DAYS, "approve", lane="human")
    return AdvanceResult(look, "active", "timer", request.now + DAYS, "nap")


def _unknown(request: AdvanceRequest, look: int) -> AdvanceResult:
    """There is no such run."""
    raise ApplicationError("no such run", type=UNKNOWN_RUN, non_retryable=True)


def _away() -> ApplicationError:
    return ApplicationError("the database is away", next_retry_delay=timedelta(milliseconds=5))


ANSWERS: dict[str, Answer] = {
    "sleeping": _timer,
    "written": _goal,
    "late": _goal,
    "goal": _event,
    "trouble": _trouble,
    "outage": _outage,
    "cancelled": _forever,
    "cancelled-looking": _forever,
    "outcome": _forever,
    "long": _forever,
    "person": _person,
    "unknown": _unknown,
}


class _Traceless(DefaultFailureConverter):
    """Leaves out where in which file of this machine a failure came from."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        super().to_failure(exception, payload_converter, failure)
        failure.stack_trace = ""


class Recorder:
    """One server and driver, and the activities behind the workflows that are recorded."""

    def __init__(self, client: Client) -> None:
        self._looks: dict[str, int] = {}
        self._looked = asyncio.Condition()
        self._breaker = BreakerState("closed")
        self._may_answer = asyncio.Event()
        self.client = client
        self.histories: dict[str, str] = {}

    def driver(self, continue_after: int | None = None) -> TemporalDriver:
        async def connected() -> Client:
            return self.client

        return TemporalDriver(connected, continue_after=continue_after)

    @activity.defn(name=ADVANCE)
    async def advance(self, request: AdvanceRequest) -> AdvanceResult:
        look = await self._look(request.run_id)
        if request.run_id == "cancelled-looking":
            await self._may_answer.wait()
        return ANSWERS[request.run_id](request, look)

    @activity.defn(name=OBSERVE_BREAKER)
    async def observe(self, request: ObserveRequest) -> BreakerState:
        look = await self._look(f"breaker {request.breaker}")
        if request.breaker == "outage" and look <= AWAY:
            raise _away()
        if request.breaker == "gone":
            raise ApplicationError("no such breaker", non_retryable=True)
        return self._breaker if request.breaker == "send_failure" else BreakerState("closed")

    @activity.defn(name=FORCE_BREAKER)
    async def force(self, order: ForceOrder) -> BreakerState:
        self._breaker = BreakerState("open", order.request.level, 1, order.now + timedelta(minutes=5))
        return self._breaker

    def answer(self) -> None:
        """Let the look that is held up go on."""
        self._may_answer.set()

    async def looked(self, name: str, times: int) -> None:
        async with asyncio.timeout(30), self._looked:
            await self._looked.wait_for(lambda: self._looks.get(name, 0) >= times)

    async def has_seen(self, handle: WorkflowHandle[Any, Any], event: str, times: int = 1) -> None:
        """Return once the workflow's history holds so many events of this kind."""
        for _ in range(500):
            if (await handle.fetch_history()).to_json().count(f'"EVENT_TYPE_{event}"') >= times:
                return
            await asyncio.sleep(0.02)
        kinds = [each.event_type for each in (await handle.fetch_history()).events]
        raise TimeoutError(f"{handle.id} has not come to {times} × {event}: {kinds}")

    async def keep(self, name: str, handle: WorkflowHandle[Any, Any], *, ended: bool) -> None:
        if ended:
            with suppress(WorkflowFailureError, WorkflowContinuedAsNewError):
                await handle.result(follow_runs=False)
        self.histories[name] = (await handle.fetch_history()).to_json()

    async def _look(self, name: str) -> int:
        async with self._looked:
            self._looks[name] = look = self._looks.get(name, 0) + 1
            self._looked.notify_all()
        return look


class _Journeys:
    """What is done to runs while their histories are recorded."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._driver = recorder.driver()

    async def record(self) -> None:
        await asyncio.gather(
            self._sleeping(),
            self._written(),
            self._goal(),
            self._ends("trouble"),
            self._ends("unknown"),
            self._outage(),
            self._cancelled(),
            self._cancelled_looking(),
            self._outcome(),
            self._long(),
            self._person(),
        )

    async def _sleeping(self) -> None:
        handle = await self._started("sleeping")
        await self._recorder.looked("sleeping", 2)
        await self._recorder.has_seen(handle, "TIMER_STARTED", 2)
        await self._nudge("sleeping")
        await self._recorder.looked("sleeping", 3)
        await self._recorder.has_seen(handle, "TIMER_STARTED", 3)
        await self._recorder.keep("journey_sleeping_open", handle, ended=False)

    async def _written(self) -> None:
        """Starts with a wait that was written down; one of them too late for it."""
        now = datetime.now(UTC)
        handle = await self._started("written", standing=Standing(1, "timer", "nap", now + 9 * DAYS))
        await self._recorder.has_seen(handle, "TIMER_STARTED")
        await self._nudge("written")
        await self._recorder.keep("journey_written_down_ended", handle, ended=True)
        handle = await self._started("late", standing=Standing(1, "timer", "nap", now - DAYS))
        await self._recorder.keep("journey_started_late_ended", handle, ended=True)

    async def _goal(self) -> None:
        handle = await self._started("goal")
        for look in (1, 2):
            await self._recorder.looked("goal", look)
            await self._recorder.has_seen(handle, "TIMER_STARTED", look)
            await self._nudge("goal")
        await self._recorder.keep("journey_goal_ended", handle, ended=True)

    async def _ends(self, name: str) -> None:
        handle = await self._started(name)
        await self._recorder.keep(f"journey_{name}_ended", handle, ended=True)

    async def _outage(self) -> None:
        handle = await self._started("outage")
        await self._recorder.has_seen(handle, "TIMER_STARTED")
        await self._nudge("outage")
        await self._recorder.keep("journey_outage_ended", handle, ended=True)

    async def _cancelled(self) -> None:
        handle = await self._started("cancelled")
        await self._recorder.has_seen(handle, "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES")
        await self._driver.cancel(self._ref("cancelled"), "consent.withdrawn")
        await self._recorder.keep("journey_cancelled", handle, ended=True)

    async def _cancelled_looking(self) -> None:
        handle = await self._started("cancelled-looking")
        await self._recorder.looked("cancelled-looking", 1)
        await self._driver.cancel(self._ref("cancelled-looking"), "consent.withdrawn")
        await self._recorder.has_seen(handle, "WORKFLOW_EXECUTION_CANCEL_REQUESTED")
        self._recorder.answer()
        await self._recorder.keep("journey_cancelled_while_looking", handle, ended=True)

    async def _outcome(self) -> None:
        handle = await self._started("outcome")
        await self._recorder.has_seen(handle, "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES")
        await self._recorder.keep("journey_outcome_open", handle, ended=False)

    async def _long(self) -> None:
        handle = await self._started("long", continue_after=15)
        for look in (1, 2, 3):
            await self._recorder.has_seen(handle, "MARKER_RECORDED", look)
            await self._nudge("long")
        await self._recorder.keep("journey_continued_as_new", handle, ended=True)

    async def _person(self) -> None:
        """From its own lane to the human one, and back."""
        handle = await self._started("person")
        await self._recorder.has_seen(handle, "TIMER_STARTED")
        await self._nudge("person")
        await self._recorder.keep("journey_moved_to_human", handle, ended=True)
        asking = await self._present("person")
        await self._recorder.has_seen(asking, "TIMER_STARTED")
        await self._recorder.keep("journey_task_open", asking, ended=False)
        await self._nudge("person")
        await self._recorder.keep("journey_moved_back", asking, ended=True)
        back = await self._present("person")
        await self._recorder.has_seen(back, "TIMER_STARTED")
        await self._recorder.keep("journey_come_back_open", back, ended=False)

    def _ref(self, name: str, **how: Any) -> RunRef:
        return RunRef(name, "welcome", f"contact-{name}", "once", "v1", bundle="bundle", **how)

    async def _nudge(self, name: str) -> None:
        await self._driver.signal(self._ref(name), Nudge("event", "evt-1"))

    async def _started(
        self, name: str, *, continue_after: int | None = None, standing: Standing | None = None
    ) -> WorkflowHandle[Any, Any]:
        await self._recorder.driver(continue_after).start(self._ref(name, standing=standing))
        return await self._present(name)

    async def _present(self, name: str) -> WorkflowHandle[Any, Any]:
        """A handle of the execution that runs now, not of those after it."""
        workflow_id = self._ref(name).workflow_id
        found = await self._recorder.client.get_workflow_handle(workflow_id).describe()
        return self._recorder.client.get_workflow_handle(workflow_id, run_id=found.run_id)


async def _record_breakers(recorder: Recorder) -> None:
    scope = ("send_failure", "channel:email")
    driver = recorder.driver()
    handle = recorder.client.get_workflow_handle(breaker_workflow_id(*scope))
    await driver.watch_breaker(*scope)
    await recorder.has_seen(handle, "TIMER_STARTED")
    with suppress(CommandError):
        await driver.force_breaker(*scope, action="open", by="ops")
    await driver.force_breaker(*scope, action="trip", by="ops", reason="maintenance")
    await recorder.has_seen(handle, "TIMER_STARTED", 2)
    await recorder.keep("breaker_tripped_open", handle, ended=False)

    for name, timers in (("outage", 1), ("gone", 0)):
        handle = recorder.client.get_workflow_handle(breaker_workflow_id(name, "channel:file"))
        await driver.watch_breaker(name, "channel:file")
        if timers:
            await recorder.has_seen(handle, "TIMER_STARTED", timers)
        await recorder.keep(f"breaker_{name}", handle, ended=not timers)

    renewed = recorder.driver(continue_after=4)
    await renewed.watch_breaker("long", "channel:file")
    workflow_id = breaker_workflow_id("long", "channel:file")
    first = (await recorder.client.get_workflow_handle(workflow_id).describe()).run_id
    handle = recorder.client.get_workflow_handle(workflow_id, run_id=first)
    await recorder.keep("breaker_continued_as_new", handle, ended=True)


async def _record_idle_breaker(recorder: Recorder) -> None:
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
        converter = replace(DataConverter.default, failure_converter_class=_Traceless)
        client = await Client.connect(await server.start(), identity="recorder", data_converter=converter)
        recorder = Recorder(client)
        activities: list[Callable[..., Any]] = [recorder.advance, recorder.observe, recorder.force]
        try:
            async with AsyncExitStack() as working:
                for lane in Lane:
                    worker = build_worker(
                        client, activities, lane=lane, graceful_shutdown=timedelta(seconds=1)
                    )
                    await working.enter_async_context(worker)
                await _record_idle_breaker(recorder)
                try:
                    await asyncio.gather(_Journeys(recorder).record(), _record_breakers(recorder))
                finally:
                    recorder.answer()
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
