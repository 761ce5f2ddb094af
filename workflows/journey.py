"""The workflow behind every waiting run: it sleeps, is nudged, and asks `advance` to look at the run row.

The interpreter runs inside the activity, so its code may change under running journeys; what stands here is
replayed from recorded histories and must stay this small. How it may change: `engine/adr`, number 17.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from workflows.messages import (
        ADVANCE,
        FORM,
        LANE,
        NUDGE,
        STEP,
        WAITING,
        AdvanceRequest,
        AdvanceResult,
        NudgeSignal,
        RunEnded,
        RunInput,
        is_final,
        queue_of,
    )

ADVANCE_TIMEOUT = timedelta(minutes=2)
"""How long one advance may take, its deliveries included, before it is tried again."""
SHORTEST_WAIT = timedelta(seconds=1)
"""Between two looks when the first found the run due and another process at it."""
LONGEST_WAIT = timedelta(days=365)
"""Then the run looks at its row and sleeps on: a server counts a timer's end in nanoseconds, up to 2262."""
TRIES = 8
"""Of one look. They last a minute; then the workflow rests, where its history may be renewed."""
RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=TRIES,
)
LONGEST_LOCAL_PAUSE = timedelta(seconds=5)
"""Longer ones between tries are server timers, so that an outage does not hold a worker's slot."""
REST = timedelta(minutes=2)
"""Before the next look after one that failed at every try; a nudge ends it."""
MOST_NUDGES = 2_000
"""Of one execution before it continues as new. A server refuses the 10,001st; those that come while no worker
is there are counted on top of these."""

NO_INPUT = RunInput("")

_SHOWN = {name: SearchAttributeKey.for_keyword(name) for name in (LANE, STEP, WAITING)}


@workflow.defn(dynamic=True)
class Journey:
    """Carries one run through its waits, under the journey's id as the workflow type."""

    @workflow.init
    def __init__(self, args: Sequence[RawValue]) -> None:
        given = [workflow.payload_converter().from_payload(each.payload, RunInput) for each in args[:1]]
        self._input = given[0] if given else NO_INPUT
        self._because: RawValue | str = "first look"
        self._is_nudged = False
        self._nudges = 0
        self._may_move = not self._input.is_moved

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> RunEnded:
        _must_be_for_us(self._input)
        found = self._input.standing
        if found is None or (found.due_at is not None and found.due_at <= workflow.now()):
            found = await self._look()
        while found is None or found.status != "ended":
            if found is not None and self._input.form >= 2:
                await self._go_where_it_belongs(found)
                self._show_in_lists(found)
            workflow.set_current_details(_details(found))
            await self._wait(found)
            if self._is_history_full():
                await self._renew(self._lane(found))
            found = await self._look()
        return RunEnded(self._input.run_id, found.outcome)

    @workflow.signal(name=NUDGE)
    def nudge(self, nudge: RawValue) -> None:
        # Read when it is shown. Thousands may come with one task, which has two seconds for all it does.
        self._because = nudge
        self._is_nudged = True
        self._nudges += 1

    async def _look(self) -> AdvanceResult | None:
        """Where the run stands once it was carried as far as it goes; None when every try failed."""
        self._is_nudged = False
        step = workflow.start_local_activity(
            ADVANCE,
            AdvanceRequest(self._input.run_id, workflow.now()),
            result_type=AdvanceResult,
            start_to_close_timeout=ADVANCE_TIMEOUT,
            retry_policy=RETRY,
            local_retry_threshold=LONGEST_LOCAL_PAUSE,
            summary=_reason(self._because),
        )
        try:
            return await asyncio.shield(step)
        except asyncio.CancelledError:
            # A message may be on its way: cancelling the workflow lets what has begun come to its end.
            with suppress(FailureError):
                await step
            raise
        except FailureError as error:
            if is_final(error):
                raise
            return None

    async def _wait(self, found: AdvanceResult | None) -> None:
        """Return when somebody nudges, when the time has come, or when the history is full."""
        timeout = None
        if found is None:
            timeout = REST
        elif found.waiting == "ready":
            timeout = SHORTEST_WAIT
        elif found.due_at is not None:
            left = found.due_at - workflow.now()
            timeout = min(left, LONGEST_WAIT) if left > timedelta(0) else SHORTEST_WAIT
        try:
            await workflow.wait_condition(
                lambda: self._is_nudged or self._is_history_full(),
                timeout=timeout,
                timeout_summary=found.step if found is not None else "every try failed",
            )
        except TimeoutError:
            self._because = "its time has come"
        self._may_move = True

    async def _go_where_it_belongs(self, found: AdvanceResult) -> None:
        lane = self._lane(found)
        if self._may_move and lane != self._input.at:
            await self._renew(lane, is_moved=True)

    async def _renew(self, lane: str, *, is_moved: bool = False) -> None:
        """Go on with an empty history, which begins with a look: no nudge needs to travel along."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(
            replace(self._input, form=FORM, at=lane, standing=None, is_moved=is_moved),
            task_queue=queue_of(lane),
        )

    def _lane(self, found: AdvanceResult | None) -> str:
        return self._input.lane if found is None or found.lane is None else found.lane

    def _show_in_lists(self, found: AdvanceResult) -> None:
        """Let the search attributes say where the run stands; one event, only when that has changed."""
        shown = workflow.info().typed_search_attributes
        wanted = {LANE: self._lane(found), STEP: found.step or "", WAITING: found.waiting}
        changes = [
            _SHOWN[name].value_set(value)
            for name, value in wanted.items()
            if shown.get(_SHOWN[name]) != value
        ]
        if changes:
            workflow.upsert_search_attributes(changes)

    def _is_history_full(self) -> bool:
        info = workflow.info()
        if self._input.continue_after is not None:
            return info.get_current_history_length() >= self._input.continue_after
        return self._nudges >= MOST_NUDGES or info.is_continue_as_new_suggested()


def _must_be_for_us(given: RunInput) -> None:
    if given is NO_INPUT:
        # Somebody else's start of an unknown type: without this, its task would be tried for ever.
        raise ApplicationError("a journey is started with its run", non_retryable=True)
    if given.form > FORM:
        # The task fails, and is tried again until a worker of that version takes it.
        raise RuntimeError(f"started in form {given.form}; this worker knows {FORM} and older ones")


def _reason(because: RawValue | str) -> str:
    """What a look is for, as people read it."""
    if isinstance(because, str):
        return because
    return f"after {workflow.payload_converter().from_payload(because.payload, NudgeSignal).reason}"


def _details(found: AdvanceResult | None) -> str:
    """One line for whoever opens the workflow in Temporal's own pages."""
    if found is None:
        return "its row cannot be read or moved on; tried again every few minutes, see the worker's log"
    until = f" until {found.due_at.isoformat(timespec='seconds')}" if found.due_at else ""
    return f"at `{found.step or 'start'}`, waiting for {found.waiting}{until} (revision {found.revision})"
