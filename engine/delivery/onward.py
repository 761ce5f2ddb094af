"""The end of a message and the next step of its run in one transaction, for the process that carries the run.

Apart they would be two transactions that lock the same rows one right after the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from engine.delivery import ending
from engine.delivery.ending import Ended
from engine.delivery.gate_state import SqlGateState
from engine.delivery.passing import Means
from engine.delivery.progress import Progress, outcome_in
from engine.errors import WaylineError
from engine.gate.model import Answer, Outcome, Verdict
from engine.gate.state import Aftermath, Attempt, Claim, Moment, Passage


class Onward(Protocol):
    """What whoever carries a run does where its message ends; `engine.runs.service.Runs` brings it."""

    async def settle(self, ended: Ended, alone: Callable[[], Awaitable[Outcome | None]]) -> Outcome | None:
        """Write down a plain end and move the run, together with those of other runs or `alone`."""

    def lock(self, session: Session) -> None:
        """Hold the contact and the run, before the message itself is locked."""

    def go_on(self, session: Session, ended: Progress) -> None:
        """Move the run, whose message has just ended in this transaction as told."""

    def give_up(self, error: Exception) -> None:
        """The run could not be moved, and nothing of this transaction was kept; it is repeated without it."""


class CarriedGateState(SqlGateState):
    """`GateState` for the messages of one run that the same process carries."""

    def __init__(self, state: SqlGateState, onward: Onward) -> None:
        super().__init__(state.store, state.shelf, lease=state.lease, secret=state.secret)
        self.providers = state.providers
        self._onward = onward

    def settle(
        self, claim: Claim, attempt: Attempt | None, aftermath: Aftermath, now: Moment, *, carried: bool
    ) -> Outcome | None:
        if aftermath.outcome is None:
            return super().settle(claim, attempt, aftermath, now, carried=carried)
        return self._end(
            lambda session: ending.settle(
                session,
                self.shelf,
                claim,
                attempt,
                aftermath,
                now,
                carried=carried,
                secret=self.secret,
            )
        )

    def conclude(
        self, claim: Claim, answer: Answer, now: Moment, *, passage: Passage | None, carried: bool
    ) -> Outcome | None:
        # Breakers are locked before runs, so where one is to be locked the run goes on by itself.
        if answer.verdict is Verdict.HOLD or (passage is not None and passage.probes):
            return super().conclude(claim, answer, now, passage=passage, carried=carried)
        return self._end(
            lambda session: ending.conclude(session, claim, answer, now, passage=passage, carried=carried)
        )

    def _end(self, end: Callable[[Session], Progress | None]) -> Outcome | None:
        try:
            with self.store.begin() as session:
                self._onward.lock(session)
                progress = end(session)
                if progress is not None and progress.outcome is not None:
                    self._onward.go_on(session, progress)
                return outcome_in(progress)
        except (WaylineError, SQLAlchemyError, LookupError, ValueError) as error:
            # Whatever keeps the run from going on must not cost us what the provider said.
            self._onward.give_up(error)
        with self.store.begin() as session:
            return outcome_in(end(session))


@dataclass(frozen=True, kw_only=True)
class MeansOfRun(Means):
    """Means of a message whose run the same process carries."""

    onward: Onward

    async def settle(self, ended: Ended) -> Outcome | None:
        if not ended.is_plain:
            return await super().settle(ended)
        return await self.onward.settle(ended, lambda: super(MeansOfRun, self).settle(ended))
