"""What a provider's answer makes of an intent; pure, the same in SQL and in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from engine.delivery.intents import IntentState
from engine.delivery.limits import Limits
from engine.gate.model import Answer, Intent, Outcome, Purpose, Verdict
from engine.gate.stages import Stage
from engine.gate.state import Aftermath, Attempt, Claim, Moment, Passage
from engine.plugin.contracts import Accepted, Capabilities, Rejected, Retry, SendResult, Unknown

_LONGEST_PAUSE = timedelta(minutes=5)


def attempt_of(passage: Passage, result: SendResult) -> Attempt:
    """The record of one call."""
    probe = bool(passage.probes)
    match result:
        case Accepted(provider_id, task):
            return Attempt(passage.channel, "accepted", provider_id=provider_id, is_probe=probe, task=task)
        case Retry(after, code, of_provider):
            busy_for = after if of_provider else None
            return Attempt(passage.channel, "retry", code, is_probe=probe, busy_for=busy_for)
        case Rejected(code=code, permanent_address=permanent):
            spoilt = passage.address if permanent else None
            return Attempt(passage.channel, "rejected", code, is_probe=probe, suppress_address=spoilt)
        case Unknown():
            return Attempt(passage.channel, "unknown", is_probe=probe)


def aftermath_of(
    claim: Claim,
    passage: Passage,
    result: SendResult,
    capabilities: Capabilities,
    limits: Limits,
    now: Moment,
) -> Aftermath:
    """What becomes of the intent after a call to its provider."""
    match result:
        case Accepted():
            return _ended(IntentState.ACCEPTED, Outcome.SENT, _sent(claim, passage))
        case Rejected(code=code):
            return _rejected(claim, passage, code)
        case Retry(after=after, code=code) if claim.in_doubt_on is None:
            return _busy(claim, passage, after, code, limits, now)
        case Retry(after=after):
            # Nobody knows what the call before this one did, so the intent may not go back to the start.
            return unanswered(claim, passage.channel, capabilities, limits, now, at_least=after)
        case Unknown():
            return unanswered(claim, passage.channel, capabilities, limits, now)


def unanswered(
    claim: Claim,
    channel: str,
    capabilities: Capabilities | None,
    limits: Limits,
    now: Moment,
    *,
    at_least: timedelta = timedelta(0),
) -> Aftermath:
    """Nobody can tell whether it was sent: repeat the key where that is safe or declared, else let it be."""
    purpose = claim.view.rules.purposes.get(claim.intent.purpose)
    if may_repeat(purpose, capabilities) and claim.attempts + 1 < limits.repeats:
        pause = max(at_least, pause_after(claim.attempts))
        if not _is_late(claim.intent, now.delivery + pause):
            return Aftermath(IntentState.HANDED_OVER, None, repeat_after=pause)
    return unknown_for_good(channel, claim.attempts + 1)


def unknown_for_good(channel: str, attempts: int) -> Aftermath:
    """Nobody will ever tell, and nothing is repeated; the place in the caps stays taken."""
    answer = Answer(
        Verdict.FAIL,
        Stage.HAND_OVER,
        "unknown.no_answer",
        channel=channel,
        evidence={"attempts": attempts},
        would_pass_if="the provider had answered, or took idempotency keys",
        outcome=Outcome.UNKNOWN,
    )
    return _ended(IntentState.UNKNOWN, Outcome.UNKNOWN, answer)


def may_repeat(purpose: Purpose | None, capabilities: Capabilities | None) -> bool:
    """Whether a key whose fate is unknown may be sent again: the provider turns it into one effect, or the
    ruleset declares that this purpose is delivered at least once."""
    if capabilities is not None and capabilities.idempotency_key:
        return True
    return purpose is not None and purpose.repeat_unknown and purpose.kind != "marketing"


def pause_after(attempts: int) -> timedelta:
    """How long to leave a provider alone after that many attempts before this one."""
    return min(_LONGEST_PAUSE, timedelta(seconds=2.0 ** min(attempts, 12)))


def _busy(
    claim: Claim, passage: Passage, after: timedelta, code: str, limits: Limits, now: Moment
) -> Aftermath:
    retry_at = now.delivery + max(after, pause_after(claim.attempts))
    evidence = {"code": code, "attempts": claim.attempts + 1}
    if claim.attempts + 1 >= limits.retries:
        answer = _failed("failed.retries", passage.channel, "the provider had been free", evidence)
        return _ended(IntentState.ENDED, Outcome.FAILED, answer, keeps_places=False)
    if _is_late(claim.intent, retry_at):
        answer = Answer(
            Verdict.SKIP,
            Stage.HAND_OVER,
            "expired.deadline",
            channel=passage.channel,
            evidence={**evidence, "retry_at": retry_at.isoformat()},
            would_pass_if="the provider had been free before the deadline",
            outcome=Outcome.EXPIRED,
        )
        return _ended(IntentState.ENDED, Outcome.EXPIRED, answer, keeps_places=False)
    hold = Answer(
        Verdict.HOLD,
        Stage.HAND_OVER,
        "rate.retry",
        channel=passage.channel,
        evidence=evidence,
        would_pass_if="the provider had been free",
        retry_at=retry_at,
    )
    return Aftermath(IntentState.HELD, hold, keeps_places=False)


def _rejected(claim: Claim, passage: Passage, code: str) -> Aftermath:
    tried = {*claim.view.refused_by, passage.channel}
    if any(channel not in tried for channel in claim.intent.channels):
        return Aftermath(IntentState.PLANNED, None)
    evidence = {"code": code, "refused_by": {**claim.view.refused_by, passage.channel: code}}
    answer = _failed("failed.rejected", passage.channel, "the provider had taken it", evidence)
    return _ended(IntentState.REJECTED, Outcome.FAILED, answer, keeps_places=False)


def _sent(claim: Claim, passage: Passage) -> Answer:
    evidence: dict[str, object] = {
        "content": claim.intent.content,
        "content_hash": passage.content_hash,
        "attempts": claim.attempts + 1,
    }
    if passage.earlier:
        evidence["channels"] = dict(passage.earlier)
    if passage.text:
        evidence["text"] = dict(passage.text)
    if passage.findings:
        evidence["findings"] = [dict(finding) for finding in passage.findings]
    if passage.adapted:
        evidence["adapted"] = list(passage.adapted)
    if passage.sealed is not None:
        evidence["review"] = passage.sealed.hash
    if passage.probes:
        evidence["probe_of"] = [f"{probe.breaker_id} on {probe.scope}" for probe in passage.probes]
    return Answer(
        Verdict.ALLOW,
        Stage.HAND_OVER,
        "sent.accepted",
        channel=passage.channel,
        evidence=evidence,
        outcome=Outcome.SENT,
    )


def _failed(reason: str, channel: str, would_pass_if: str, evidence: Mapping[str, object]) -> Answer:
    return Answer(
        Verdict.FAIL,
        Stage.HAND_OVER,
        reason,
        channel=channel,
        evidence=evidence,
        would_pass_if=would_pass_if,
        outcome=Outcome.FAILED,
    )


def _ended(state: IntentState, outcome: Outcome, answer: Answer, *, keeps_places: bool = True) -> Aftermath:
    return Aftermath(state, answer, outcome, keeps_places=keeps_places)


def _is_late(intent: Intent, at: datetime) -> bool:
    return intent.deadline_at is not None and at >= intent.deadline_at
