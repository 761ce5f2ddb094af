"""Runs that go on at about the same moment, moved in one transaction: what a message costs is shared by many.

A transaction costs as much as all that a message writes in it. What comes while one is at work makes up the
next; nobody waits for company, and where a company fails, each goes on alone.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from weakref import WeakKeyDictionary

import structlog
from sqlalchemy.orm import Session

from engine.clock import Clock
from engine.delivery.ending import Ended
from engine.delivery.progress import Progress, outcome_in
from engine.delivery.together import Together
from engine.gate.model import Outcome
from engine.runs.advancing import Advancing, Asked, Carried
from engine.runs.locking import Locked, lock_run, lock_runs
from engine.store.database import Store

MOST = 16
"""Runs that go on together; for as long as they are moved their contacts are held."""

_log = structlog.get_logger(__name__)


class Went(NamedTuple):
    """What came of a step."""

    outcome: Outcome | None
    """Of the message that ended; None where none did."""
    stands: Carried | None
    """Where the run stands now; None where it could not go on from there."""


@dataclass(frozen=True)
class Step:
    """A run that is to go on from where it stands, or from the end of its message."""

    run_id: str
    durable: bool
    """Whether its workflow asks."""
    ended: Ended | None
    """The end of its message, which is still to be written down."""
    alone: Callable[[], Awaitable[Went]]
    """The same in a transaction of its own."""


class Settles(Protocol):
    """Writes plain ends of messages down; `engine.delivery.service.Delivery` does it."""

    def settle_each(self, session: Session, many: Sequence[Ended]) -> list[Progress | None]: ...


class Company:
    """Moves runs together; of one event loop, one transaction at a time."""

    def __init__(self, store: Store, advancing: Advancing, delivery: Settles, clock: Clock) -> None:
        self._store = store
        self._advancing = advancing
        self._delivery = delivery
        self._clock = clock
        self._together: WeakKeyDictionary[asyncio.AbstractEventLoop, Together[Step, Went]] = (
            WeakKeyDictionary()
        )
        self._lock = threading.Lock()

    async def go(self, step: Step, real_now: datetime | None) -> Went:
        """Go on with others, unless whoever asks is ahead of the clock that they go by."""
        if real_now is not None and real_now > self._clock.now():
            return await step.alone()
        return await self._of_loop().do(step)

    def _of_loop(self) -> Together[Step, Went]:
        """Who waits on a loop can be told by that loop alone."""
        loop = asyncio.get_running_loop()
        with self._lock:
            found = self._together.get(loop)
            if found is None:
                found = self._together[loop] = Together(self._many, self._alone, most=MOST)
            return found

    async def _alone(self, step: Step) -> Went:
        return await step.alone()

    async def _many(self, steps: Sequence[Step]) -> list[Went]:
        went = await self._store.run_writing(self._move, steps)
        return [went.get(place) or await step.alone() for place, step in enumerate(steps)]

    def _move(self, steps: Sequence[Step]) -> dict[int, Went]:
        """What came of the steps, by their places, once that is committed; without those that go alone."""
        went: dict[int, Went] = {}
        left = list(range(len(steps)))
        with self._store.begin() as session:
            while left:
                locked = lock_runs(session, [steps[place].run_id for place in left])
                if len(steps) > 1:
                    alone = {each for each, run in locked.items() if self._advancing.goes_alone(session, run)}
                    left = [place for place in left if steps[place].run_id not in alone]
                # Of a contact's runs the second sees what became of the first.
                first = {locked[steps[place].run_id][0].id: place for place in reversed(left)}
                now = sorted(first.values())
                went |= self._move_each(session, {place: steps[place] for place in now}, locked)
                left = [place for place in left if place not in went]
        return went

    def _move_each(
        self, session: Session, steps: dict[int, Step], locked: dict[str, Locked]
    ) -> dict[int, Went]:
        """Steps of different contacts, by their places."""
        ends = {place: step.ended for place, step in steps.items() if step.ended is not None}
        progress = dict(zip(ends, self._delivery.settle_each(session, list(ends.values())), strict=True))
        asked: dict[int, Asked] = {}
        for place, step in steps.items():
            message = None
            if step.ended is not None:
                told = progress[place]
                if told is None or told.outcome is None:
                    continue
                message = (step.ended.claim.intent.key, told)
            asked[place] = Asked(locked[step.run_id], step.durable, message)
        stands = self._advancing.advance_each(session, list(asked.values()), self._clock.now())
        found = dict(zip(asked, stands, strict=True))
        return {place: Went(outcome_in(progress.get(place)), found.get(place)) for place in steps}


class GoingOn:
    """Moves one run where its message ends; `found` is where it stands then, once that is committed."""

    def __init__(
        self,
        company: Company,
        advancing: Advancing,
        run_id: str,
        key: str,
        clock: Clock,
        real_now: datetime | None,
        *,
        durable: bool,
    ) -> None:
        self.found: Carried | None = None
        self._company = company
        self._advancing = advancing
        self._run_id = run_id
        self._key = key
        self._clock = clock
        self._real_now = real_now
        self._durable = durable
        self._locked: Locked | None = None

    async def settle(self, ended: Ended, alone: Callable[[], Awaitable[Outcome | None]]) -> Outcome | None:
        async def by_itself() -> Went:
            return Went(await alone(), self.found)

        step = Step(self._run_id, self._durable, ended, by_itself)
        outcome, self.found = await self._company.go(step, self._real_now)
        return outcome

    def lock(self, session: Session) -> None:
        self._locked = lock_run(session, self._run_id, share=True)

    def go_on(self, session: Session, ended: Progress) -> None:
        assert self._locked is not None, "the run is locked first"
        asked = Asked(self._locked, self._durable, (self._key, ended))
        self.found = self._advancing.advance_each(session, [asked], later(self._clock, self._real_now))[0]

    def give_up(self, error: Exception) -> None:
        self.found = None
        _log.info("a message ended without its run", run_id=self._run_id, error=type(error).__name__)


def later(clock: Clock, real_now: datetime | None) -> datetime:
    """What the clock says, or what whoever is ahead of it says."""
    now = clock.now()
    return now if real_now is None else max(now, real_now)
