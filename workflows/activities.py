"""What the workflows ask of the world; the worker hands in what each touches."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from engine.clock import Clock
from engine.delivery import breakers
from engine.errors import CommandError, UnknownRun
from engine.journeys.lanes import lane_while
from engine.runs.service import Runs
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from workflows.messages import (
    ADVANCE,
    FORCE_BREAKER,
    OBSERVE_BREAKER,
    REFUSED,
    UNKNOWN_RUN,
    AdvanceRequest,
    AdvanceResult,
    BreakerState,
    ForceOrder,
    ObserveRequest,
)

_log = structlog.get_logger(__name__)

CLOCKS_APART = 5.0
"""Seconds by which the service's clock may differ from this machine's without a word."""
WARN_EVERY = timedelta(minutes=1)


class JourneyActivities:
    """Advances runs."""

    def __init__(self, runs: Runs, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock
        self._warned_at: datetime | None = None

    @activity.defn(name=ADVANCE)
    async def advance(self, request: AdvanceRequest) -> AdvanceResult:
        """Carry the run to its next wait or its end; an unknown run fails its workflow for good.

        Anything else that is missing, such as its bundle after half a restore, may come back: tried again.
        """
        self._compare_clocks(request.now)
        try:
            carried = await self._runs.carry(request.run_id, durable=True, real_now=request.now)
        except UnknownRun as error:
            raise ApplicationError(str(error), type=UNKNOWN_RUN, non_retryable=True) from error
        return AdvanceResult(
            revision=carried.revision,
            status=carried.status,
            waiting=carried.waiting,
            due_at=carried.due_real,
            step=carried.position,
            outcome=carried.outcome,
            lane=lane_while(carried.waiting),
        )

    def _compare_clocks(self, told: datetime) -> None:
        """Warn when this machine's clock and the service's are apart: waits end early or late by as much."""
        if activity.info().attempt > 1:
            return  # what it was told is the moment of the first try
        now = self._clock.now()
        apart = (told - now).total_seconds()
        if abs(apart) <= CLOCKS_APART or (self._warned_at is not None and now - self._warned_at < WARN_EVERY):
            return
        self._warned_at = now
        _log.warning("the temporal service's clock differs from this machine's", ahead_by=round(apart, 1))


class BreakerActivities:
    """Looks at figures and publishes states; senders read the published row and nothing else."""

    def __init__(self, store: Store, shelf: BundleShelf, clock: Clock) -> None:
        self._store = store
        self._shelf = shelf
        self._clock = clock

    @activity.defn(name=OBSERVE_BREAKER)
    async def observe(self, request: ObserveRequest) -> BreakerState:
        """The breaker's state after a look at its figures."""
        return await self._store.run(self._observe, request)

    @activity.defn(name=FORCE_BREAKER)
    async def force(self, order: ForceOrder) -> BreakerState:
        """The breaker's state after a manual change; CommandErrors of the engine refuse it for good."""
        try:
            return await self._store.run(self._force, order)
        except CommandError as error:
            raise ApplicationError(str(error), type=REFUSED, non_retryable=True) from error

    def _observe(self, request: ObserveRequest) -> BreakerState:
        now = max(request.now, self._clock.now())
        with self._store.begin() as session:
            return _state(breakers.observe(session, self._shelf, request.breaker, request.scope, now))

    def _force(self, order: ForceOrder) -> BreakerState:
        now = max(order.now, self._clock.now())
        asked = order.request
        with self._store.begin() as session:
            where = (session, self._shelf, order.breaker, order.scope)
            if asked.action == "reset":
                look = breakers.reset(*where, by=asked.by, reason=asked.reason, now=now)
            else:
                look = breakers.trip(*where, level=asked.level, by=asked.by, reason=asked.reason, now=now)
        return _state(look)


def _state(look: breakers.Look) -> BreakerState:
    return BreakerState(look.state, look.level, look.epoch, look.next_at)
