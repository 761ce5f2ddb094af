"""Leaves a service alone that fails: after some failures in a row, or when it asks for that."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from engine.plugin import Clock

MOST_FAILURES = 5
"""In a row, until the service is left alone."""
PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=10)


class Circuit:
    """Whether a service may be asked now; thread-safe, one for each process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_until: datetime | None = None

    def may_ask(self) -> bool:
        """False while the service is left alone. When that is over one caller tries it, and others follow
        when it has answered."""
        with self._lock:
            if self._closed_until is None:
                return True
            now = self._clock.now()
            if now < self._closed_until:
                return False
            self._closed_until = now + PAUSE
            return True

    def answered(self) -> None:
        """The service works."""
        with self._lock:
            self._failures, self._closed_until = 0, None

    def failed(self, leave_alone: timedelta | None = None) -> None:
        """The service did not answer as it should; with a time it asked itself to be left alone for that."""
        with self._lock:
            self._failures += 1
            if leave_alone is not None:
                self._closed_until = self._clock.now() + min(leave_alone, LONGEST_PAUSE)
            elif self._failures >= MOST_FAILURES:
                self._closed_until = self._clock.now() + PAUSE
