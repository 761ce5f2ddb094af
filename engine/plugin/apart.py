"""Lets a channel or an action run on an event loop and a thread of its own.

`async def send` that calls `requests.post`, or computes for long, keeps its event loop from everything else;
on the engine's own loop that would be intake, timers and every other channel. A plugin that never does so
says `nonblocking = True` and is spared the change of threads.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar, cast

Plugin = TypeVar("Plugin")

BEGINNING = timedelta(seconds=5)
"""How long a loop that an earlier call keeps may take to begin with the next one."""


class NotBegun(Exception):
    """The plugin is kept by an earlier call and was not asked; nothing was done."""


def is_nonblocking(plugin: object) -> bool:
    """Whether a channel or an action says that its coroutines never keep an event loop waiting."""
    return getattr(type(plugin), "nonblocking", None) is True


def set_apart(plugin: Plugin, *, beginning: timedelta = BEGINNING) -> Plugin:
    """The plugin with its coroutines on a loop of its own; itself where it needs none.

    Everything else that the plugin has is as before. `close` ends the loop. While one call keeps the loop,
    others raise NotBegun after `beginning`.
    """
    if is_nonblocking(plugin):
        return plugin
    forwarded = {name: _forwarding(plugin, name) for name in dir(plugin) if not name.startswith("_")}
    # A class of its own: protocols with optional methods are recognised by what a class has.
    return cast(Plugin, type("Apart", (Apart,), forwarded)(plugin, beginning))


async def contained(work: Callable[[], Awaitable[object]]) -> object:
    """What `work` returns; SystemExit from it is one more failure, where it would stop the event loop."""
    try:
        return await work()
    except SystemExit as error:
        raise RuntimeError("SystemExit").with_traceback(error.__traceback__) from None


class Apart:
    """A plugin whose coroutines run elsewhere."""

    def __init__(self, plugin: object, beginning: timedelta) -> None:
        self.plugin_itself = plugin
        self._beginning = beginning.total_seconds()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        return f"{self.plugin_itself!r} apart"

    async def _run(self, work: Callable[[], Coroutine[Any, Any, Any]], *, is_last: bool = False) -> Any:
        loop = self._running()
        begun: Future[None] = Future()
        answer = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_begin(begun, work), loop))
        try:
            await asyncio.wait({asyncio.wrap_future(begun)}, timeout=self._beginning)
            if begun.cancel():
                raise NotBegun
            return await answer
        finally:
            answer.cancel()
            if is_last:
                self._end(loop)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._turn:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                name = f"wayline-{getattr(self.plugin_itself, 'name', 'plugin')}"
                # A daemon: a plugin that never comes back must not keep the process from ending.
                threading.Thread(target=_serve, args=(self._loop,), name=name, daemon=True).start()
            return self._loop

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._turn:
            self._loop = None
        with suppress(RuntimeError):  # it has ended already
            loop.call_soon_threadsafe(loop.stop)


async def _begin(begun: Future[None], work: Callable[[], Coroutine[Any, Any, Any]]) -> object:
    # Either this sets it running or whoever waited cancels it; never both.
    if not begun.set_running_or_notify_cancel():
        return None
    begun.set_result(None)
    return await contained(work)


def _forwarding(plugin: object, name: str) -> object:
    # Looked at without being called: a property of a stranger's may do anything.
    if not inspect.iscoroutinefunction(inspect.getattr_static(plugin, name)):
        return property(lambda self: getattr(self.plugin_itself, name))

    async def elsewhere(self: Apart, *arguments: Any, **named: Any) -> Any:
        return await self._run(
            lambda: getattr(self.plugin_itself, name)(*arguments, **named), is_last=name == "close"
        )

    return elsewhere


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
