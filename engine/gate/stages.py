"""The gate's stages, each a function of the intent, what the gate sees and the moment; numbered as designed.

Stages 1 and 2 look at the intent as a whole, 3 to 7 at one candidate channel, and so does the hold-out
between 7 and 8; stage 6 is in `engine.gate.quiet`. Anything unknown that protects a person blocks. Evidence
never holds an address, a name or a text.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from engine.experiments.holding_out import HoldOut
from engine.gate.consent import ConsentState, consent_for
from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.reviewing import check_review
from engine.gate.state import Identity, Moment, Passage, PublishedBreaker, View


class Stage(StrEnum):
    """Names as they stand in decisions; the order of definition is the order of the gate."""

    HALT = "halt"
    STANDING = "standing"
    BREAKER = "breaker"
    IDENTITY = "identity"
    CONSENT = "consent"
    QUIET = "quiet"
    CAPS = "caps"
    BUDGET = "budget"
    HOLD_OUT = "hold_out"
    CONTENT = "content"
    RATE = "rate"
    RESERVE = "reserve"
    HAND_OVER = "hand_over"


KILL_SCOPE = "kill"
_OF_PLAN = "plan:"


def plan_scope(plan: str) -> str:
    """What holds messages while a plan pauses them."""
    return f"{_OF_PLAN}{plan}"


def is_of_plan(scope: str) -> bool:
    """Whether a plan holds what is held in this scope."""
    return scope.startswith(_OF_PLAN)


def check_halt(intent: Intent, view: View, now: Moment) -> Answer:
    """1: the kill switch, plans that pause, and breakers of the workspace, the journey and the content."""
    if view.kill_reason is not None:
        return Answer(
            Verdict.HOLD,
            Stage.HALT,
            "kill.switch",
            evidence={"stated_reason": view.kill_reason},
            would_pass_if="the kill switch is off",
            hold_scope=KILL_SCOPE,
        )
    rules = view.rules
    plan = rules.paused_purposes.get(intent.purpose) or rules.paused_journeys.get(intent.journey or "")
    if plan is not None:
        return Answer(
            Verdict.HOLD,
            Stage.HALT,
            "plan.paused",
            evidence={"plan": plan},
            would_pass_if=f"the plan {plan} is off",
            hold_scope=plan_scope(plan),
        )
    return _check_breakers(Stage.HALT, intent, view, now, breaker_scopes(intent, None), channel=None)


def check_standing(intent: Intent, view: View, now: Moment) -> Answer:
    """2: whether the contact may be reached at all, and whether the intent is still in time."""
    standing = view.standing
    if standing is None:
        return _blocked(Stage.STANDING, "suppressed.no_contact", "the contact exists")
    if standing.is_erased:
        return _blocked(Stage.STANDING, "suppressed.erased", "nothing: the contact was erased")
    if standing.is_merged:
        return _blocked(Stage.STANDING, "suppressed.merged", "the message is meant for the merged contact")
    if standing.suppressed is not None:
        return _blocked(
            Stage.STANDING,
            "suppressed.contact",
            "the suppression of the contact is removed",
            suppressed_for=standing.suppressed,
        )
    if intent.deadline_at is not None and now.delivery >= intent.deadline_at:
        return _expired("expired.deadline", "it is tried before its deadline", intent.deadline_at)
    if intent.expires_at is not None and now.journey >= intent.expires_at:
        return _expired("expired.held_too_long", "the hold ends sooner", intent.expires_at)
    return allowed(Stage.STANDING)


def check_channel_breaker(intent: Intent, view: View, now: Moment, channel: str) -> Answer:
    """3: the breakers of the channel."""
    return _check_breakers(Stage.BREAKER, intent, view, now, frozenset([f"channel:{channel}"]), channel)


def check_identity(intent: Intent, view: View, now: Moment, channel: str) -> Answer:
    """4: whether the channel is configured, has not refused this intent, and reaches an address in use."""
    platform = view.rules.platforms.get(channel)
    if platform is None:
        return _passed_over("channel.not_configured", channel, "the ruleset configures the channel")
    if channel in view.refused_by:
        return _passed_over(
            "channel.rejected", channel, "the provider had taken it", code=view.refused_by[channel]
        )
    known = [identity for identity in view.identities if identity.platform == platform]
    if not known:
        return _passed_over("channel.no_identity", channel, f"the contact has an address on {platform}")
    if usable_identity(view, channel) is None:
        return _passed_over(
            "channel.suppressed_address",
            channel,
            f"an address on {platform} is not suppressed",
            suppressed_for=sorted({identity.suppressed or "" for identity in known}),
        )
    return allowed(Stage.IDENTITY, channel)


def usable_identity(view: View, channel: str) -> Identity | None:
    """The address the channel would use: the latest added one that is not suppressed."""
    platform = view.rules.platforms.get(channel)
    for identity in view.identities:
        if identity.platform == platform and identity.suppressed is None:
            return identity
    return None


def check_consent(intent: Intent, view: View, now: Moment, channel: str) -> Answer:
    """5: consent for the purpose on the channel as it stands now.

    A purpose that rests on another ground than consent is stopped only by a refusal that names it; a legal
    one by none.
    """
    purpose = view.rules.purposes.get(intent.purpose)
    if purpose is None:
        return _no_consent("consent.unknown_purpose", channel, intent, "the ruleset defines the purpose")
    if purpose.kind == "legal":
        return allowed(Stage.CONSENT, channel)
    found = consent_for(view.consents, purpose, channel, now.journey)
    refused = found.state in {ConsentState.WITHDRAWN, ConsentState.DENIED}
    if found.is_granted or (not purpose.needs_consent and not refused):
        return allowed(Stage.CONSENT, channel)
    since: dict[str, Any] = {}
    if found.record is not None:
        since["since"] = found.record.recorded_at.isoformat()
    wanted = f"consent for {intent.purpose} on {channel} is on record and in force"
    if found.state is ConsentState.OUTDATED and found.record is not None:
        since |= {"given_under": found.record.purpose_version, "now": purpose.version}
    elif found.state is ConsentState.PENDING:
        wanted = "the contact confirms it by the link they were sent"
    return _no_consent(f"consent.{found.state.value}", channel, intent, wanted, **since)


def check_hold_out(intent: Intent, view: View, now: Moment, channel: str) -> Answer:
    """Between 7 and 8: whether the contact is held out of such messages, so that an effect can be measured.

    It is asked last of all that needs no text: who is held out then differs from who is not in the message
    alone, having waited as long for consent, hours and caps. Nothing it asks can be unknown. Only marketing
    is ever held back.
    """
    purpose = view.rules.purposes[intent.purpose]
    if purpose.kind != "marketing" or not view.rules.hold_outs:
        return allowed(Stage.HOLD_OUT, channel)
    today = now.journey.astimezone(ZoneInfo(view.rules.timezone)).date()
    for hold_out in view.rules.hold_outs:
        if (
            hold_out.is_on(today)
            and hold_out.concerns(intent.purpose, channel, intent.journey)
            and hold_out.holds(intent.contact_id)
        ):
            return _held_out(hold_out, intent, channel)
    return allowed(Stage.HOLD_OUT, channel)


def check_hand_over(intent: Intent, view: View, now: Moment, passage: Passage) -> Answer:
    """11: the kill switch, the breakers, the contact's standing and the text's approval once more.

    A half-open breaker lets the intent pass when it holds one of its probes.
    """
    probed = {(probe.breaker_id, probe.scope) for probe in passage.probes}
    for answer in (
        check_halt(intent, _without(view, probed), now),
        check_standing(intent, view, now),
        check_channel_breaker(intent, _without(view, probed), now, passage.channel),
    ):
        if answer.verdict is not Verdict.ALLOW:
            return replace(answer, stage=Stage.HAND_OVER, channel=passage.channel)
    if passage.sealed is not None:
        # Whoever took the approval back meanwhile has decided: nothing goes out after that.
        unapproved = check_review(
            passage.sealed, view.reviewed, intent.content, passage.channel, Stage.HAND_OVER
        )
        if unapproved is not None:
            is_refused = unapproved.verdict is Verdict.BLOCK
            return replace(unapproved, outcome=Outcome.BLOCKED) if is_refused else unapproved
    return allowed(Stage.HAND_OVER, passage.channel)


def _without(view: View, probed: set[tuple[str, str]]) -> View:
    """The view without the half-open breakers whose probes are in hand; without a probe none is left."""
    if not view.breakers:
        return view
    breakers = [
        replace(breaker, probes_left=0)
        for breaker in view.breakers
        if breaker.state != "half_open" or (breaker.breaker_id, breaker.scope) not in probed
    ]
    return replace(view, breakers=tuple(breakers))


def breaker_scopes(intent: Intent, channel: str | None) -> frozenset[str]:
    """The scopes whose breakers concern the intent; with a channel, its own scope as well."""
    scopes = {"workspace", f"content:{intent.content}"}
    if intent.journey is not None:
        scopes.add(f"journey:{intent.journey}")
    if channel is not None:
        scopes.add(f"channel:{channel}")
    return frozenset(scopes)


def lets_through(breaker: PublishedBreaker, intent_key: str) -> bool:
    """Whether a breaker in its present state lets this intent pass.

    On a ramp the share is taken by the key: an intent that passes at a low share passes at every higher one.
    """
    if breaker.state == "closed":
        return True
    if breaker.state != "half_open":
        return False
    if breaker.ramp is None:
        return breaker.probes_left > 0
    return share_of(intent_key) < breaker.ramp


def share_of(intent_key: str) -> float:
    """Where a key falls between 0 and 1; the same for ever, and even over many keys."""
    digest = hashlib.sha256(intent_key.encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _check_breakers(
    stage: Stage, intent: Intent, view: View, now: Moment, scopes: frozenset[str], channel: str | None
) -> Answer:
    for breaker in view.breakers:
        if breaker.scope in scopes and not lets_through(breaker, intent.key):
            return held_by(breaker, stage, view, now, channel)
    return allowed(stage, channel)


def held_by(breaker: PublishedBreaker, stage: Stage, view: View, now: Moment, channel: str | None) -> Answer:
    """The hold of a breaker that does not let an intent pass."""
    resume_within = view.rules.resume_within.get(breaker.breaker_id)
    return Answer(
        Verdict.HOLD,
        stage,
        f"breaker.{breaker.state}",
        channel=channel,
        evidence={
            "breaker": breaker.breaker_id,
            "scope": breaker.scope,
            "level": breaker.level,
            "metric": view.rules.metrics.get(breaker.breaker_id),
        },
        would_pass_if=f"breaker {breaker.breaker_id} on {breaker.scope} is closed",
        hold_scope=f"breaker:{breaker.scope}",
        worth_until=now.journey + resume_within if resume_within is not None else None,
    )


def _held_out(hold_out: HoldOut, intent: Intent, channel: str) -> Answer:
    evidence = {
        "hold_out": hold_out.id,
        "share": hold_out.share,
        "seed": hold_out.seed,
        "hash": hold_out.bucket(intent.contact_id),
        "until": hold_out.ends.isoformat(),
        "place": f"{hold_out.file}:{hold_out.line}" if hold_out.file else "",
    }
    return Answer(
        Verdict.BLOCK,
        Stage.HOLD_OUT,
        "experiment.held_out",
        channel=channel,
        evidence=evidence,
        would_pass_if=f"it is tried after {hold_out.ends.isoformat()}, the last day of {hold_out.id}",
        # One that is about some channels leaves the others open.
        outcome=Outcome.BLOCKED if not hold_out.channels else None,
    )


def _blocked(stage: Stage, reason: str, would_pass_if: str, **evidence: Any) -> Answer:
    return Answer(
        Verdict.BLOCK,
        stage,
        reason,
        evidence=evidence,
        would_pass_if=would_pass_if,
        outcome=Outcome.BLOCKED,
    )


@cache
def allowed(stage: Stage, channel: str | None = None) -> Answer:
    """Nothing stands against it there. Made once for all, as nearly every answer is one of these."""
    return Answer(Verdict.ALLOW, stage, channel=channel)


def _expired(reason: str, would_pass_if: str, limit: datetime) -> Answer:
    return Answer(
        Verdict.SKIP,
        Stage.STANDING,
        reason,
        evidence={"limit": limit.isoformat()},
        would_pass_if=would_pass_if,
        outcome=Outcome.EXPIRED,
    )


def _passed_over(reason: str, channel: str, would_pass_if: str, **evidence: Any) -> Answer:
    return Answer(
        Verdict.SKIP, Stage.IDENTITY, reason, channel=channel, evidence=evidence, would_pass_if=would_pass_if
    )


def _no_consent(reason: str, channel: str, intent: Intent, would_pass_if: str, **evidence: Any) -> Answer:
    return Answer(
        Verdict.BLOCK,
        Stage.CONSENT,
        reason,
        channel=channel,
        evidence={"purpose": intent.purpose, **evidence},
        would_pass_if=would_pass_if,
    )
