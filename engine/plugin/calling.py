"""Calls plugins on the engine's behalf: with a time-out, and everything they may raise turned into an answer.

Nothing here lets a plugin's exception text through: it may quote the draft or an address.
"""

from __future__ import annotations

import asyncio
import math
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

from engine.plugin.actions import Action, ActionResult, Call, Done, Failed
from engine.plugin.contracts import (
    Accepted,
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
    Rejected,
    Retry,
    SendResult,
    Severity,
    Unknown,
)
from engine.plugin.patience import Patience, TooSlow

CANCELLING = timedelta(seconds=1)
"""How long a channel or an action may take to stop after its time-out before it is left to itself."""

PARTS = ("body", "subject", "call_to_action")

Answer = TypeVar("Answer")

_patience = Patience()


def call_check(check: Check, draft: Draft, context: CheckContext, timeout: timedelta) -> list[Finding]:
    """What the check found; a check that raises, hangs or answers nonsense blocks with `check.failed`."""
    try:
        found = _patience.call(lambda: list(check.examine(draft, context)), timeout)
    except TooSlow:
        return [_failed(check, f"did not answer within {timeout.total_seconds():g} s")]
    except Exception as error:  # noqa: BLE001 - a check fails closed, whatever it raised
        return [_failed(check, f"raised {where(error)}")]
    fault = fault_of_findings(found, draft)
    return [_failed(check, fault)] if fault else found


def within(timeout: timedelta, work: Callable[[], Answer]) -> Answer:
    """What `work` returns or raises; TooSlow when it takes longer, and it goes on in the background.

    For many short calls of plugins under one time-out: each by itself would cost a change of threads.
    """
    return _patience.call(work, timeout)


def call_generator(generator: Generator, request: GenerateRequest, timeout: timedelta) -> Draft:
    """The draft; `GeneratorFailed` for everything else, so that the caller can fall back."""
    try:
        return within(timeout, lambda: generate(generator, request))
    except TooSlow:
        raise GeneratorFailed(
            f"generator {generator.name!r} did not answer within {timeout.total_seconds():g} s"
        ) from None


def generate(generator: Generator, request: GenerateRequest) -> Draft:
    """As `call_generator`, however long it takes: for work that is done `within` a time-out."""
    try:
        draft: object = generator.generate(request)
    except GeneratorFailed:
        raise
    except BaseException as error:  # noqa: BLE001 - a generator's failure is an answer, whatever it raised
        raise GeneratorFailed(f"generator {generator.name!r} raised {where(error)}") from None
    if not isinstance(draft, Draft):
        raise GeneratorFailed(f"generator {generator.name!r} returned {type(draft).__name__}, not a Draft")
    if not all(isinstance(getattr(draft, part), str) for part in PARTS):
        raise GeneratorFailed(f"generator {generator.name!r} returned a Draft whose texts are not text")
    return draft


def call_preflight(channel: Channel, message: Message, timeout: timedelta) -> Preflight:
    """Whether the message could go out; a preflight that raises or hangs says no, with reason `failed`."""
    try:
        answer: object = _patience.call(lambda: channel.preflight(message), timeout)
    except TooSlow:
        return Preflight(False, "failed", f"no answer within {timeout.total_seconds():g} s")
    except Exception as error:  # noqa: BLE001 - a channel that cannot tell is not used
        return Preflight(False, "failed", f"raised {where(error)}")
    if not isinstance(answer, Preflight):
        return Preflight(False, "failed", f"returned {type(answer).__name__}, not a Preflight")
    return answer


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
        return Unknown(result.why)
    fault = fault_of_result(result)
    return Unknown(f"{name} {fault}") if fault else cast(SendResult, result)


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
        return Unknown(result.why)
    fault = fault_of_action_result(result)
    return Unknown(f"{name} {fault}") if fault else cast(ActionResult, result)


@dataclass(frozen=True)
class _NoAnswer:
    """A plugin was called, and why nobody can tell what it did."""

    why: str


async def _answer(
    work: Callable[[], Awaitable[object]],
    name: str,
    timeout: timedelta,  # noqa: ASYNC109 - the plugin's own, see above
) -> object:
    """What the plugin returned, whatever that is; _NoAnswer when it raises or hangs."""
    # A task of its own, so that a plugin that swallows its cancellation cannot hold the caller.
    task = asyncio.create_task(_contained(work))
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
            return _NoAnswer(f"{name} did not answer within {timeout.total_seconds():g} s")
        # It finished after all while it was being stopped; its answer is better than none.
    if task.cancelled():
        return _NoAnswer(f"{name} cancelled itself")
    error = task.exception()
    return task.result() if error is None else _NoAnswer(f"{name} raised {where(error)}")


async def _contained(work: Callable[[], Awaitable[object]]) -> object:
    try:
        return await work()
    except SystemExit as error:
        # From a plugin it is one more failure; from a task it would stop the event loop.
        raise RuntimeError("SystemExit").with_traceback(error.__traceback__) from None


def fault_of_result(result: object) -> str:
    """What is wrong with a channel's answer, or nothing."""
    if not isinstance(result, Accepted | Retry | Rejected | Unknown):
        return f"returned {type(result).__name__}, not Accepted, Retry, Rejected or Unknown"
    if isinstance(result, Retry) and not _is_wait(result.after):
        return "returned a Retry whose `after` is not a timedelta of zero or more"
    if isinstance(result, Rejected) and not (isinstance(result.code, str) and result.code):
        return "returned a Rejected without a code"
    return ""


def fault_of_action_result(result: object) -> str:
    """What is wrong with an action's answer, or nothing."""
    if not isinstance(result, Done | Retry | Failed | Unknown):
        return f"returned {type(result).__name__}, not Done, Retry, Failed or Unknown"
    if isinstance(result, Retry) and not _is_wait(result.after):
        return "returned a Retry whose `after` is not a timedelta of zero or more"
    if isinstance(result, Failed) and not (isinstance(result.code, str) and result.code):
        return "returned a Failed without a code"
    if isinstance(result, Done):
        values: object = result.values
        if not isinstance(values, Mapping):
            return "returned a Done whose values are not a mapping"
        for name, value in values.items():
            is_finite = not isinstance(value, float) or math.isfinite(value)
            if not (isinstance(name, str) and isinstance(value, str | int | float | bool) and is_finite):
                return f"returned the result {name!r}, which is neither a text, a number, true nor false"
    return ""


def _is_wait(after: object) -> bool:
    return isinstance(after, timedelta) and after >= timedelta(0)


def fault_of_findings(found: Sequence[object], draft: Draft) -> str:
    """What is wrong with a check's answer, or nothing."""
    for finding in found:
        if not isinstance(finding, Finding):
            return f"returned {type(finding).__name__}, not a Finding"
        if finding.part not in PARTS:
            return f"returned a finding in {finding.part!r}, which is not one of {', '.join(PARTS)}"
        if not _is_severity(finding.severity):
            return "returned a finding whose severity is not a Severity"
        length = len(getattr(draft, finding.part))
        if not 0 <= finding.start <= finding.end <= length:
            return f"returned the span {finding.start}–{finding.end} in a text of {length} characters"
    return ""


def _is_severity(value: object) -> bool:
    return isinstance(value, Severity)


def where(error: BaseException) -> str:
    """The kind of an exception and the line that raised it, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    return f"{type(error).__name__} at {last.filename.rsplit('/', 1)[-1]}:{last.lineno}"


def _failed(check: Check, why: str) -> Finding:
    return Finding(
        code="check.failed",
        severity=Severity.BLOCK,
        start=0,
        end=0,
        message=f"check {check.name!r} {why}; a check that fails blocks the message",
        rule=check.name,
    )


def _heard(task: asyncio.Future[object]) -> None:
    # Marks a late exception as seen; asyncio would report it as never retrieved.
    if not task.cancelled():
        task.exception()
