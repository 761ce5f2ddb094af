"""What the engine makes of plugins that raise, hang or answer nonsense."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from engine.plugin import (
    Accepted,
    CheckContext,
    Draft,
    Finding,
    GenerateRequest,
    GeneratorFailed,
    Message,
    Preflight,
    Provenance,
    Rejected,
    Retry,
    SendResult,
    Severity,
    Unknown,
)
from engine.plugin.calling import call_channel, call_check, call_generator, call_preflight
from engine.plugin.patience import MOST_STUCK, Patience, TooSlow
from engine.plugin.testing import EXAMPLE_CONTEXT, EXAMPLE_MESSAGE, EXAMPLE_REQUEST, RecordingChannel

AMPLE = timedelta(seconds=30)
BRIEF = timedelta(milliseconds=20)
DRAFT = Draft("secret words about Ann", provenance=Provenance("test"))


class ScriptedCheck:
    name = "scripted"

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        found: Sequence[Finding] = self.act()
        return found


class ScriptedGenerator:
    name = "scripted"

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def generate(self, request: GenerateRequest) -> Draft:
        draft: Draft = self.act()
        return draft


class ScriptedChannel(RecordingChannel):
    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__("scripted")
        self.act = act

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        result: SendResult = await self.act()
        return result

    def preflight(self, message: Message) -> Preflight:
        answer: Preflight = self.act()
        return answer


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An event that is set only when the test is over, so that no thread outlives it."""
    event = threading.Event()
    yield event
    event.set()


def raising(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


def checked(act: Callable[[], Any], timeout: timedelta = AMPLE) -> list[Finding]:
    return call_check(ScriptedCheck(act), DRAFT, EXAMPLE_CONTEXT, timeout)


def test_findings_of_a_working_check_come_through() -> None:
    finding = Finding("x.y", Severity.WARN, 0, 6, "found")
    assert checked(lambda: (finding,)) == [finding]


@pytest.mark.parametrize(
    "act",
    [
        raising(ValueError("secret words about Ann")),
        raising(SystemExit("secret words")),
        raising(KeyboardInterrupt()),
        lambda: None,
        lambda: ["not a finding"],
        lambda: [Finding("x.y", Severity.INFO, 0, 900, "span beyond the text")],
        lambda: [Finding("x.y", Severity.INFO, 3, 1, "span backwards")],
        lambda: [Finding("x.y", Severity.INFO, 0, 1, "no such part", part="footer")],
        lambda: [Finding("x.y", "loud", 0, 1, "no such severity")],  # type: ignore[arg-type]
    ],
)
def test_a_broken_check_blocks_the_message_and_does_not_quote_it(act: Callable[[], Any]) -> None:
    (finding,) = checked(act)
    assert (finding.code, finding.severity) == ("check.failed", Severity.BLOCK)
    assert "'scripted'" in finding.message
    assert "secret" not in finding.message


def test_a_check_that_hangs_blocks_the_message(never: threading.Event) -> None:
    (finding,) = checked(never.wait, BRIEF)
    assert (finding.code, finding.severity) == ("check.failed", Severity.BLOCK)
    assert "did not answer within 0.02 s" in finding.message


def test_a_drafts_own_failure_reason_comes_through() -> None:
    with pytest.raises(GeneratorFailed, match="'name' is not known"):
        call_generator(
            ScriptedGenerator(raising(GeneratorFailed("'name' is not known"))), EXAMPLE_REQUEST, AMPLE
        )


@pytest.mark.parametrize(
    "act",
    [
        raising(KeyError("Ann")),
        raising(SystemExit("Ann")),
        lambda: None,
        lambda: "Ann",
        lambda: Draft(7),  # type: ignore[arg-type]
    ],
)
def test_a_broken_generator_has_failed_and_does_not_quote_the_contact(act: Callable[[], Any]) -> None:
    with pytest.raises(GeneratorFailed) as caught:
        call_generator(ScriptedGenerator(act), EXAMPLE_REQUEST, AMPLE)
    assert "'scripted'" in str(caught.value)
    assert "Ann" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_generator_that_hangs_has_failed(never: threading.Event) -> None:
    with pytest.raises(GeneratorFailed, match=r"did not answer within 0\.02 s"):
        call_generator(ScriptedGenerator(never.wait), EXAMPLE_REQUEST, BRIEF)


@pytest.mark.parametrize("act", [raising(OSError("a@b.c")), lambda: None])
def test_a_preflight_that_fails_says_no(act: Callable[[], Any]) -> None:
    answer = call_preflight(ScriptedChannel(act), EXAMPLE_MESSAGE, AMPLE)
    assert (answer.ok, answer.reason) == (False, "failed")
    assert "a@b.c" not in answer.detail


def test_a_preflight_that_hangs_says_no(never: threading.Event) -> None:
    assert not call_preflight(ScriptedChannel(never.wait), EXAMPLE_MESSAGE, BRIEF).ok


@pytest.mark.parametrize(
    "result",
    [Accepted("1"), Retry(timedelta(0)), Rejected("550"), Unknown("lost")],
    ids=lambda result: type(result).__name__,
)
async def test_a_channels_answer_comes_through(result: SendResult) -> None:
    channel = RecordingChannel(results=[result])
    assert await call_channel(channel, EXAMPLE_MESSAGE, "k", AMPLE) == result
    assert [call.key for call in channel.calls] == ["k"]


async def returning(value: object) -> object:
    return value


async def failing(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "act",
    [
        lambda: failing(ConnectionResetError("reader@example.com")),
        lambda: failing(SystemExit("reader@example.com")),
        lambda: failing(asyncio.CancelledError()),
        lambda: returning(None),
        lambda: returning(True),
        lambda: returning(Retry(timedelta(seconds=-1))),
        lambda: returning(Retry(5)),  # type: ignore[arg-type]
        lambda: returning(Rejected("")),
        lambda: None,
    ],
)
async def test_a_broken_channel_may_have_sent_it(act: Callable[[], Any]) -> None:
    result = await call_channel(ScriptedChannel(act), EXAMPLE_MESSAGE, "k", AMPLE)
    assert isinstance(result, Unknown)
    assert "'scripted'" in result.detail
    assert "reader@example.com" not in result.detail


async def test_a_channel_that_hangs_may_have_sent_it_and_is_stopped() -> None:
    stopped = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    result = await call_channel(ScriptedChannel(hang), EXAMPLE_MESSAGE, "k", BRIEF)
    assert isinstance(result, Unknown)
    assert stopped.is_set()


async def test_a_channel_that_knows_its_answer_when_it_is_stopped_is_believed() -> None:
    async def answer_late() -> SendResult:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Retry(timedelta(seconds=5))
        return Accepted()

    result = await call_channel(ScriptedChannel(answer_late), EXAMPLE_MESSAGE, "k", BRIEF)
    assert result == Retry(timedelta(seconds=5))


async def test_the_callers_own_cancellation_reaches_the_channel_and_the_caller() -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    task = asyncio.create_task(call_channel(ScriptedChannel(hang), EXAMPLE_MESSAGE, "k", AMPLE))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(stopped.wait(), 5)


def test_stuck_calls_are_bounded_and_the_pool_recovers() -> None:
    patience, release = Patience(), threading.Event()
    for _ in range(MOST_STUCK):
        with pytest.raises(TooSlow):
            patience.call(release.wait, timedelta(milliseconds=1))
    with pytest.raises(TooSlow):
        patience.call(lambda: "quick", AMPLE)
    release.set()
    deadline = threading.Event()
    for _ in range(500):
        try:
            assert patience.call(lambda: "quick", AMPLE) == "quick"
            return
        except TooSlow:
            deadline.wait(0.01)  # the stuck threads need a moment of the processor to end
    pytest.fail("the pool never recovered")


def test_threads_are_reused_between_calls() -> None:
    patience = Patience()
    names = {patience.call(threading.get_ident, AMPLE) for _ in range(50)}
    assert len(names) == 1
