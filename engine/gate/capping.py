"""Stages 7 and 10: what frequency caps say of an intent on one channel; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.gate.arbitration import may_wait_until, value_of
from engine.gate.caps import CapsAnswer, Moments, look, look_ahead, moments_of, zones_of
from engine.gate.coming import able_rivals
from engine.gate.concerning import caps_on
from engine.gate.model import Answer, Cap, Intent, Outcome, Purpose, Verdict, WhenFull
from engine.gate.stages import Stage, allowed
from engine.gate.state import Moment, View
from engine.gate.tolerance import silent_until, told, tolerated
from engine.gate.valuing import worth_told


def check_caps(intent: Intent, view: View, now: Moment, channel: str, *, stage: Stage = Stage.CAPS) -> Answer:
    """7, and 10 when asked under the lock: whether every cap that applies leaves room, and no pause holds."""
    purpose = view.rules.purposes[intent.purpose]
    standing = view.standing
    assert standing is not None, "stage 2 stops intents without a contact"
    pause_ends = _pause(intent, purpose, view, now)
    if pause_ends is not None:
        return _silent(view, pause_ends, channel, stage)
    caps = tolerated(caps_on(intent, view.rules, channel, standing.tags), view.facts, now.journey)
    zones = zones_of(standing, view.rules.timezone)
    moments = moments_of(caps, view.places, now.journey, intent.key)
    found = look(caps, moments, zones=zones, now=now.journey)
    if not found.full:
        return _last_place(intent, caps, moments, zones, view, now, channel, stage)
    return _capped(intent, found, view, now, channel, stage)


def _pause(intent: Intent, purpose: Purpose, view: View, now: Moment) -> datetime | None:
    """The end of the pause after silence that concerns the intent; None when none does."""
    if view.standing is None or purpose.kind != "marketing" or intent.journey in view.rules.revivals:
        return None
    return silent_until(view.standing.silent_since, view.rules.silence, now.journey)


def _last_place(
    intent: Intent,
    caps: Sequence[Cap],
    moments: Moments,
    zones: Mapping[str, str],
    view: View,
    now: Moment,
    channel: str,
    stage: Stage,
) -> Answer:
    """Whether the intent takes the place that is free everywhere, or leaves it to others for a while."""
    contents = view.rules.content_values
    # Only where a cap looks ahead are there any.
    rivals = able_rivals(intent, view, now) if view.rivals else ()
    left = look_ahead(caps, moments, rivals, contents, zones=zones, now=now.journey, intent=intent)
    if left is None:
        return allowed(stage, channel)
    cap, yielded = left
    evidence = {
        "cap": cap.id,
        "value": value_of(intent.priority, intent.content, contents),
        **_of_contact(intent, view, now),
        "yields_to": [
            {
                "journey": rival.journey,
                "step": rival.step,
                "due_at": rival.due_at.isoformat(),
                "value": value_of(rival.priority, rival.content, contents),
            }
            for rival in yielded.to
        ],
        "until": yielded.until.isoformat(),
        "place": f"{cap.file}:{cap.line}" if cap.file else "",
    }
    deadline = view.time.at(intent.deadline_at) if intent.deadline_at is not None else None
    waits = may_wait_until(intent, yielded.until, deadline)
    return Answer(
        Verdict.HOLD if waits else Verdict.SKIP,
        stage,
        "cap.yielded",
        channel=channel,
        evidence=evidence,
        would_pass_if=f"nothing of higher value that {cap.id} counts is due by {yielded.until.isoformat()}",
        hold_until=yielded.until if waits else None,
        outcome=None if waits else Outcome.CAPPED,
    )


def _of_contact(intent: Intent, view: View, now: Moment) -> dict[str, Any]:
    """What the contact adds to the value, which is the same for all that compete here."""
    told = worth_told(intent, view, now.journey)
    return {name: told[name] for name in ("contact_value", "content_value", "priority") if name in told}


def _silent(view: View, pause_ends: datetime, channel: str, stage: Stage) -> Answer:
    silence, standing = view.rules.silence, view.standing
    assert silence is not None and standing is not None and standing.silent_since is not None
    return Answer(
        Verdict.SKIP,
        stage,
        "cap.silence",
        channel=channel,
        evidence={
            "silent_since": standing.silent_since.isoformat(),
            "pause_ends": pause_ends.isoformat(),
            "place": f"{silence.file}:{silence.line}" if silence.file else "",
        },
        would_pass_if=f"the contact gives a sign of life, or it is tried at {pause_ends.isoformat()}",
        outcome=Outcome.CAPPED,
    )


def _capped(intent: Intent, found: CapsAnswer, view: View, now: Moment, channel: str, stage: Stage) -> Answer:
    binding = found.binding
    cap = binding.cap
    wish = found.when_full
    frees_at = found.frees_at
    full = sorted(each.cap.id for each in found.full)
    evidence: dict[str, Any] = {
        "cap": cap.id,
        "limit": cap.limit,
        "used": binding.used,
        "frees_at": frees_at.isoformat(),
        "when_full": wish.value,
        "full": full,
        "place": f"{cap.file}:{cap.line}" if cap.file else "",
    }
    stated = next(each for each in view.rules.caps if each.id == cap.id)
    evidence |= told(stated, view.facts, now.journey)
    reason = "cap.full" if cap.limit is not None else "cap.too_soon"
    if cap.quota is not None:
        reason = "cap.quota"
        evidence["quota"] = {"source": cap.quota.source, "as_of": cap.quota.as_of}
    # A place in the cap that decides is no use while another one is full.
    counts = "counts" if len(full) == 1 else "count"
    would_pass_if = (
        f"it is tried at {frees_at.isoformat()} and nothing that {', '.join(full)} {counts} is sent before"
    )
    verdict, outcome, hold_until = Verdict.SKIP, None, None
    if wish is WhenFull.SKIP:
        outcome = Outcome.CAPPED
    elif wish is WhenFull.DEFER:
        latest = min(_latest_moments(intent, found), default=None)
        if latest is not None and frees_at >= latest:
            reason, outcome = "cap.defer_too_long", Outcome.CAPPED
            evidence["would_wait_until_at_most"] = latest.isoformat()
        else:
            verdict, hold_until = Verdict.HOLD, frees_at
    return Answer(
        verdict,
        stage,
        reason,
        channel=channel,
        evidence=evidence,
        would_pass_if=would_pass_if,
        hold_until=hold_until,
        outcome=outcome,
    )


def _latest_moments(intent: Intent, found: CapsAnswer) -> list[datetime]:
    """The moments (journey time) before which a deferred intent has to fit."""
    moments = [
        intent.created_at + each.cap.max_defer for each in found.full if each.cap.max_defer is not None
    ]
    return [*moments, intent.expires_at] if intent.expires_at is not None else moments
