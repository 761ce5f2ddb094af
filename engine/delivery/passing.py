"""Carries one claimed intent through the gate and to its provider; the same for SQL and for virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import ParamSpec, Protocol, TypeVar

from engine.authoring.bundle import Bundle
from engine.clock import Clock
from engine.delivery.content import ContentPipeline, Made, answering
from engine.delivery.ending import Ended
from engine.delivery.intents import IntentState
from engine.delivery.limits import Limits
from engine.delivery.setting_out import Departed
from engine.delivery.settling import aftermath_of, attempt_of, may_repeat, unknown_for_good
from engine.errors import NotFound
from engine.gate.judging import Way, judge
from engine.gate.model import Answer, Outcome, Verdict
from engine.gate.stages import Stage, usable_identity
from engine.gate.state import Aftermath, Claim, Departure, GateState, Moment, Passage, RulesChanged
from engine.gate.windowing import answerable, check_window_for
from engine.plugin.calling import call_channel, call_preflight
from engine.plugin.contracts import Channel, Message, Preflight, SendResult

HALTED_PAUSE = timedelta(seconds=30)
"""Delivery time between two looks at a hand-over that must not be repeated while everything is stopped."""

P = ParamSpec("P")
R = TypeVar("R")


class Doing(Protocol):
    """How calls that keep their caller waiting are made: in a thread, or at once in virtual time."""

    def __call__(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]: ...


class OpenOutlets(Protocol):
    """Where configured channels come from."""

    def open(self, bundle: Bundle, channel: str) -> Channel | None: ...


async def at_once(work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """`Doing` without threads."""
    return work(*args, **kwargs)


@dataclass(frozen=True)
class Means:
    """What a passage needs beside the intent."""

    state: GateState
    content: ContentPipeline
    outlets: OpenOutlets
    bundle_of: Callable[[str], Awaitable[Bundle]]
    """By hash; NotFound for one that was never published."""
    clock: Clock
    """Delivery time."""
    limits: Limits
    do: Doing
    """How the memory is asked."""
    wait_for: Doing
    """How plugins are called that answer when they are done."""
    preflight: Callable[[Channel, Message, timedelta], Preflight] = call_preflight
    """How a channel is asked about a message, within a time-out."""
    send: Callable[[Channel, Message, str, timedelta], Awaitable[SendResult]] = call_channel
    """How a channel is given one with its key, within a time-out."""

    async def settle(self, ended: Ended) -> Outcome | None:
        """Write down what came of a call to a provider."""
        return await self.do(
            self.state.settle,
            ended.claim,
            ended.attempt,
            ended.aftermath,
            ended.now,
            carried=ended.carried,
        )

    def now(self, claim: Claim) -> Moment:
        return Moment.of(self.clock.now(), claim.view.time)


async def pass_gate(claim: Claim, means: Means, *, carried: bool) -> Outcome | None:
    """Bring a claimed intent as far as it goes; its outcome, or None when it is held.

    One that has departed already goes straight to its provider.

    Raises LeaseLost when somebody else took the intent over meanwhile. Cancelled or killed at any point it
    leaves the intent where its last transaction put it; leases and `resume_doubtful` do the rest.
    """
    if isinstance(claim, Departed):
        outcome, aftermath = await _send(
            claim, claim.passage, claim.channel, claim.message, means, carried=carried
        )
        if aftermath.state != IntentState.PLANNED:
            return outcome
        claim = await means.do(means.state.renew, claim, means.clock.now())
    while True:
        try:
            found = await _way_out(claim, await _live(claim, means), means)
        except RulesChanged:
            claim = await means.do(means.state.renew, claim, means.clock.now())
            continue
        if isinstance(found, Answer):
            return await means.do(
                means.state.conclude, claim, found, means.now(claim), passage=None, carried=carried
            )
        channel, message, departure = found
        passage = departure.passage
        if departure.stopped is not None:
            return await means.do(
                means.state.conclude,
                claim,
                departure.stopped,
                means.now(claim),
                passage=passage,
                carried=carried,
            )
        outcome, aftermath = await _send(claim, passage, channel, message, means, carried=carried)
        if aftermath.state != IntentState.PLANNED:
            return outcome
        # The provider refused it: everything runs again from stage 1, with the channel marked as tried.
        claim = await means.do(means.state.renew, claim, means.clock.now())


async def resume_doubtful(claim: Claim, means: Means) -> Outcome | None:
    """Settle a hand-over whose result nobody recorded: repeat its key if that does no harm, else unknown."""
    while True:
        try:
            return await _resume(claim, means)
        except RulesChanged:
            claim = await means.do(means.state.renew, claim, means.clock.now())


async def _resume(claim: Claim, means: Means) -> Outcome | None:
    channel_id = claim.in_doubt_on
    assert channel_id is not None, "only claims in doubt are resumed"
    repeatable = await _repeatable(claim, channel_id, means)
    if repeatable is None:
        aftermath = unknown_for_good(channel_id, claim.attempts)
    elif (held := await _admitted(claim, channel_id, means)) is not None:
        pause = held.retry_at - means.clock.now() if held.retry_at is not None else HALTED_PAUSE
        aftermath = Aftermath(IntentState.HANDED_OVER, None, repeat_after=pause)
    else:
        channel, message, passage = repeatable
        stopped = await means.do(means.state.hand_over, claim, passage, means.now(claim))
        if stopped is None:
            outcome, _ = await _send(claim, passage, channel, message, means, carried=False)
            return outcome
        if stopped.hold_until is not None:
            # The hours are quiet by now: it is asked again when they are over.
            pause = claim.view.time.real(stopped.hold_until) - means.clock.now()
            aftermath = Aftermath(IntentState.HANDED_OVER, stopped, repeat_after=pause)
        elif stopped.verdict is Verdict.HOLD:
            # The kill switch or a breaker forbids to repeat it now.
            aftermath = Aftermath(IntentState.HANDED_OVER, None, repeat_after=HALTED_PAUSE)
        else:
            # It came too late, or the contact must not or would not be reached any more: nobody will ever
            # ask again.
            aftermath = unknown_for_good(channel_id, claim.attempts)
    return await means.do(means.state.settle, claim, None, aftermath, means.now(claim), carried=False)


async def _repeatable(claim: Claim, channel_id: str, means: Means) -> tuple[Channel, Message, Passage] | None:
    """The same message once more for the same key; None when it must not or cannot be repeated."""
    live = await _live(claim, means)
    channel = means.outlets.open(live, channel_id)
    purpose = claim.view.rules.purposes.get(claim.intent.purpose)
    identity = usable_identity(claim.view, channel_id)
    if channel is None or identity is None or claim.attempts >= means.limits.repeats:
        return None
    if not may_repeat(purpose, channel.capabilities):
        return None
    way, pinned = Way(channel_id, identity.address, {}), await _pinned(claim, live, means)
    made = await means.wait_for(means.content.make, claim.intent, claim.view, way, live, pinned)
    if isinstance(made, Answer):
        return None
    return (
        channel,
        made.message,
        Passage(
            channel_id,
            identity.address,
            made.content_hash,
            findings=made.findings,
            text=made.text,
            adapted=made.adapted,
            sealed=made.sealed,
        ),
    )


async def _way_out(claim: Claim, live: Bundle, means: Means) -> tuple[Channel, Message, Departure] | Answer:
    """Stages 1 to 11: a message and how far its passage came, or the answer that stands against it."""
    tried: dict[str, Answer] = {}
    while True:
        found = judge(claim.intent, claim.view, means.now(claim), tried)
        if isinstance(found, Answer):
            return found
        ready = await _ready(claim, found, live, means)
        if isinstance(ready, Answer):
            tried[found.channel] = ready
            continue
        held = await _admitted(claim, found.channel, means)
        if held is not None:
            tried[found.channel] = held
            continue
        channel, made, within = ready
        passage = Passage(
            found.channel,
            found.address,
            made.content_hash,
            found.earlier,
            findings=made.findings,
            text=made.text,
            within=within,
            adapted=made.adapted,
            sealed=made.sealed,
        )
        departed = await means.do(means.state.depart, claim, passage, means.now(claim))
        if isinstance(departed, Departure):
            return channel, made.message, departed
        tried[found.channel] = departed


async def _admitted(claim: Claim, channel: str, means: Means) -> Answer | None:
    """Stage 9: None when the channel's provider may be given a message now."""
    if channel not in claim.view.rules.providers or means.state.has_leave(claim, channel, means.now(claim)):
        return None
    return await means.do(means.state.admit, claim, channel, means.now(claim))


async def _ready(
    claim: Claim, way: Way, live: Bundle, means: Means
) -> tuple[Channel, Made, tuple[str, ...] | None] | Answer:
    """Stage 8, and the channel's own word on the finished message: whether it can go, and in what windows."""
    channel = means.outlets.open(live, way.channel)
    if channel is None:
        return _skipped("channel.unavailable", way, "the channel's plugin and settings can be used")
    pinned = await _pinned(claim, live, means)
    made, said = await means.wait_for(_made_and_asked, claim, way, channel, live, pinned, means)
    if isinstance(made, Answer):
        return made
    if said.ok:
        window = check_window_for(claim.intent, claim.view, means.now(claim), way.channel, within=said.within)
        return (channel, made, said.within) if window.verdict is Verdict.ALLOW else window
    if said.not_before is not None and said.not_before > means.clock.now():
        return Answer(
            Verdict.HOLD,
            Stage.IDENTITY,
            f"channel.{said.reason or 'preflight'}",
            channel=way.channel,
            would_pass_if=f"it is tried at {said.not_before.isoformat()}",
            retry_at=said.not_before,
        )
    reason = "preflight_failed" if said.reason == "failed" else said.reason or "preflight"
    return _skipped(f"channel.{reason}", way, "the channel can carry this message")


def _made_and_asked(
    claim: Claim, way: Way, channel: Channel, live: Bundle, pinned: Bundle, means: Means
) -> tuple[Made | Answer, Preflight]:
    """The message, and what the channel says of it; one wait for all the plugins that have a word in it."""
    made = means.content.make(claim.intent, claim.view, way, live, pinned)
    if isinstance(made, Answer):
        return made, Preflight(False)
    made = answering(made, answerable(claim.intent, claim.view, means.now(claim), way.channel))
    return made, means.preflight(channel, made.message, means.limits.preflight)


async def _live(claim: Claim, means: Means) -> Bundle:
    return await means.bundle_of(claim.view.rules.version)


async def _pinned(claim: Claim, live: Bundle, means: Means) -> Bundle:
    """The bundle whose text is used: the live one, or the intent's own where the live one has none."""
    if claim.intent.content not in live.contents and claim.intent.bundle_hash:
        # A bundle that is gone has no text to offer either.
        with suppress(NotFound):
            return await means.bundle_of(claim.intent.bundle_hash)
    return live


async def _send(
    claim: Claim, passage: Passage, channel: Channel, message: Message, means: Means, *, carried: bool
) -> tuple[Outcome | None, Aftermath]:
    """Stage 11 after its commit: the one call to the provider, and the record of its result."""
    result = await means.send(channel, message, claim.intent.key, means.limits.send)
    now = means.now(claim)
    aftermath = aftermath_of(claim, passage, result, channel.capabilities, means.limits, now)
    attempt = attempt_of(passage, result)
    outcome = await means.settle(Ended(claim, attempt, aftermath, now, carried))
    if passage.channel in claim.view.rules.providers:
        # By itself, after the message is settled: whoever else uses the account must not wait for its locks.
        await means.do(means.state.note_answer, claim, attempt, now)
    return outcome, aftermath


def _skipped(reason: str, way: Way, would_pass_if: str) -> Answer:
    return Answer(Verdict.SKIP, Stage.IDENTITY, reason, channel=way.channel, would_pass_if=would_pass_if)
