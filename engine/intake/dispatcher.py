"""The dispatcher: tells the durable side what the outbox holds, and moves on whatever is due or left lying.

Its jobs run beside each other and never wait for one another: with the workflow service away, messages still
leave and abandoned runs are still carried.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from engine.clock import Clock
from engine.errors import DriverUnavailable, WaylineError
from engine.intake import measuring, outbox
from engine.intake.outbox import Backlog, Errand, Failure
from engine.journeys.driver import Driver, Nudge, RunRef, Standing
from engine.journeys.lanes import Lane
from engine.plugin.calling import where
from engine.store.database import Store

_log = structlog.get_logger(__name__)

_BUSY_PAUSE = 0.0
_PAUSES = {"refresh": 0.25, "in_flight": 0.1}
"""Seconds between two rounds of work that has time: computing everybody anew, or taking everybody over to
another version of a journey, must not slow down intake."""
_SHORTEST_IDLE = 0.01
_LONGEST_IDLE = 0.1


class Runs(Protocol):
    """What the dispatcher asks of `engine.runs.service.Runs`."""

    async def pick_up_abandoned(self, limit: int) -> int: ...


class Delivery(Protocol):
    """What the dispatcher asks of `engine.delivery.service.Delivery`."""

    async def deliver_due(self, limit: int) -> int: ...

    async def recover(self, limit: int) -> int: ...


class Sweeps(Protocol):
    """What the dispatcher asks of `engine.intake.sweeping.Sweeper`."""

    async def sweep(self, limit: int) -> int: ...

    async def refresh(self, limit: int) -> int: ...


@dataclass
class Backoff:
    """Waits that double from `first` to `longest`, each shortened by chance by up to a half.

    Chance keeps many processes that lost the service together from coming back together.
    """

    first: timedelta = timedelta(milliseconds=200)
    longest: timedelta = timedelta(seconds=30)
    chance: random.Random = field(default_factory=random.Random)

    def wait(self, attempts: int) -> timedelta:
        """How long to wait after that many failures in a row, from 1."""
        whole: timedelta = min(self.longest, self.first * 2.0 ** min(attempts - 1, 30))
        return whole * (0.5 + self.chance.random() / 2)


class Dispatcher:
    """One process's share of the dispatching; any number may work on one database."""

    def __init__(
        self,
        store: Store,
        driver: Driver,
        runs: Runs,
        delivery: Delivery,
        sweeps: Sweeps,
        clock: Clock,
        *,
        limit: int = 200,
        at_once: int = 32,
        backoff: Backoff | None = None,
        more: Mapping[str, Callable[[], Awaitable[int]]] | None = None,
    ) -> None:
        """`more` are further jobs by name; each returns how many things it did."""
        self._store = store
        self._driver = driver
        self._runs = runs
        self._delivery = delivery
        self._clock = clock
        self._limit = limit
        self._places = asyncio.Semaphore(at_once)
        self._backoff = backoff or Backoff()
        self._failures = 0
        self._away_until: datetime | None = None
        self._wake = asyncio.Event()
        self._jobs: dict[str, tuple[Callable[[], Awaitable[int]], float]] = {
            "outbox": (self._dispatch, _LONGEST_IDLE),
            "deliver": (lambda: delivery.deliver_due(limit), _LONGEST_IDLE),
            "sweep": (lambda: sweeps.sweep(limit), _LONGEST_IDLE),
            "refresh": (lambda: sweeps.refresh(limit), 1.0),
            "abandoned": (lambda: runs.pick_up_abandoned(limit), 0.5),
            "recover": (lambda: delivery.recover(limit), 1.0),
            "measure": (self._measure, 1.0),
            **{name: (job, 0.5) for name, job in (more or {}).items()},
        }

    def wake(self) -> None:
        """Look at once instead of at the end of the idle pause; call it from the event loop's thread."""
        self._wake.set()

    async def step(self) -> int:
        """One round of every job; how many things were done."""
        done = await asyncio.gather(*(self._round(name) for name in self._jobs))
        return sum(done)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; what was begun is finished first."""
        async with asyncio.TaskGroup() as group:
            for name in self._jobs:
                group.create_task(self._keep_doing(name, stop), name=f"dispatcher-{name}")

    async def _keep_doing(self, name: str, stop: asyncio.Event) -> None:
        longest = self._jobs[name][1]
        idle = _SHORTEST_IDLE
        while not stop.is_set():
            try:
                done = await self._round(name)
            # It would end every other job of the process as well, and again after a restart.
            except Exception as error:  # noqa: BLE001
                _log.error("dispatcher round broke", job=name, error=where(error))
                measuring.BROKEN.labels(name).inc()
                done = 0
            idle = _SHORTEST_IDLE if done else min(idle * 2, longest)
            await self._rest(_PAUSES.get(name, _BUSY_PAUSE) if done else idle, stop)

    async def _rest(self, seconds: float, stop: asyncio.Event) -> None:
        """Pause, but not beyond `stop` or `wake`."""
        if not seconds:
            await asyncio.sleep(0)
            return
        waiting = [asyncio.ensure_future(event.wait()) for event in (stop, self._wake)]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        self._wake.clear()

    async def _round(self, name: str) -> int:
        work = self._jobs[name][0]
        try:
            done = await work()
        except (SQLAlchemyError, WaylineError) as error:
            # The database may be restarting, or nothing is published yet; every job is made to be repeated.
            _log.warning("dispatcher round failed", job=name, error=type(error).__name__)
            return 0
        if done:
            measuring.ROUNDS.labels(name).inc(done)
        return done

    async def _dispatch(self) -> int:
        """Claim what is due and tell the driver; nothing while it is away."""
        now = self._clock.now()
        if self._is_resting(now):
            return 0
        errands = await self._store.run(self._claim, now)
        if not errands:
            return 0
        results = await asyncio.gather(*(self._tell(errand) for errand in errands))
        told = [
            row_id
            for errand, result in zip(errands, results, strict=True)
            if result is True
            for row_id in (errand.id, *errand.repeats)
        ]
        untried = [errand.id for errand, result in zip(errands, results, strict=True) if result is None]
        failures = [result for result in results if isinstance(result, Failure)]
        await self._store.run(self._settle, told, untried, failures)
        return len(told)

    async def _measure(self) -> int:
        behind = await self._store.run(self._look_behind, self._clock.now())
        measuring.OUTBOX_OPEN.set(behind.open)
        measuring.OUTBOX_LAG.set(behind.lag.total_seconds())
        return 0

    async def _tell(self, errand: Errand) -> bool | Failure | None:
        """True when told; a Failure when it was tried in vain; None when the driver is known to be away."""
        async with self._places:
            if self._is_resting(self._clock.now()):
                return None
            try:
                await self._call(errand)
            except DriverUnavailable as error:
                return self._failure(errand, error, self._driver_is_away())
            # The driver is a plugin, found by entry point: whatever it raises, the other keys go on.
            except Exception as error:  # noqa: BLE001
                _log.error("errand failed", kind=errand.kind, key=errand.key, error=repr(error))
                return self._failure(
                    errand, error, self._clock.now() + self._backoff.wait(errand.attempts + 1)
                )
            self._failures, self._away_until = 0, None
            measuring.DISPATCHED.labels(errand.kind, "told").inc()
            measuring.DISPATCHED.labels(errand.kind, "told_together").inc(len(errand.repeats))
            return True

    def _is_resting(self, now: datetime) -> bool:
        return self._away_until is not None and now < self._away_until

    def _driver_is_away(self) -> datetime:
        """When to try again; calls that fail side by side count as one failure."""
        now = self._clock.now()
        if self._away_until is None or now >= self._away_until:
            self._failures += 1
            self._away_until = now + self._backoff.wait(self._failures)
            _log.warning("workflow service is away", failures=self._failures, until=self._away_until)
        return self._away_until

    def _failure(self, errand: Errand, error: Exception, next_at: datetime) -> Failure:
        measuring.DISPATCHED.labels(errand.kind, "failed").inc()
        return Failure(errand.id, next_at, f"{type(error).__name__}: {error}")

    async def _call(self, errand: Errand) -> None:
        match errand.kind:
            case "run.start":
                await self._driver.start(_run(errand))
            case outbox.SIGNAL:
                nudge = Nudge(errand.payload.get("reason", ""), errand.payload.get("reference", ""))
                await self._driver.signal(_run(errand), nudge)
            case "run.cancel":
                await self._driver.cancel(_run(errand), errand.payload.get("reason", ""))
            case "breaker.watch":
                breaker, _, scope = errand.key.partition("/")
                await self._driver.watch_breaker(breaker, scope)
            case other:
                raise ValueError(f"the outbox holds a row of unknown kind {other!r}")

    def _claim(self, now: datetime) -> list[Errand]:
        with self._store.read() as session:
            if not outbox.has_open(session):
                return []
        with self._store.begin() as session:
            return outbox.claim(session, now, self._limit)

    def _look_behind(self, now: datetime) -> Backlog:
        with self._store.read() as session:
            return outbox.backlog(session, now)

    def _settle(self, told: list[int], untried: list[int], failures: list[Failure]) -> None:
        with self._store.begin() as session:
            outbox.finish(session, told)
            outbox.give_back(session, untried)
            outbox.postpone(session, failures)


def _run(errand: Errand) -> RunRef:
    payload = errand.payload
    return RunRef(
        run_id=errand.key,
        journey=payload["journey"],
        contact_id=payload["contact_id"],
        entry_key=payload["entry_key"],
        version=payload["version"],
        priority=payload.get("priority", 50),
        lane=Lane(payload.get("lane", Lane.NORMAL)),
        bundle=payload.get("bundle", ""),
        standing=_standing(errand) if "waiting" in payload else None,
    )


def _standing(errand: Errand) -> Standing:
    payload = errand.payload
    due = payload["due_at"]
    return Standing(
        payload["revision"],
        payload["waiting"],
        payload["step"],
        datetime.fromisoformat(due) if due is not None else None,
    )
