"""Threads for synchronous work that event loops ask for, with as little handing over as there can be."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class _Job:
    work: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]


class Threads:
    """At most so many threads, started when they are needed; work lines up for them in the order it came.

    An executor of the standard library builds two futures with a lock each for every call; a send makes half
    a dozen calls.
    """

    def __init__(self, most: int, *, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._inbox: SimpleQueue[_Job | None] = SimpleQueue()
        self._started: list[threading.Thread] = []
        self._idle = 0
        self._is_closed = False

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `work` returns or raises; context variables go along.

        Cancelled before it began it is never done; afterwards it is done to its end, and its answer is lost.
        RuntimeError after `close`.
        """
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        answer: asyncio.Future[R] = loop.create_future()
        with self._lock:
            if self._is_closed:
                raise RuntimeError(f"the threads of the {self._name} are closed")
            if self._idle:
                self._idle -= 1
            elif len(self._started) < self._most:
                # A daemon: what was not closed must not keep the process from ending.
                name = f"{self._name}_{len(self._started)}"
                thread = threading.Thread(target=self._serve, name=name, daemon=True)
                self._started.append(thread)
                thread.start()
            self._inbox.put(_Job(lambda: context.run(work, *args, **kwargs), loop, answer))
        return await answer

    def close(self) -> None:
        """Return when everything asked for is done; closing twice is harmless."""
        self.dismiss()
        for thread in self._started:
            thread.join()

    def dismiss(self) -> None:
        """Take no more work, and wait for nothing: what is being done ends by itself, or with the process."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                for _ in self._started:
                    self._inbox.put(None)

    def _serve(self) -> None:
        while True:
            job = self._inbox.get()
            if job is None:
                return
            if not job.answer.cancelled():
                _do(job)
            # It may rest for hours; it must not keep anything alive meanwhile.
            del job
            with self._lock:
                self._idle += 1


def _do(job: _Job) -> None:
    result, error = None, None
    try:
        result = job.work()
    except BaseException as raised:  # noqa: BLE001 - whoever asked gets to see it
        error = raised
    # A loop that is closed has nobody left who waits.
    with suppress(RuntimeError):
        job.loop.call_soon_threadsafe(_tell, job.answer, result, error)


def _tell(answer: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
