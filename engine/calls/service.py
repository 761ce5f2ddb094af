"""Calls made: by the process that carries the run right after its commit, or by whoever finds them due.

The hand-over is committed before the action is called and its answer after it, in separate transactions. An
action that is idempotent is asked again with the same key until it answers; one that is not is never asked
again once its answer is missing.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import ValidationError
from sqlalchemy.orm import Session

from engine.authoring.bundle import ActionConfig, Bundle
from engine.calls.measuring import count_call
from engine.calls.rows import (
    LEASE,
    Halted,
    Moments,
    apply,
    has_due,
    is_free,
    lock_call,
    release,
    take_due,
)
from engine.calls.settling import (
    STAGE,
    Aftermath,
    CallState,
    Tried,
    aftermath_of,
    failed,
    too_late,
    unknown,
)
from engine.clock import Clock
from engine.delivery.gate_rules import gate_rules
from engine.delivery.recording import lock_run, tell_run
from engine.delivery.viewing import Situation, address_of, lock_standing, read_situation
from engine.errors import NotFound, PluginError
from engine.gate.model import Answer, Intent, Verdict
from engine.gate.stages import check_halt
from engine.gate.state import Moment, PublishedBreaker, Standing, View
from engine.journeys.run import CallOutcome
from engine.plugin.actions import Action, ActionResult, Call, Done
from engine.plugin.calling import call_action
from engine.plugin.registry import Registry
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import CallRow

TIMEOUT = timedelta(seconds=30)
"""Delivery time an action has for one answer; shorter than the lease that covers it."""
_UNAVAILABLE_PAUSE = timedelta(minutes=1)
_RAMP_PAUSE = timedelta(seconds=30)


@dataclass(frozen=True)
class _Begun:
    """A call whose hand-over is committed: its action may be called now."""

    call: Call
    action: Action
    key: str
    lease: str
    tried: Tried


class Calls:
    """Makes calls, from any number of processes at once; `at_once` bounds those in flight of one process."""

    def __init__(
        self, store: Store, shelf: BundleShelf, registry: Registry, clock: Clock, *, at_once: int = 16
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._registry = registry
        self._clock = clock
        self._at_once = asyncio.Semaphore(at_once)
        self._open: dict[str, Action] = {}

    async def perform(self, key: str) -> str | None:
        """How the call ended; None while it has not: it is halted, tried again later, or at another process.

        For whoever carries the run: nobody is told of the end.
        """
        return await self._perform(key, None)

    async def perform_due(self, limit: int) -> int:
        """Make what is due, was halted or was left lying, at most `limit`; how many were taken up."""
        taken = await self._store.run_writing(self._take_due, limit)

        async def one(key: str, lease: str) -> None:
            async with self._at_once:
                await self._perform(key, lease)

        results = await asyncio.gather(*(one(*each) for each in taken), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                # Its lease ends by itself; the others of this round have been made all the same.
                raise result
        return len(taken)

    async def _perform(self, key: str, lease: str | None) -> str | None:
        found = await self._store.run_writing(self._begin, key, lease)
        if not isinstance(found, _Begun):
            return found
        result = await call_action(found.action, found.call, key, TIMEOUT)
        return await self._store.run_writing(self._settle, found, result, lease is None)

    def _take_due(self, limit: int) -> list[tuple[str, str]]:
        now = self._clock.now()
        with self._store.read() as session:
            halted = self._halted(session)
            if not has_due(session, halted, now):
                return []
        with self._store.begin() as session:
            return take_due(session, halted, [_new_lease() for _ in range(limit)], now)

    def _begin(self, key: str, lease: str | None) -> _Begun | str | None:
        """Commit the hand-over, or what stands against it; `lease` is one that was taken before."""
        now = self._clock.now()
        with self._store.begin() as session:
            wish = session.get(CallRow, key)
            if wish is None:
                return None
            standing = lock_standing(session, wish.contact_id)
            situation = read_situation(session, share=True)
            run = lock_run(session, wish.run_id if lease is not None else None)
            row = lock_call(session, key)
            assert row is not None, "calls are not deleted"
            if row.outcome is not None:
                return row.outcome
            if row.lease != lease if lease is not None else not is_free(row, now):
                return None
            at = Moments(situation.time.at(now), now)
            begun = self._judge(session, row, standing, situation, now)
            match begun:
                case Aftermath():
                    apply(session, row, begun, at)
                    if begun.outcome is not None:
                        tell_run(session, run, key, now)
                    return begun.outcome
                case Answer():
                    ready_at = begun.retry_at if begun.retry_at is not None else now
                    release(session, row, begun, ready_at, at)
                    return None
            row.state = CallState.HANDED_OVER.value
            row.attempts = begun.tried.attempts
            row.handed_over_at = row.handed_over_at or at.journey
            row.lease, row.ready_at, row.updated_at = begun.lease, now + LEASE, now
            return begun

    def _judge(
        self,
        session: Session,
        row: CallRow,
        standing: Standing | None,
        situation: Situation,
        now: datetime,
    ) -> _Begun | Aftermath | Answer:
        """Whether the action may be called now; an end or a hold when not."""
        live = self._shelf.live(session)
        tried = Tried(row.attempts, row.state == CallState.HANDED_OVER, row.deadline_at)
        config = self._config(session, row, live)
        action = self._action(config)
        if tried.in_doubt and action is not None and not action.idempotent:
            return unknown(tried.attempts)
        if now >= row.deadline_at:
            return too_late(tried, row.code)
        gone = _gone(standing)
        if gone is not None:
            return unknown(tried.attempts) if tried.in_doubt else gone
        halt = _halt(row, live, situation, now)
        if halt is not None:
            return halt
        if action is None:
            return Answer(
                Verdict.HOLD,
                STAGE,
                "call.unavailable",
                would_pass_if="the action's plugin is installed and its settings can be used",
                retry_at=now + _UNAVAILABLE_PAUSE,
            )
        try:
            values = action.values.model_validate(row.told)
        except ValidationError:
            evidence = {"attempts": tried.attempts, "code": "values"}
            return failed("call.failed", evidence, "the step told the action what it takes", "values")
        address = ""
        if config is not None and config.identity is not None:
            found = address_of(session, row.contact_id, config.identity)
            if found is None:
                return unknown(tried.attempts) if tried.in_doubt else _without_address(config.identity)
            address = found
        call = Call(values, row.contact_id, row.journey, row.step_id, row.run_id, row.variables, address)
        return _Begun(call, action, row.key, _new_lease(), replace(tried, attempts=tried.attempts + 1))

    def _settle(self, begun: _Begun, result: ActionResult, carried: bool) -> str | None:
        """Write down what the action answered; the outcome, if there is one now."""
        now = self._clock.now()
        after = aftermath_of(begun.tried, result, now, may_repeat=begun.action.idempotent)
        count_call(begun.action.name, after.answer.reason, after.code)
        with self._store.begin() as session:
            situation = read_situation(session)
            run = lock_run(session, None if carried else begun.call.run_id)
            row = lock_call(session, begun.key)
            assert row is not None, "calls are not deleted"
            # A late answer of somebody whose lease is over settles only what nobody else could tell.
            is_late = row.lease != begun.lease
            if is_late and not (row.outcome == CallOutcome.UNKNOWN and isinstance(result, Done)):
                return row.outcome
            apply(session, row, after, Moments(situation.time.at(now), now))
            if row.outcome is not None and not is_late:
                tell_run(session, run, row.key, now)
            return row.outcome

    def _halted(self, session: Session) -> Halted:
        """Whose calls are not even looked at now; nothing is written for them until that is over."""
        try:
            situation, live = read_situation(session), self._shelf.live(session)
        except NotFound:
            return Halted(everything=True)
        stopped = {each.scope for each in situation.breakers if each.state == "open" or each.ramp is None}
        journeys = {
            scope.removeprefix("journey:") for scope in stopped if scope.startswith("journey:")
        } | set(live.paused_journeys)
        return Halted(
            everything=situation.kill_reason is not None or "workspace" in stopped,
            journeys=frozenset(journeys),
            purposes=frozenset(live.paused_purposes),
        )

    def _config(self, session: Session, row: CallRow, live: Bundle) -> ActionConfig | None:
        """The action as the ruleset in force sets it, or else the one that the run is pinned to."""
        found = live.actions.get(row.action)
        if found is None and row.bundle_hash != live.hash:
            try:
                return self._shelf.get(session, row.bundle_hash).actions.get(row.action)
            except NotFound:
                return None
        return found

    def _action(self, config: ActionConfig | None) -> Action | None:
        """The action, ready; None when its plugin or its settings cannot be used."""
        if config is None:
            return None
        key = json.dumps([config.plugin, config.settings], sort_keys=True, default=str)
        if key not in self._open:
            try:
                self._open[key] = self._registry.action(config.plugin, config.settings)
            except PluginError:
                return None
        return self._open[key]


def _gone(standing: Standing | None) -> Aftermath | None:
    """The end of a call for somebody who is not there any more."""
    if standing is None:
        return failed("suppressed.no_contact", {}, "the contact exists", "no_contact")
    if standing.is_erased:
        return failed("suppressed.erased", {}, "nothing: the contact was erased", "erased")
    if standing.is_merged:
        return failed("suppressed.merged", {}, "the call is meant for the merged contact", "merged")
    return None


def _without_address(platform: str) -> Aftermath:
    """The end of a call that is about an address the contact does not have."""
    would_pass_if = f"the contact has an address on {platform}"
    return failed("channel.no_identity", {"identity": platform}, would_pass_if, "no_identity")


def _halt(row: CallRow, live: Bundle, situation: Situation, now: datetime) -> Answer | None:
    """What stops messages of the journey as a whole stops its calls: the gate's first stage."""
    intent = Intent(
        key=row.key,
        contact_id=row.contact_id,
        purpose=row.purpose,
        priority=0,
        content="",
        channels=(),
        step_id=row.step_id,
        visit=row.visit,
        created_at=row.created_at,
        run_id=row.run_id,
        journey=row.journey,
    )
    view = View(
        rules=gate_rules(live),
        standing=None,
        kill_reason=situation.kill_reason,
        breakers=tuple(map(_without_probes, situation.breakers)),
        time=situation.time,
    )
    answer = check_halt(intent, view, Moment.of(now, situation.time))
    if answer.verdict is Verdict.ALLOW:
        return None
    is_on_ramp = answer.reason == "breaker.half_open"
    return replace(answer, retry_at=now + _RAMP_PAUSE) if is_on_ramp else answer


def _without_probes(breaker: PublishedBreaker) -> PublishedBreaker:
    """Probes are messages; a call waits until the breaker lets a share through."""
    return replace(breaker, probes_left=0)


def _new_lease() -> str:
    return f"{os.getpid()}-{secrets.token_hex(6)}"
