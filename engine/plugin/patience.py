"""Waits for a synchronous call only so long: threads are reused, and abandoned when a call never returns."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

Answer = TypeVar("Answer")

MOST_STUCK = 16
"""A plugin that hangs on every call must not fill the process with threads; past this, its calls fail at once
and those of others do not."""

MOST_IDLE = 16


class TooSlow(Exception):
    """The call did not return in time; it goes on in the background and its answer is thrown away."""


@dataclass
class _Job:
    work: Callable[[], Any]
    whose: object
    done: threading.Event = field(default_factory=threading.Event)
    answer: Any = None
    error: Exception | None = None
    abandoned: bool = False


class Patience:
    """Runs calls in threads of its own; thread-safe. Python cannot stop a thread: a stuck one is left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[queue.SimpleQueue[_Job]] = []
        self._stuck: Counter[object] = Counter()

    def call(self, work: Callable[[], Answer], timeout: timedelta, whose: object = None) -> Answer:
        """What `work` returns, or raises what it raises; TooSlow when it takes longer than `timeout`.

        `whose` names the plugin, whose stuck calls are counted together.
        """
        job = _Job(work, whose)
        with self._lock:
            if self._stuck[whose] >= MOST_STUCK:
                raise TooSlow
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = queue.SimpleQueue()
            # A daemon: a stuck plugin must not keep the process from ending.
            threading.Thread(target=self._serve, args=(inbox,), name="wayline-plugin", daemon=True).start()
        inbox.put(job)
        if not job.done.wait(timeout.total_seconds()):
            self._abandon(job)
        if job.error is not None:
            raise job.error
        answer: Answer = job.answer
        return answer

    def _abandon(self, job: _Job) -> None:
        with self._lock:
            if job.done.is_set():
                return  # it answered between the time-out and here
            job.abandoned = True
            self._stuck[job.whose] += 1
        raise TooSlow

    def _serve(self, inbox: queue.SimpleQueue[_Job]) -> None:
        while True:
            job = inbox.get()
            try:
                job.answer = job.work()
            except Exception as error:  # noqa: BLE001 - handed to the caller, who asked for the call
                job.error = error
            except BaseException as error:  # noqa: BLE001
                # SystemExit and the like, raised by a plugin in here, are no wish of the user's to stop.
                job.error = RuntimeError(type(error).__name__).with_traceback(error.__traceback__)
            with self._lock:
                keep = len(self._idle) < MOST_IDLE
                if keep:
                    self._idle.append(inbox)
                if job.abandoned:
                    self._stuck[job.whose] -= 1
                job.done.set()
            if not keep:
                return
            # The thread may rest for hours; it must not keep the last draft alive meanwhile.
            del job
