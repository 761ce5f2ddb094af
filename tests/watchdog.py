"""No test hangs for ever: one that is not over long after its time-out fails, and at last ends its process.

pytest-timeout interrupts a test once, and lets go of it as soon as it has failed. So nothing else bounds what
comes then: an event loop that waits for its last task, a worker that waits for its last activity.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import os
import signal
import threading
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

PATIENCE = float(os.environ.get("WAYLINE_TEST_PATIENCE", "60"))
"""Seconds a test may take beyond its time-out for all that ends with it, servers of the session included;
and after it was interrupted because of that, once more."""
HELD = 10.0
"""Seconds after which a process ends in which no thread of Python can run any more."""
DAEMONS: list[int] = []
"""Ids of processes that are not our children and must not outlive us."""


class Watchdog:
    """Interrupts what is not over in time, then ends this process; says what everything was doing.

    In a worker of pytest-xdist that fails the test, by name, and another worker goes on with the others.
    """

    def __init__(self, stderr: int) -> None:
        self._stderr = stderr
        """Where people look: during a test, the usual descriptor is pytest's."""
        self._what = ""
        self._timers: list[threading.Timer] = []

    def watch(self, what: str, seconds: float, *, may_interrupt: bool = True) -> None:
        """From now on; in the place of what was watched before."""
        self.let_go()
        self._what = what
        if may_interrupt:
            signal.signal(signal.SIGUSR1, self._fail)
            self._timers.append(threading.Timer(seconds, self._interrupt))
            seconds += PATIENCE
        self._timers.append(threading.Timer(seconds, self._end))
        for timer in self._timers:
            timer.daemon = True
            timer.start()
        faulthandler.dump_traceback_later(seconds + HELD, exit=True, file=self._stderr)

    def let_go(self) -> None:
        """It is over."""
        faulthandler.cancel_dump_traceback_later()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> Generator[None, object, object]:
        self.watch(item.nodeid, settings.timeout + PATIENCE)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            self.let_go()

    def pytest_enter_pdb(self) -> None:
        """Whoever looks at a test takes their time."""
        self.let_go()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Where the loop breaks off, as by an internal error, what a test had set up is still to be ended."""
        try:
            return (yield)
        except BaseException:
            self.watch("the end of the session", PATIENCE)
            raise

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """All is told; what is left are threads that somebody forgot.

        A worker of pytest-xdist waits here for the others, and is ended by who started it.
        """
        self.let_go()
        if not hasattr(config, "workerinput"):
            self.watch("the end of the session", PATIENCE, may_interrupt=False)

    def _interrupt(self) -> None:
        self._tell("is not over: interrupted")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _fail(self, number: int, frame: FrameType | None) -> None:
        pytest.fail(f"{self._what} was not over long after its time-out, and was interrupted", pytrace=False)

    def _end(self) -> None:
        try:
            self._tell("is still not over: its process ends here")
            for process in [*_children(), *DAEMONS]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        finally:
            os._exit(1)

    def _tell(self, what: str) -> None:
        """What every thread and every task was doing, and last, where it is seen, whose fault it is."""
        faulthandler.dump_traceback(self._stderr)
        with os.fdopen(os.dup(self._stderr), "w", encoding="utf-8") as shown:
            # By its type: a weak reference to what is gone raises when it is asked what it is an instance of.
            for task in [each for each in gc.get_objects() if issubclass(type(each), asyncio.Task)]:
                if not task.done():
                    task.print_stack(file=shown)
            shown.write(f"\nHUNG: {self._what} {what}\n")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Watchdog(os.dup(2)), "watchdog")


def _children() -> list[int]:
    """The processes that this one has started, where the system tells of them as Linux does."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(file.read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid():
                found.append(int(file.parent.name))
    return found
