"""Channels that keep an event loop waiting do so on a loop of their own."""

from __future__ import annotations

import asyncio
import threading
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytest

from engine.plugin import Accepted, Action, Channel, Message, Retry, SendResult, Unknown
from engine.plugin.apart import is_nonblocking, set_apart
from engine.plugin.calling import call_channel, is_immediate
from engine.plugin.registry import load_registry
from engine.plugin.testing import EXAMPLE_MESSAGE, RecordingChannel, check_channel

AMPLE = timedelta(seconds=30)
BRIEF = timedelta(seconds=1)
"""For what never ends; even on a busy machine a thread begins in less."""


class Blocking(RecordingChannel):
    """`async def`, and waits like any other function: what `requests` would do."""

    nonblocking = False
    immediate = True

    def __init__(self) -> None:
        super().__init__("blocking")
        self.go_on = threading.Event()
        self._asked = threading.Event()
        self.loops: list[asyncio.AbstractEventLoop] = []

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        self.loops.append(asyncio.get_running_loop())
        self._asked.set()
        self.go_on.wait()
        return await super().send(message, idempotency_key)

    async def is_asked(self) -> None:
        await asyncio.to_thread(self._asked.wait)

    async def close(self) -> None:
        self.loops.append(asyncio.get_running_loop())
        await super().close()

    async def ask(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()


@pytest.fixture
def blocking() -> Iterator[Blocking]:
    channel = Blocking()
    yield channel
    channel.go_on.set()


async def test_a_channel_that_blocks_its_thread_keeps_nothing_else_waiting(blocking: Blocking) -> None:
    apart = set_apart(blocking)
    sending = asyncio.create_task(call_channel(apart, EXAMPLE_MESSAGE, "k", AMPLE))
    await blocking.is_asked()  # this loop turns, or the test would never end
    blocking.go_on.set()
    assert isinstance(await sending, Accepted)
    await apart.close()


async def test_its_call_ends_in_time_and_the_next_one_is_known_not_to_have_begun(blocking: Blocking) -> None:
    apart = set_apart(blocking, beginning=BRIEF)
    assert await call_channel(apart, EXAMPLE_MESSAGE, "first", BRIEF) == Unknown(
        "channel 'blocking' did not answer within 1 s"
    )
    answer = await call_channel(apart, EXAMPLE_MESSAGE, "second", AMPLE)
    assert isinstance(answer, Retry), "nothing was sent, so it may come back"
    assert answer.code == "plugin_blocked"
    blocking.go_on.set()
    assert isinstance(await call_channel(apart, EXAMPLE_MESSAGE, "third", AMPLE), Accepted)
    assert "second" not in [call.key for call in blocking.calls], "who was told no is not sent to later"
    await apart.close()


async def test_all_that_is_awaited_runs_on_one_loop_and_closing_ends_it(blocking: Blocking) -> None:
    apart: Any = set_apart(blocking)
    blocking.go_on.set()
    await apart.send(EXAMPLE_MESSAGE, "k")
    asked = await apart.ask()
    await apart.close()
    (loop,) = {*blocking.loops, asked}
    assert loop is not asyncio.get_running_loop()
    for thread in [each for each in threading.enumerate() if each.name == "wayline-blocking"]:
        await asyncio.to_thread(thread.join)
    assert loop.is_closed()
    await apart.close()


def test_everything_else_of_the_channel_is_as_before(blocking: Blocking) -> None:
    @runtime_checkable
    class Asks(Protocol):
        async def ask(self) -> Any: ...

    @runtime_checkable
    class Parses(Protocol):
        def parse(self) -> Any: ...

    apart = set_apart(blocking)
    assert (apart.name, apart.settings, apart.capabilities) == (
        blocking.name,
        blocking.settings,
        blocking.capabilities,
    )
    assert apart.preflight(EXAMPLE_MESSAGE).ok
    assert isinstance(apart, Asks)
    assert not isinstance(apart, Parses)
    assert is_immediate(apart), "its preflight need not be waited for"
    assert repr(apart).endswith("apart")


async def test_system_exit_in_a_channel_apart_is_one_more_failure() -> None:
    class Leaving(Blocking):
        async def send(self, message: Message, idempotency_key: str) -> SendResult:
            raise SystemExit

    apart = set_apart(Leaving())
    for _ in range(2):
        answer = await call_channel(apart, EXAMPLE_MESSAGE, "k", AMPLE)
        assert isinstance(answer, Unknown)
        assert answer.detail.startswith("channel 'blocking' raised ")
    await apart.close()


def test_the_registry_sets_apart_who_does_not_say_that_he_never_blocks(blocking: Blocking) -> None:
    registry = load_registry(entry_points=False, extra=[blocking, RecordingChannel("quick")])
    assert not is_nonblocking(registry.channel("blocking", {}).__class__)
    assert registry.channel("blocking", {}) is not blocking
    assert isinstance(registry.channel("quick", {}), RecordingChannel)


def test_a_channel_apart_passes_the_contract_test(blocking: Blocking) -> None:
    blocking.go_on.set()
    check_channel(set_apart(blocking))
    assert blocking.closed


def test_our_own_channels_and_actions_say_that_they_never_block() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    announced = project["project"]["entry-points"]["wayline.plugins"].values()
    registry = load_registry(entry_points=False, extra=[import_module(module) for module in announced])
    assert registry.channels
    offers: list[Channel | Action] = [*registry.channels.values(), *registry.actions.values()]
    for offer in offers:
        assert is_nonblocking(offer), offer.name
