"""The workflow behind every waiting run: it sleeps, is nudged, and asks `advance` to look at the run row.

The interpreter runs inside the activity, so its code may change under running journeys; what stands here is
replayed from recorded histories and must stay this small.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy

with workflow.unsafe.imports_passed_through():
    from workflows.messages import (
        ADVANCE,
        NUDGE,
        AdvanceRequest,
        AdvanceResult,
        NudgeSignal,
        RunEnded,
        RunInput,
    )

ADVANCE_TIMEOUT = timedelta(minutes=2)
"""How long one advance may take, its deliveries included, before it is tried again."""
SHORTEST_WAIT = timedelta(seconds=1)
"""Between two looks when the first found the run due and another process at it."""
RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=30))


@workflow.defn(dynamic=True)
class Journey:
    """Carries one run through its waits, under the journey's id as the workflow type."""

    @workflow.init
    def __init__(self, args: Sequence[RawValue]) -> None:
        self._input = workflow.payload_converter().from_payload(args[0].payload, RunInput)
        self._is_nudged = False

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> RunEnded:
        while True:
            self._is_nudged = False
            found = await self._advance()
            if found.status == "ended":
                return RunEnded(self._input.run_id, found.outcome)
            workflow.set_current_details(_details(found))
            await self._wait(found)
            if self._is_history_full():
                # The next run looks at the row first thing, so no nudge needs to travel along.
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(self._input)

    @workflow.signal(name=NUDGE)
    def nudge(self, nudge: NudgeSignal) -> None:
        self._is_nudged = True

    async def _advance(self) -> AdvanceResult:
        step = workflow.start_local_activity(
            ADVANCE,
            AdvanceRequest(self._input.run_id, workflow.now()),
            result_type=AdvanceResult,
            start_to_close_timeout=ADVANCE_TIMEOUT,
            retry_policy=RETRY,
            # Longer pauses between tries are server timers, so that an outage does not hold a worker's slot.
            local_retry_threshold=timedelta(seconds=5),
        )
        try:
            return await asyncio.shield(step)
        except asyncio.CancelledError:
            # A message may be on its way: cancelling the workflow lets what has begun come to its end.
            await step
            raise

    async def _wait(self, found: AdvanceResult) -> None:
        timeout = None
        if found.waiting == "ready":
            timeout = SHORTEST_WAIT
        elif found.due_at is not None:
            left = found.due_at - workflow.now()
            timeout = left if left > timedelta(0) else SHORTEST_WAIT
        try:
            await workflow.wait_condition(
                lambda: self._is_nudged or self._is_history_full(),
                timeout=timeout,
                timeout_summary=found.step,
            )
        except TimeoutError:
            return

    def _is_history_full(self) -> bool:
        info = workflow.info()
        if self._input.continue_after is not None:
            return info.get_current_history_length() >= self._input.continue_after
        return info.is_continue_as_new_suggested()


def _details(found: AdvanceResult) -> str:
    """One line for whoever opens the workflow in Temporal's own pages."""
    until = f" until {found.due_at.isoformat(timespec='seconds')}" if found.due_at else ""
    return f"at `{found.step or 'start'}`, waiting for {found.waiting}{until} (revision {found.revision})"
