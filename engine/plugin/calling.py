"""Calls plugins on the engine's behalf: with a time-out, and everything they may raise turned into an answer.

Nothing here lets a plugin's exception text through: it may quote the draft or an address.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar, cast

from engine.plugin.actions import Action, ActionResult, Call
from engine.plugin.answers import (
    MOST_FINDINGS,
    fault_of_action_result,
    fault_of_draft,
    fault_of_findings,
    fault_of_preflight,
    fault_of_result,
    kept,
)
from engine.plugin.apart import Apart, NotBegun, contained
from engine.plugin.callbacks import Asks, Callback, Listens, Polled, Refused
from engine.plugin.contracts import (
    Channel,
    Check,
    CheckContext,
    Draft,
    Finding,
    GenerateRequest,
    Generator,
    GeneratorFailed,
    Message,
    Preflight,
    Retry,
    SendResult,
    Severity,
    Unknown,
)
from engine.plugin.hearing import fault_of_callback, fault_of_polled
from engine.plugin.patience import Patience, TooSlow
from engine.plugin.tallying import tally

CANCELLING = timedelta(seconds=1)
"""How long a channel or an action may take to stop after its time-out before it is left to itself."""

BLOCKED = Retry(timedelta(seconds=30), "plugin_blocked")
"""What came of a call that could not begin: an earlier one keeps the plugin's thread. Nothing was done."""

READING = 4
"""How many times as long a check may take that says that it has yet to make ready what it goes by: that
happens once in a process, and a crowded start must not block messages for good."""

Answer = TypeVar("Answer")

_patience = Patience()


def is_immediate(plugin: object, asked: object = None) -> bool:
    """Whether a generator, a check or a channel's preflight says of itself that it need not be waited for.

    It answers by itself within a millisecond or so and asks nobody and nothing in the world; so it is called
    without a time-out, and may be called inside of a transaction. Each class says it for itself: one that was
    derived from another may do more. A method says it of what is `asked`: the content of a generator, the
    context of a check.
    """
    if isinstance(plugin, Apart):
        plugin = plugin.plugin_itself
    said = vars(type(plugin)).get("immediate")
    if not callable(said):
        return said is True
    try:
        return said(plugin, asked) is True
    except Exception:  # noqa: BLE001 - who cannot tell is waited for
        return False


def call_check(check: Check, draft: Draft, context: CheckContext, timeout: timedelta) -> list[Finding]:
    """What the check found; a check that raises, hangs or answers nonsense blocks with `check.failed`.

    One whose method `immediate` says no has something to make ready, and may take `READING` times as long.
    """
    if callable(vars(type(check)).get("immediate")) and not is_immediate(check, context):
        timeout *= READING
    try:
        found = _asked(
            check, lambda: list(islice(check.examine(draft, context), MOST_FINDINGS + 1)), timeout, context
        )
    except TooSlow:
        return [_failed(check, "slow", f"did not answer within {timeout.total_seconds():g} s")]
    except Exception as error:  # noqa: BLE001 - a check fails closed, whatever it raised
        return [_failed(check, "raised", f"raised {where(error)}")]
    fault = fault_of_findings(found, draft)
    if fault:
        return [_failed(check, "nonsense", fault)]
    tally("check", check.name)
    return found


def call_score(check: Check, draft: Draft, context: CheckContext, timeout: timedelta) -> int | None:
    """The score that the check gives by itself, 0 to 100; None when it gives none, raises or hangs."""
    score: Callable[[Draft, CheckContext], object] | None = getattr(check, "score", None)
    if score is None:
        return None
    try:
        given = _asked(check, lambda: score(draft, context), timeout, context)
    except Exception as error:  # noqa: BLE001 - what it found has been told; only its score is missing
        slow = isinstance(error, TooSlow)
        tally("check", check.name, "slow" if slow else "raised", "" if slow else f"raised {where(error)}")
        return None
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= 100):
        return given
    tally("check", check.name, "nonsense", "gave a score that is no whole number from 0 to 100")
    return None


def within(timeout: timedelta, work: Callable[[], Answer], whose: object = None) -> Answer:
    """What `work` returns or raises; TooSlow when it takes longer, and it goes on in the background.

    For many short calls of plugins under one time-out: each by itself would cost a change of threads.
    """
    return _patience.call(work, timeout, whose)


def call_generator(generator: Generator, request: GenerateRequest, timeout: timedelta) -> Draft:
    """The draft; `GeneratorFailed` for everything else, so that the caller can fall back."""
    if is_immediate(generator, request.content):
        return generate(generator, request)
    try:
        return within(timeout, lambda: generate(generator, request), generator.name)
    except TooSlow:
        raise _without_text(
            generator, "slow", f"did not answer within {timeout.total_seconds():g} s"
        ) from None


def generate(generator: Generator, request: GenerateRequest) -> Draft:
    """As `call_generator`, however long it takes: for work that is done `within` a time-out."""
    try:
        draft: object = generator.generate(request)
    except (GeneratorFailed, KeyboardInterrupt):
        tally("generator", generator.name)
        raise
    except BaseException as error:  # noqa: BLE001 - a generator's failure is an answer, whatever it raised
        raise _without_text(generator, "raised", f"raised {where(error)}") from None
    fault = fault_of_draft(draft)
    if fault:
        raise _without_text(generator, "nonsense", fault)
    tally("generator", generator.name)
    return cast(Draft, draft)


def _without_text(generator: Generator, why: str, told: str) -> GeneratorFailed:
    tally("generator", generator.name, why, told)
    return GeneratorFailed(f"generator {generator.name!r} {told}", code=why)


def call_preflight(channel: Channel, message: Message, timeout: timedelta) -> Preflight:
    """Whether the message could go out; a preflight that raises or hangs says no, with reason `failed`."""
    try:
        answer: object = _asked(channel, lambda: channel.preflight(message), timeout)
    except TooSlow:
        return _speechless(channel, "slow", f"no answer within {timeout.total_seconds():g} s")
    except Exception as error:  # noqa: BLE001 - a channel that cannot tell is not used
        return _speechless(channel, "raised", f"raised {where(error)}")
    fault = fault_of_preflight(answer)
    return _speechless(channel, "nonsense", fault) if fault else cast(Preflight, answer)


def _speechless(channel: Channel, why: str, told: str) -> Preflight:
    tally("channel", channel.name, why, f"preflight {told}")
    return Preflight(False, "failed", told)


def _asked(plugin: object, work: Callable[[], Answer], timeout: timedelta, asked: object = None) -> Answer:
    """What the plugin answers; TooSlow when it takes longer, unless it is one that never does."""
    if not is_immediate(plugin, asked):
        return _patience.call(work, timeout, getattr(plugin, "name", None))
    try:
        return work()
    except (SystemExit, GeneratorExit, asyncio.CancelledError) as error:
        # From a plugin it is one more failure.
        raise RuntimeError(type(error).__name__).with_traceback(error.__traceback__) from None


async def call_channel(
    channel: Channel,
    message: Message,
    key: str,
    timeout: timedelta,  # noqa: ASYNC109 - not the caller's patience but the channel's: it ends in an answer
) -> SendResult:
    """What became of the message; Unknown when the channel raises, hangs or answers nonsense."""
    name = f"channel {channel.name!r}"
    result = await _answer(lambda: channel.send(message, key), name, timeout)
    if isinstance(result, _NoAnswer):
        tally("channel", channel.name, result.kind, result.why)
        return BLOCKED if result.kind == "blocked" else Unknown(result.why)
    fault = fault_of_result(result)
    if fault:
        tally("channel", channel.name, "nonsense", fault)
        return Unknown(f"{name} {fault}")
    tally("channel", channel.name)
    return cast(SendResult, kept(result))


async def call_action(
    action: Action,
    call: Call,
    key: str,
    timeout: timedelta,  # noqa: ASYNC109 - as with a channel
) -> ActionResult:
    """What the action did; Unknown when it raises, hangs or answers nonsense."""
    name = f"action {action.name!r}"
    result = await _answer(lambda: action.run(call, key), name, timeout)
    if isinstance(result, _NoAnswer):
        tally("action", action.name, result.kind, result.why)
        return BLOCKED if result.kind == "blocked" else Unknown(result.why)
    fault = fault_of_action_result(result)
    if fault:
        tally("action", action.name, "nonsense", fault)
        return Unknown(f"{name} {fault}")
    tally("action", action.name)
    return cast(ActionResult, kept(result))


class ChannelFailed(Exception):
    """A channel could not say what its platform told; the message says why, without quoting anything."""


def call_callback(
    channel: Listens,
    raw_body: bytes,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    timeout: timedelta,
) -> Callback | Refused:
    """What a callback says; ChannelFailed when the channel raises, hangs or answers nonsense."""
    name = str(getattr(channel, "name", ""))
    try:
        said: object = _patience.call(
            lambda: channel.parse_callback(raw_body, headers, query), timeout, name or None
        )
    except TooSlow:
        raise _deaf(name, "slow", f"did not answer within {timeout.total_seconds():g} s") from None
    except Exception as error:  # noqa: BLE001 - what strangers send may break a parser in any way
        raise _deaf(name, "raised", f"raised {where(error)}") from None
    fault = fault_of_callback(said)
    if fault:
        raise _deaf(name, "nonsense", fault)
    return cast(Callback | Refused, said)


async def call_poll(
    channel: Asks,
    name: str,
    since: datetime,
    timeout: timedelta,  # noqa: ASYNC109 - as with a message
) -> Polled:
    """What the platform told when asked; ChannelFailed when the channel raises, hangs or answers nonsense."""
    polled = await _answer(lambda: channel.poll(since), f"channel {name!r}", timeout)
    whose = str(getattr(channel, "name", ""))
    if isinstance(polled, _NoAnswer):
        raise _deaf(whose, polled.kind, polled.why)
    fault = fault_of_polled(polled)
    if fault:
        raise _deaf(whose, "nonsense", fault)
    return cast(Polled, polled)


def _deaf(channel: str, why: str, told: str) -> ChannelFailed:
    tally("channel", channel, why, told)
    return ChannelFailed(told)


@dataclass(frozen=True)
class _NoAnswer:
    """A plugin was called, and why nobody can tell what it did."""

    why: str
    kind: str = "raised"
    """raised | slow | blocked: in this last case it was not asked at all"""


async def _answer(
    work: Callable[[], Awaitable[object]],
    name: str,
    timeout: timedelta,  # noqa: ASYNC109 - the plugin's own, see above
) -> object:
    """What the plugin returned, whatever that is; _NoAnswer when it raises or hangs."""
    # A task of its own, so that a plugin that swallows its cancellation cannot hold the caller.
    task = asyncio.create_task(contained(work))
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout.total_seconds())
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=CANCELLING.total_seconds())
        if not task.done() or task.cancelled() or task.exception() is not None:
            task.add_done_callback(_heard)
            return _NoAnswer(f"{name} did not answer within {timeout.total_seconds():g} s", "slow")
        # It finished after all while it was being stopped; its answer is better than none.
    if task.cancelled():
        return _NoAnswer(f"{name} cancelled itself")
    error = task.exception()
    if isinstance(error, NotBegun):
        return _NoAnswer(f"{name} is kept by an earlier call", "blocked")
    return task.result() if error is None else _NoAnswer(f"{name} raised {where(error)}")


def where(error: BaseException) -> str:
    """The kind of an exception and the line that raised it, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    return f"{type(error).__name__} at {last.filename.rsplit('/', 1)[-1]}:{last.lineno}"


def _failed(check: Check, why: str, told: str) -> Finding:
    tally("check", check.name, why, told)
    return Finding(
        code="check.failed",
        severity=Severity.BLOCK,
        start=0,
        end=0,
        message=f"check {check.name!r} {told}; a check that fails blocks the message",
        rule=check.name,
    )


def _heard(task: asyncio.Future[object]) -> None:
    # Marks a late exception as seen; asyncio would report it as never retrieved.
    if not task.cancelled():
        task.exception()
