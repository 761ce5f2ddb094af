"""Delivery: intents taken up, brought through the gate, recovered after a crash, woken after a hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ParamSpec, TypeVar

import structlog
from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.clock import Clock
from engine.delivery.content import ContentPipeline
from engine.delivery.ending import Ended, settle_together
from engine.delivery.gate_state import SqlGateState
from engine.delivery.limits import Limits
from engine.delivery.onward import CarriedGateState, MeansOfRun, Onward
from engine.delivery.outlets import Outlets
from engine.delivery.pages import Pages, Taken, in_rounds
from engine.delivery.passing import Means, pass_gate, resume_doubtful
from engine.delivery.progress import Progress
from engine.delivery.setting_out import Departed, SettingOut, Wish
from engine.delivery.together import Together
from engine.delivery.viewing import Situation
from engine.delivery.waking import wake
from engine.delivery.writing import AskingWriters
from engine.gate.model import Outcome
from engine.gate.state import Claim, LeaseLost, Moment
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
        at_once: int = 32,
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._clock = clock
        limits = limits or Limits()
        self._state = SqlGateState(store, shelf, lease=limits.lease, secret=secret)
        self.outlets = Outlets(registry)
        """The channels in use, with their connections."""
        # Plugins that answer when they are done must not keep transactions from their threads.
        self._patience = Threads(at_once, name="plugins")
        writers = AskingWriters(store, registry, limits, clock)
        self._means = Means(
            state=self._state,
            content=ContentPipeline(
                registry.generators, registry.checks, public_url, secret, limits, clock, writers
            ),
            outlets=self.outlets,
            bundle_of=self._bundle_of,
            clock=clock,
            limits=limits,
            do=self._do,
            wait_for=self._wait_for,
        )
        self._setting_out = SettingOut(self._means.content, self.outlets, limits, self._state.has_leave)
        self._pages = Pages(store, shelf, self._setting_out, limits.lease)
        together = Together(self._settle_together, self._means.settle)
        self._together = _MeansOfMany(**vars(self._means), together=together)
        self._at_once = asyncio.Semaphore(at_once)

    def plan_each(
        self, session: Session, wishes: Sequence[Wish], now: datetime, situation: Situation
    ) -> list[Claim | None]:
        """Write wishes of different contacts down in the caller's transaction; `now` is delivery time.

        In this order. After the commit the claims go to `deliver`, which then need not ask for them; those
        that have departed already are to be given to their providers. None where the wish was there before.
        `situation` is what this transaction has read.
        """
        claims = self._state.plan_each(
            session, [(each.intent, each.contact) for each in wishes], now, situation
        )
        leaving = {
            claim.intent.key: claim
            for wish, claim in zip(wishes, claims, strict=True)
            if wish.departs and claim is not None
        }
        live = self._shelf.compiled(situation.live_bundle) if leaving and situation.live_bundle else None
        if live is None:
            return claims
        moment = Moment.of(self._clock.now(), situation.time)
        departed = self._setting_out.depart_each(
            session, list(leaving.values()), live, moment, self._state.lease
        )
        leaving = dict(zip(leaving, departed, strict=True))
        return [None if claim is None else leaving.get(claim.intent.key, claim) for claim in claims]

    def settle_each(self, session: Session, many: Sequence[Ended]) -> list[Progress | None]:
        """Write down plain ends in the caller's transaction, which holds their contacts and runs.

        How far each message has come then, in this order; None where nobody could go on from there.
        """
        return settle_together(session, self._shelf, many, self._state.secret)

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
            means = MeansOfRun(
                **{**vars(means), "state": CarriedGateState(self._state, onward)}, onward=onward
            )
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
        sends: list[asyncio.Task[None]] = []
        try:
            for page in in_rounds(taken):
                await self._set_out(page, sends)
        except BaseException:
            for send in sends:
                send.cancel()
            await asyncio.gather(*sends, return_exceptions=True)
            raise
        _raise_first(await asyncio.gather(*sends, return_exceptions=True))
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
        await self.outlets.close()
        self._patience.dismiss()

    async def _do(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._store.run_writing(work, *args, **kwargs)

    async def _wait_for(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._patience.run(work, *args, **kwargs)

    async def _bundle_of(self, bundle_hash: str) -> Bundle:
        # Nearly always compiled already, and then no thread is worth its while.
        found = self._shelf.compiled(bundle_hash)
        return found if found is not None else await self._store.run(self._state.bundle, bundle_hash)

    async def _set_out(self, page: Sequence[Taken], sends: list[asyncio.Task[None]]) -> None:
        """Bring a page, of different contacts, on its way; what providers are still at joins `sends`."""
        rest = list(page)
        undecided: list[asyncio.Task[None]] = []
        while rest:
            # No more are handed over than providers are given at once: what a crash leaves in doubt is that.
            places = await self._places(len(rest))
            now, rest = rest[:places], rest[places:]
            going: Sequence[Taken | Claim]
            try:
                going = await self._store.run_writing(self._pages.set_out, now, self._clock.now())
            except Exception as error:  # noqa: BLE001 - who is at fault shows it alone, and is heard of
                _log.warning("messages are taken one by one", error=type(error).__name__)
                going = now
            except BaseException:
                self._leave(places)
                raise
            self._leave(places - len(going))
            for each in going:
                send = asyncio.create_task(self._pass(each))
                send.add_done_callback(lambda _: self._leave(1))
                sends.append(send)
                if not isinstance(each, Departed):
                    undecided.append(send)
        # Of a contact's messages, the first shall have found its place before the next looks for its own.
        await asyncio.gather(*undecided, return_exceptions=True)

    async def _places(self, most: int) -> int:
        """As many places as are free, one at the least and `most` at the most."""
        await self._at_once.acquire()
        taken = 1
        while taken < most and not self._at_once.locked():
            await self._at_once.acquire()
            taken += 1
        return taken

    def _leave(self, places: int) -> None:
        for _ in range(places):
            self._at_once.release()

    async def _pass(self, found: Taken | Claim) -> None:
        """Bring one message on its way: from where the page brought it, or from the start."""
        try:
            claim = found if isinstance(found, Claim) else await self._resumed(found.key, found.lease)
            await pass_gate(claim, self._together, carried=False)
        except LeaseLost as lost:
            _log.info("intent went to another process", intent=str(lost))

    async def _resumed(self, key: str, lease: str) -> Claim:
        return await self._store.run(self._state.resume, key, lease, self._clock.now())

    async def _settle_together(self, many: Sequence[Ended]) -> Sequence[Outcome | None]:
        return await self._store.run_writing(self._state.settle_together, many)

    async def _work_through(
        self, taken: list[tuple[str, str]], work: Callable[[Claim], Awaitable[object]]
    ) -> None:
        async def one(key: str, lease: str) -> None:
            async with self._at_once:
                try:
                    await work(await self._resumed(key, lease))
                except LeaseLost:
                    _log.info("intent went to another process", intent=key)

        _raise_first(await asyncio.gather(*(one(*each) for each in taken), return_exceptions=True))


@dataclass(frozen=True)
class _MeansOfMany(Means):
    """Means of messages that are on their way side by side: what became of them is written together."""

    together: Together[Ended, Outcome | None] = field(kw_only=True)

    async def settle(self, ended: Ended) -> Outcome | None:
        return await (self.together.do(ended) if ended.is_plain else super().settle(ended))


def _raise_first(results: Iterable[object]) -> None:
    """Raise what one of them failed with: its lease ends by itself, and the others were worked on."""
    for result in results:
        if isinstance(result, BaseException):
            raise result
