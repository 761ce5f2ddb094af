"""What an action's answer makes of a call; pure, as what a provider's answer makes of a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from engine.gate.model import Answer, Verdict
from engine.journeys.run import CallOutcome
from engine.plugin.actions import ActionResult, Done, Failed
from engine.plugin.contracts import Retry, Unknown

STAGE = "call"
"""Of the decisions about calls."""
DEADLINE = timedelta(days=1)
"""Delivery time a call may take where its step does not say."""
DROPPED = "dropped"
"""The outcome of a call whose run ended before it was made; no journey ever sees it."""
_LONGEST_PAUSE = timedelta(minutes=5)


class CallState(StrEnum):
    PLANNED = "planned"
    """Nothing was done, or the action's own word is that nothing was."""
    HANDED_OVER = "handed_over"
    """The action was called, and nobody knows yet what it did."""
    ENDED = "ended"


@dataclass(frozen=True)
class Tried:
    """How far a call has come when its action answers."""

    attempts: int
    """This one included."""
    in_doubt: bool
    """Whether nobody knows what an earlier try did."""
    deadline_at: datetime


@dataclass(frozen=True)
class Aftermath:
    """What becomes of a call."""

    state: CallState
    answer: Answer
    """The decision that it is."""
    outcome: CallOutcome | None = None
    ready_at: datetime | None = None
    """Delivery time of the next try; None when there is none."""
    code: str = ""
    results: Mapping[str, Any] = field(default_factory=dict)


def aftermath_of(tried: Tried, result: ActionResult, now: datetime, *, may_repeat: bool) -> Aftermath:
    """What an answer makes of the call; `may_repeat` says that a repeated key has one effect."""
    evidence = {"attempts": tried.attempts}
    match result:
        case Done(values):
            answer = Answer(Verdict.ALLOW, STAGE, "call.done", evidence=evidence)
            return Aftermath(CallState.ENDED, answer, CallOutcome.DONE, results=values)
        case Failed(code=code):
            return failed(
                "call.failed", {**evidence, "code": code}, "the action had been able to do it", code
            )
        case Retry(after=after, code=code) if not tried.in_doubt:
            at = now + max(after, pause_after(tried.attempts))
            return _again(tried, CallState.PLANNED, at, code, evidence)
        case Retry(after=after, code=code):
            # Nobody knows what the call before this one did, so it counts as in doubt until it is done.
            at = now + max(after, pause_after(tried.attempts))
            return _again(tried, CallState.HANDED_OVER, at, code, evidence)
        case Unknown() if may_repeat:
            at = now + pause_after(tried.attempts)
            return _again(tried, CallState.HANDED_OVER, at, "no_answer", evidence)
        case Unknown():
            return unknown(tried.attempts)


def failed(reason: str, evidence: Mapping[str, Any], would_pass_if: str, code: str) -> Aftermath:
    """It cannot be done."""
    answer = Answer(Verdict.FAIL, STAGE, reason, evidence=evidence, would_pass_if=would_pass_if)
    return Aftermath(CallState.ENDED, answer, CallOutcome.FAILED, code=code)


def expired(evidence: Mapping[str, Any], deadline_at: datetime, code: str) -> Aftermath:
    """Its time was over before it was done, and nothing was done."""
    answer = Answer(
        Verdict.SKIP,
        STAGE,
        "call.expired",
        evidence={**evidence, "deadline": deadline_at.isoformat()},
        would_pass_if="it had been done before its deadline",
    )
    return Aftermath(CallState.ENDED, answer, CallOutcome.EXPIRED, code=code)


def unknown(attempts: int) -> Aftermath:
    """Nobody will ever tell, and it is not repeated."""
    answer = Answer(
        Verdict.FAIL,
        STAGE,
        "call.unknown",
        evidence={"attempts": attempts},
        would_pass_if="the action had answered, or were idempotent",
    )
    return Aftermath(CallState.ENDED, answer, CallOutcome.UNKNOWN)


def too_late(tried: Tried, code: str) -> Aftermath:
    """Its time is over; whether something was done is known only if nothing is in doubt."""
    if tried.in_doubt:
        return unknown(tried.attempts)
    return expired({"attempts": tried.attempts}, tried.deadline_at, code)


def pause_after(attempts: int) -> timedelta:
    """How long to leave an action alone after that many tries."""
    return min(_LONGEST_PAUSE, timedelta(seconds=2.0 ** min(attempts - 1, 12)))


def _again(tried: Tried, state: CallState, at: datetime, code: str, evidence: Mapping[str, Any]) -> Aftermath:
    if at >= tried.deadline_at:
        in_doubt = tried.in_doubt or state is CallState.HANDED_OVER
        return too_late(Tried(tried.attempts, in_doubt, tried.deadline_at), code)
    answer = Answer(
        Verdict.HOLD,
        STAGE,
        "call.retry",
        evidence={**evidence, "code": code},
        would_pass_if="the action had been able to do it at once",
        retry_at=at,
    )
    return Aftermath(state, answer, ready_at=at, code=code)
