"""Delivery: intents taken up, brought through the gate, recovered after a crash, woken after a hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import ParamSpec, TypeVar

import structlog
from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.clock import Clock
from engine.contacts.profile import Profile
from engine.delivery.content import ContentPipeline
from engine.delivery.gate_state import SqlGateState
from engine.delivery.intents import wake
from engine.delivery.limits import Limits
from engine.delivery.onward import CarriedGateState, Onward
from engine.delivery.outlets import Outlets
from engine.delivery.passing import Means, pass_gate, resume_doubtful
from engine.delivery.viewing import Situation
from engine.gate.model import Intent, Outcome
from engine.gate.state import Claim, LeaseLost
from engine.plugin.registry import Registry
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.threads import Threads

P = ParamSpec("P")
R = TypeVar("R")

_log = structlog.get_logger(__name__)


class Delivery:
    """Brings intents to people, from any number of processes at once.

    `public_url` and `secret` go into unsubscribe links; `at_once` bounds the sends in flight of one call.
    """

    def __init__(
        self,
        store: Store,
        shelf: BundleShelf,
        registry: Registry,
        clock: Clock,
        *,
        public_url: str,
        secret: str,
        limits: Limits | None = None,
        at_once: int = 16,
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._clock = clock
        limits = limits or Limits()
        self._state = SqlGateState(store, shelf, lease=limits.lease)
        self._outlets = Outlets(registry)
        # Plugins that answer when they are done must not keep transactions from their threads.
        self._patience = Threads(at_once, name="plugins")
        self._means = Means(
            state=self._state,
            content=ContentPipeline(registry.generators, registry.checks, public_url, secret, limits),
            outlets=self._outlets,
            bundle_of=self._bundle_of,
            clock=clock,
            limits=limits,
            do=self._do,
            wait_for=self._wait_for,
        )
        self._at_once = asyncio.Semaphore(at_once)

    def plan(
        self,
        session: Session,
        intent: Intent,
        contact: Profile,
        now: datetime,
        situation: Situation | None = None,
    ) -> Claim | None:
        """Write a wish down in the caller's transaction, which holds its contact; `now` is delivery time.

        A `situation` that this transaction has read is not read again. After the commit the claim goes to
        `deliver`, which then need not ask for one. None when the wish was there already.
        """
        return self._state.plan(session, intent, contact, now, situation)

    async def deliver(
        self, key: str, *, carried: bool = False, claim: Claim | None = None, onward: Onward | None = None
    ) -> Outcome | None:
        """The intent's outcome; None when it is held, when another process is at it, or when there is none.

        Unless `carried`, the run that waits for the outcome is told of it. A `claim` that `plan` gave is
        worked on as it is. With `onward` the run is moved in the transaction that writes the outcome down, if
        this call is what ends the message.
        """
        means = self._means
        if onward is not None:
            means = replace(means, state=CarriedGateState(self._state, onward))
        if claim is None:
            found = await self._store.run_writing(self._state.claim, key, self._clock.now())
            if not isinstance(found, Claim):
                return found
            claim = found
        try:
            return await pass_gate(claim, means, carried=carried)
        except LeaseLost:
            # Somebody else ended it meanwhile (a withdrawal, say), or is still at it.
            return await self._store.run(self._state.outcome_of, key)

    async def deliver_due(self, limit: int) -> int:
        """Take up what is due, woken or left lying, at most `limit`; how many were taken up."""
        now = self._clock.now()
        if not await self._store.run(self._state.has_due, now):
            return 0
        taken = await self._store.run(self._state.claim_due, limit, now)
        await self._work_through(taken, lambda claim: pass_gate(claim, self._means, carried=False))
        return len(taken)

    async def recover(self, limit: int) -> int:
        """Bring on what was begun and whose lease ran out; how many intents.

        What was only reserved is planned again. What was handed over without a recorded result is repeated
        where the key makes it harmless or the purpose declares it, and is unknown otherwise.
        """
        now = self._clock.now()
        if not await self._store.run(self._state.has_left_lying, now):
            return 0
        planned = await self._store.run(self._state.give_up_reservations, limit, now)
        doubtful = await self._store.run(self._state.claim_in_doubt, limit, now)
        await self._work_through(doubtful, lambda claim: resume_doubtful(claim, self._means))
        return planned + len(doubtful)

    def wake_scope(self, session: Session, scope: str) -> int:
        """Plan again what `scope` (`kill`, `breaker:channel:email`) holds; how many intents."""
        return wake(session, scope, now=self._clock.now())

    async def close(self) -> None:
        """Close the channels in use, and let go of the threads of plugins."""
        await self._outlets.close()
        self._patience.dismiss()

    async def _do(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._store.run_writing(work, *args, **kwargs)

    async def _wait_for(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._patience.run(work, *args, **kwargs)

    async def _bundle_of(self, bundle_hash: str) -> Bundle:
        # Nearly always compiled already, and then no thread is worth its while.
        found = self._shelf.compiled(bundle_hash)
        return found if found is not None else await self._store.run(self._state.bundle, bundle_hash)

    async def _work_through(
        self, taken: list[tuple[str, str]], work: Callable[[Claim], Awaitable[object]]
    ) -> None:
        async def one(key: str, lease: str) -> None:
            async with self._at_once:
                try:
                    claim = await self._store.run(self._state.resume, key, lease, self._clock.now())
                    await work(claim)
                except LeaseLost:
                    _log.info("intent went to another process", intent=key)

        results = await asyncio.gather(*(one(*each) for each in taken), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                # Its lease ends by itself; the others of this round have been worked on all the same.
                raise result
