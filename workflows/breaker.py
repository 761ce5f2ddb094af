"""The workflow that watches one breaker in one scope: it wakes when figures change or a pause has passed.

The state lives in the published row; this workflow only owns the timers and the order of manual changes.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from workflows.messages import (
        BREAKER_WORKFLOW,
        FORCE,
        FORCE_BREAKER,
        LOOK,
        OBSERVE_BREAKER,
        BreakerInput,
        BreakerState,
        ForceOrder,
        ForceRequest,
        ObserveRequest,
        is_final,
    )

LOOK_TIMEOUT = timedelta(seconds=30)
SHORTEST_WAIT = timedelta(milliseconds=200)
"""Before a look that time alone asks for."""
LONGEST_LOCAL_PAUSE = timedelta(seconds=5)
"""Longer ones between tries are server timers: an outage does not fill the history with heartbeats."""
IDLE = timedelta(hours=1)
"""A closed breaker that nobody asks about ends its workflow; the next change of figures starts it again."""
RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10), maximum_attempts=8
)
"""Its tries last half a minute; then the workflow rests, where its history may be renewed."""
REST = timedelta(minutes=1)
"""Before the next look after one that failed at every try; being told to look ends it."""
MOST_TOLD = 2_000
"""Signals and updates of one execution before it continues as new; a server refuses the 10,001st signal."""
ACTIONS = ("trip", "reset")
LEVELS = ("yellow", "red", "black")


@workflow.defn(name=BREAKER_WORKFLOW)
class Breaker:
    """Looks at one breaker's figures when told to and when time alone changes its state."""

    @workflow.init
    def __init__(self, watched: BreakerInput) -> None:
        self._input = watched
        self._is_told = False
        self._told = 0
        self._one_at_a_time = asyncio.Lock()
        self._last: BreakerState | None = None

    @workflow.run
    async def run(self, watched: BreakerInput) -> BreakerState:
        while True:
            self._is_told = False
            found = await self._observe()
            was_told = await self._wait(found)
            await workflow.wait_condition(workflow.all_handlers_finished)
            if self._is_history_full():
                workflow.continue_as_new(self._input)
            if found is None or was_told or self._is_told:
                continue
            if found.next_at is None and found.state == "closed":
                return found

    @workflow.signal(name=LOOK)
    def look(self, signal: RawValue) -> None:
        # Never read: thousands may come with one task, which has two seconds for all it does.
        self._is_told = True
        self._told += 1

    @workflow.update(name=FORCE)
    async def force(self, request: ForceRequest) -> BreakerState:
        """Trip or reset by hand; answers once the new state is published."""
        self._told += 1
        async with self._one_at_a_time:
            self._last = await workflow.execute_local_activity(
                FORCE_BREAKER,
                ForceOrder(self._input.breaker, self._input.scope, request, workflow.now()),
                result_type=BreakerState,
                start_to_close_timeout=LOOK_TIMEOUT,
                retry_policy=RETRY,
                local_retry_threshold=LONGEST_LOCAL_PAUSE,
            )
        # The pause until the next look has changed with the state.
        self._is_told = True
        return self._last

    @force.validator
    def check_force(self, request: ForceRequest) -> None:
        if request.action not in ACTIONS:
            raise ValueError(f"action {request.action!r} is not known; use one of {', '.join(ACTIONS)}")
        if request.action == "trip" and request.level not in LEVELS:
            raise ValueError(f"level {request.level!r} is not known; use one of {', '.join(LEVELS)}")
        if not request.by.strip():
            raise ValueError("a manual change needs the name of who makes it")

    @workflow.query
    def state(self) -> BreakerState | None:
        """What the last look found; for people, senders read the published row."""
        return self._last

    async def _observe(self) -> BreakerState | None:
        """What a look finds; None when it failed at every try."""
        async with self._one_at_a_time:
            try:
                self._last = await workflow.execute_local_activity(
                    OBSERVE_BREAKER,
                    ObserveRequest(self._input.breaker, self._input.scope, workflow.now()),
                    result_type=BreakerState,
                    start_to_close_timeout=LOOK_TIMEOUT,
                    retry_policy=RETRY,
                    local_retry_threshold=LONGEST_LOCAL_PAUSE,
                )
            except FailureError as error:
                if is_final(error):
                    raise
                return None
        workflow.set_current_details(_details(self._last))
        return self._last

    async def _wait(self, found: BreakerState | None) -> bool:
        """Whether a signal or an update ended the wait."""
        timeout = IDLE
        if found is None:
            timeout = REST
        elif found.next_at is not None:
            timeout = max(found.next_at - workflow.now(), SHORTEST_WAIT)
        try:
            await workflow.wait_condition(lambda: self._is_told or self._is_history_full(), timeout=timeout)
        except TimeoutError:
            return False
        return True

    def _is_history_full(self) -> bool:
        info = workflow.info()
        if self._input.continue_after is not None:
            return info.get_current_history_length() >= self._input.continue_after
        return self._told >= MOST_TOLD or info.is_continue_as_new_suggested()


def _details(found: BreakerState) -> str:
    level = f" ({found.level})" if found.level else ""
    then = f", next look {found.next_at.isoformat(timespec='seconds')}" if found.next_at else ""
    return f"{found.state}{level}{then}"
