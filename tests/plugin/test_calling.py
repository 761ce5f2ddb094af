"""What the engine makes of plugins that raise, hang or answer nonsense."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from engine.plugin import (
    Accepted,
    CheckContext,
    Done,
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
from engine.plugin.answers import fault_of_action_result
from engine.plugin.calling import call_channel, call_check, call_generator, call_preflight
from engine.plugin.tallying import tallied
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
        lambda: [Finding("x.y", Severity.INFO, None, 1, "no number")],  # type: ignore[arg-type]
        lambda: [Finding("", Severity.INFO, 0, 1, "no code")],
        lambda: [Finding("x.y", Severity.INFO, 0, 1, "secret" * 1000)],
        lambda: [Finding("x.\x00", Severity.INFO, 0, 1, "no such character")],
        lambda: [Finding("x.y", Severity.INFO, 0, 1, "half of one", rule="\ud83d")],
        lambda: (Finding("x.y", Severity.INFO, 0, 1, "without end") for _ in itertools.count()),
        raising(asyncio.CancelledError()),
        raising(GeneratorExit()),
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
        lambda: Draft("Ann \ud83d"),
        lambda: Draft("text", subject="Ann\x00"),
        lambda: Draft("text", locale="\ud83d"),
        lambda: Draft("text", provenance=Provenance("scripted", model="\ud83d")),
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


@pytest.mark.parametrize(
    "answer",
    [
        Accepted("x" * 501),
        Accepted(7),  # type: ignore[arg-type]
        Retry(timedelta(seconds=1), "x" * 101),
        Rejected("x" * 101),
        Rejected("code", None),  # type: ignore[arg-type]
        Unknown(b"bytes"),  # type: ignore[arg-type]
        Accepted("cut in half \ud83d"),
        Rejected("\x00"),
        Retry(timedelta.max),
    ],
)
async def test_an_answer_out_of_bounds_counts_as_unknown(answer: SendResult) -> None:
    async def act() -> SendResult:
        return answer

    result = await call_channel(ScriptedChannel(act), EXAMPLE_MESSAGE, "k", AMPLE)
    assert isinstance(result, Unknown)
    assert result.detail.startswith("channel 'scripted' returned ")
    assert len(result.detail) < 200


async def test_of_a_long_detail_the_beginning_is_kept_and_addresses_in_it_are_masked() -> None:
    async def act() -> SendResult:
        return Rejected("550", "no mailbox for ann.lee@example.com " + "x" * 10_000)

    result = await call_channel(ScriptedChannel(act), EXAMPLE_MESSAGE, "k", AMPLE)
    assert isinstance(result, Rejected)
    assert result.detail.startswith("no mailbox for a***@example.com xxx")
    assert len(result.detail) == 500


@pytest.mark.parametrize(
    "answer",
    [
        Preflight(False, "Not A Code"),
        Preflight(False, "x" * 101),
        Preflight(False, "closed", not_before=datetime(2026, 1, 1)),  # noqa: DTZ001 - that is the mistake
        Preflight(False, "closed", not_before="tomorrow"),  # type: ignore[arg-type]
        Preflight(True, within="reply"),  # type: ignore[arg-type]
    ],
)
def test_a_preflight_whose_answer_nobody_could_use_says_no(answer: Preflight) -> None:
    said = call_preflight(ScriptedChannel(lambda: answer), EXAMPLE_MESSAGE, AMPLE)
    assert (said.ok, said.reason) == (False, "failed")


def test_what_an_action_answers_can_be_kept_or_is_no_answer() -> None:
    for values in ({"note": "\ud83d"}, {"\x00": 1}, {"points": 2**64}):
        assert fault_of_action_result(Done(values)).startswith("returned the result ")
    assert fault_of_action_result(Done({"note": "\U0001f338", "points": 2**63 - 1})) == ""


def test_a_preflight_that_fails_is_counted_as_what_the_channel_did_wrong() -> None:
    channel = ScriptedChannel(raising(ValueError("Ann")))
    channel.name = "speechless"
    call_preflight(channel, EXAMPLE_MESSAGE, AMPLE)
    told = tallied("channel", "speechless")
    assert told is not None
    assert told["failures"] == {"raised": 1}
    assert "Ann" not in told["latest_failure"]


def test_a_draft_of_a_novels_length_is_none() -> None:
    with pytest.raises(GeneratorFailed, match="more than 1000000 characters"):
        call_generator(ScriptedGenerator(lambda: Draft("x" * 1_000_001)), EXAMPLE_REQUEST, AMPLE)


def test_calls_and_failures_are_counted_for_whoever_looks() -> None:
    class Counted(ScriptedCheck):
        name = "counted"

    assert tallied("check", "counted") is None
    call_check(Counted(list), DRAFT, EXAMPLE_CONTEXT, AMPLE)
    call_check(Counted(raising(ValueError("secret words"))), DRAFT, EXAMPLE_CONTEXT, AMPLE)
    call_check(Counted(lambda: None), DRAFT, EXAMPLE_CONTEXT, AMPLE)
    told = tallied("check", "counted")
    assert told is not None
    assert (told["calls"], told["failures"]) == (3, {"raised": 2})
    assert "secret" not in told["latest_failure"]
