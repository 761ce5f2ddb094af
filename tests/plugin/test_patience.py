"""How long plugins are waited for, by which threads, and whom one that hangs keeps from being asked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from engine.plugin import (
    CheckContext,
    Draft,
    Finding,
    Message,
    Preflight,
)
from engine.plugin.calling import call_check, call_preflight
from engine.plugin.patience import MOST_STUCK, Patience, TooSlow
from engine.plugin.testing import EXAMPLE_CONTEXT, EXAMPLE_MESSAGE, RecordingChannel

AMPLE = timedelta(seconds=30)


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


def test_a_plugin_that_hangs_keeps_no_other_from_being_called() -> None:
    patience, release = Patience(), threading.Event()
    for _ in range(MOST_STUCK):
        with pytest.raises(TooSlow):
            patience.call(release.wait, timedelta(milliseconds=1), "hanging")
    with pytest.raises(TooSlow):
        patience.call(lambda: "quick", AMPLE, "hanging")
    assert patience.call(lambda: "quick", AMPLE, "other") == "quick"
    release.set()


def test_threads_are_reused_between_calls() -> None:
    patience = Patience()
    names = {patience.call(threading.get_ident, AMPLE) for _ in range(50)}
    assert len(names) == 1


class Prompt(RecordingChannel):
    """Says that it need not be waited for."""

    immediate = True

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer
        self.threads: list[int] = []

    def preflight(self, message: Message) -> Preflight:
        self.threads.append(threading.get_ident())
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[return-value]


class Derived(Prompt):
    """Does more than what it was derived from, and has not said that this takes no time."""


def test_who_says_so_is_asked_in_the_callers_thread_and_who_was_derived_from_them_is_not() -> None:
    for kind, is_here in ((Prompt, True), (Derived, False)):
        channel = kind(Preflight(True))
        assert call_preflight(channel, EXAMPLE_MESSAGE, AMPLE).ok
        assert (channel.threads == [threading.get_ident()]) is is_here


class Waiting:
    """A check that answers once it is let."""

    name = "waiting"

    def __init__(self) -> None:
        self.asked, self.may_go = threading.Event(), threading.Event()

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        self.asked.set()
        self.may_go.wait(30)
        return []


class Reading(Waiting):
    """One that has something to read before its first text."""

    name = "reading"

    def immediate(self, context: CheckContext) -> bool:
        return self.may_go.is_set()


def test_who_has_something_to_read_first_is_waited_for_longer() -> None:
    limit = timedelta(seconds=1)
    reading, hanging = Reading(), Waiting()
    with ThreadPoolExecutor() as threads:
        read = threads.submit(call_check, reading, Draft("text"), EXAMPLE_CONTEXT, limit)
        assert reading.asked.wait(10)
        (failed,) = call_check(hanging, Draft("text"), EXAMPLE_CONTEXT, limit)
        reading.may_go.set()
        hanging.may_go.set()

    assert failed.code == "check.failed"
    assert read.result() == []


@pytest.mark.parametrize("answer", [ValueError("a@b.example"), SystemExit(1), "nonsense"])
def test_what_an_immediate_plugin_raises_is_contained_all_the_same(answer: object) -> None:
    found = call_preflight(Prompt(answer), EXAMPLE_MESSAGE, AMPLE)
    assert (found.ok, found.reason) == (False, "failed")
    assert "a@b" not in found.detail
