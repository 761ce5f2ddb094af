"""Calls in virtual time: no action is called; whoever runs a simulation may say how they end.

What is not said is done. An end that is said comes at once, also one that takes its time in production.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from engine.authoring.bundle import Bundle
from engine.calls.settling import DEADLINE, STAGE
from engine.gate.model import Verdict
from engine.journeys.program import Scalar
from engine.journeys.run import CallEnded, CallOutcome, CallWish
from engine.simulation.records import Decided

_VERDICTS = {
    CallOutcome.DONE: Verdict.ALLOW,
    CallOutcome.FAILED: Verdict.FAIL,
    CallOutcome.EXPIRED: Verdict.SKIP,
    CallOutcome.UNKNOWN: Verdict.FAIL,
}


@dataclass(frozen=True)
class SaidCall:
    """How the call of a step ends; of several for one step each serves one call, the last one the rest."""

    step: str
    outcome: CallOutcome = CallOutcome.DONE
    results: Mapping[str, Scalar] = field(default_factory=dict)
    journey: str | None = None
    """None: of any."""
    contact_id: str | None = None
    """None: of anybody."""


class Calling:
    """The actions of a simulation."""

    def __init__(self, bundle: Bundle, decisions: list[Decided], said: Iterable[SaidCall] = ()) -> None:
        self._bundle = bundle
        self._decisions = decisions
        self._said = tuple(said)
        self._made: defaultdict[tuple[str, str, str], int] = defaultdict(int)

    def put_in_force(self, bundle: Bundle) -> None:
        """Let calls be held by what this bundle pauses, from now on."""
        self._bundle = bundle

    def is_held(self, purpose: str, journey: str) -> bool:
        """Whether a plan holds the calls of this purpose and journey now."""
        return purpose in self._bundle.paused_purposes or journey in self._bundle.paused_journeys

    def forget(self) -> None:
        """Let nothing have been called."""
        self._made.clear()

    def call(
        self, contact_id: str, platforms: Container[str], journey: str, wish: CallWish, now: datetime
    ) -> CallEnded | datetime:
        """How the call ends, or the moment at which its time is over because a plan holds it until then.

        `platforms` are those on which the contact has an address.
        """
        if self.is_held(wish.purpose, journey):
            self._decide(contact_id, journey, wish.step, Verdict.HOLD, "plan.paused", now)
            return now + (wish.deadline if wish.deadline is not None else DEADLINE)
        return self.make(contact_id, platforms, journey, wish.step, wish.action, now)

    def make(
        self,
        contact_id: str,
        platforms: Container[str],
        journey: str,
        step: str,
        action: str,
        now: datetime,
    ) -> CallEnded:
        """How a call ends that nothing holds."""
        config = self._bundle.actions.get(action)
        if config is not None and config.identity is not None and config.identity not in platforms:
            self._decide(contact_id, journey, step, Verdict.FAIL, "channel.no_identity", now)
            return CallEnded(step, CallOutcome.FAILED)
        end = self.say(contact_id, journey, step)
        return self.end(contact_id, journey, CallEnded(step, end.outcome, end.results), now)

    def say(self, contact_id: str, journey: str, step: str) -> SaidCall:
        """How the next call of a step ends."""
        said = [
            each
            for each in self._said
            if each.step == step and each.journey in (None, journey) and each.contact_id in (None, contact_id)
        ]
        number = self._made[contact_id, journey, step]
        self._made[contact_id, journey, step] += 1
        return said[min(number, len(said) - 1)] if said else SaidCall(step)

    def end(self, contact_id: str, journey: str, ended: CallEnded, now: datetime) -> CallEnded:
        """Write down how a call ended."""
        outcome = CallOutcome(ended.outcome)
        self._decide(contact_id, journey, ended.step, _VERDICTS[outcome], f"call.{outcome.value}", now)
        return ended

    def _decide(
        self, contact_id: str, journey: str, step: str, verdict: Verdict, reason: str, now: datetime
    ) -> None:
        self._decisions.append(
            Decided(now, "call", contact_id, journey, STAGE, verdict.value, reason, step=step)
        )
