"""The order of the stages over an intent's candidate channels, and what comes of it when none passes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from engine.changing import frozen
from engine.gate.budgeting import check_budgets
from engine.gate.capping import check_caps
from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.quiet import check_quiet
from engine.gate.stages import (
    Stage,
    allowed,
    check_channel_breaker,
    check_consent,
    check_halt,
    check_hold_out,
    check_identity,
    check_standing,
    usable_identity,
)
from engine.gate.state import Moment, View
from engine.gate.windowing import check_window, check_window_for

ChannelStage = Callable[[Intent, View, Moment, str], Answer]

CHANNEL_STAGES: tuple[ChannelStage, ...] = (
    check_channel_breaker,
    check_identity,
    check_window,
    check_consent,
    check_quiet,
    check_caps,
    check_budgets,
    check_hold_out,
)
"""Stages 3 to 7, and budgets and the hold-out behind them."""

_LIMITS = frozenset({Stage.CAPS, Stage.BUDGET, Stage.RESERVE})
"""Stages that count, and whose wish to wait is the file's own."""


@frozen
class Way:
    """A channel that passes every stage up to the content."""

    channel: str
    address: str
    earlier: Mapping[str, str]
    """Channels before it in the step's order -> why not, as reason codes."""


def judge(intent: Intent, view: View, now: Moment, tried: Mapping[str, Answer] | None = None) -> Way | Answer:
    """The first channel that passes, or the answer that stands against the intent.

    `tried` holds what later stages (content, reservation) already said against single channels in this pass.
    """
    # What has ended is not held: it would wait for the end of a halt only to be told that it is too late.
    for whole in (check_standing, check_halt):
        answer = whole(intent, view, now)
        if answer.verdict is not Verdict.ALLOW:
            return answer
    against: dict[str, Answer] = {}
    for channel in intent.channels:
        answer = (tried or {}).get(channel) or _channel(intent, view, now, channel)
        if answer.verdict is Verdict.ALLOW:
            identity = usable_identity(view, channel)
            assert identity is not None, "stage 4 stops channels without an address"
            return Way(channel, identity.address, {name: no.reason for name, no in against.items()})
        against[channel] = answer
        if ends_search(answer):
            break
    return _conclusion(against)


def confirm(
    intent: Intent, view: View, now: Moment, channel: str, *, within: Collection[str] | None = None
) -> Answer:
    """Stages 2, 4 (its window alone), 5, 6, 7 and budgets once more, for the chosen channel, over what is
    read under the contact's lock; `within` as in `Passage`. What other contacts take meanwhile, budgets find
    out when the amount is taken."""
    standing = check_standing(intent, view, now)
    if standing.verdict is not Verdict.ALLOW:
        return standing
    window = check_window_for(intent, view, now, channel, within=within)
    if window.verdict is not Verdict.ALLOW:
        return window
    consent = check_consent(intent, view, now, channel)
    if consent.verdict is not Verdict.ALLOW:
        return consent
    quiet = check_quiet(intent, view, now, channel)
    if quiet.verdict is not Verdict.ALLOW:
        return quiet
    caps = check_caps(intent, view, now, channel, stage=Stage.RESERVE)
    if caps.verdict is not Verdict.ALLOW:
        return caps
    return check_budgets(intent, view, now, channel, stage=Stage.RESERVE)


def confirm_again(intent: Intent, view: View, now: Moment, channel: str) -> Answer:
    """Stages 2, 5 and 6 for a message whose hand-over is in doubt and would be repeated: it has its places,
    but the contact may have withdrawn meanwhile, or it may be night by now."""
    answer = check_standing(intent, view, now)
    for stage in (check_consent, check_quiet):
        if answer.verdict is Verdict.ALLOW:
            answer = stage(intent, view, now, channel)
    return answer if answer.verdict is Verdict.ALLOW else replace(answer, stage=Stage.HAND_OVER)


def ends_search(answer: Answer) -> bool:
    """Whether an answer against one channel settles the intent, so that later channels are not asked.

    A full cap and a quiet hour say for themselves whether another channel may be tried; a breaker always lets
    the next one try.
    """
    deferred = answer.verdict is Verdict.HOLD and answer.stage in _LIMITS
    return answer.outcome is not None or deferred or answer.keeps_channel


def _channel(intent: Intent, view: View, now: Moment, channel: str) -> Answer:
    answer = allowed(Stage.HOLD_OUT, channel)
    for stage in CHANNEL_STAGES:
        answer = stage(intent, view, now, channel)
        if answer.verdict is not Verdict.ALLOW:
            return answer
    return answer


def _conclusion(against: Mapping[str, Answer]) -> Answer:
    """One answer for the intent out of those for its channels: held if waiting helps any of them."""
    answers = list(against.values())
    if not answers:
        return Answer(
            Verdict.BLOCK,
            Stage.IDENTITY,
            "channel.none",
            would_pass_if="the step names a channel",
            outcome=Outcome.BLOCKED,
        )
    reasons = {channel: answer.reason for channel, answer in against.items()}
    if answers[-1].outcome is not None:
        return _with_channels(answers[-1], reasons)
    holds = [answer for answer in answers if answer.verdict is Verdict.HOLD]
    if holds:
        return _with_channels(_joined(holds), reasons)
    decisive = max(answers, key=_progress)
    outcome = Outcome.BLOCKED
    if any(answer.reason == "channel.rejected" for answer in answers):
        outcome = Outcome.FAILED
    elif decisive.stage in _LIMITS:
        outcome = Outcome.CAPPED
    elif decisive.reason == "quiet.too_late":
        outcome = Outcome.EXPIRED
    return _with_channels(replace(decisive, outcome=outcome), reasons)


def _progress(answer: Answer) -> tuple[bool, int]:
    """How near an answer came to a send: a provider's own refusal, then the latest stage."""
    return answer.reason == "channel.rejected", list(Stage).index(Stage(answer.stage))


def _joined(holds: list[Answer]) -> Answer:
    """The first hold, to be looked at again as soon as any of them may end."""
    untils = [hold.hold_until for hold in holds if hold.hold_until is not None]
    retries = [hold.retry_at for hold in holds if hold.retry_at is not None]
    scopes = [hold.hold_scope for hold in holds if hold.hold_scope is not None]
    worth = [hold.worth_until for hold in holds if hold.worth_until is not None]
    return replace(
        holds[0],
        hold_until=min(untils, default=None),
        retry_at=min(retries, default=None),
        hold_scope=" ".join(dict.fromkeys(scopes)) or None,
        worth_until=max(worth) if len(worth) == len(holds) else None,
    )


def _with_channels(answer: Answer, reasons: Mapping[str, str]) -> Answer:
    if len(reasons) < 2:
        return answer
    return replace(answer, evidence={**answer.evidence, "channels": dict(reasons)})
