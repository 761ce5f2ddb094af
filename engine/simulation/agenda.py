"""What will happen in virtual time, and in which order: production's, of what is due at one moment."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Order(IntEnum):
    """What happens first of all that happens at one moment."""

    BEGIN = 0
    EVENT = 1
    PROFILE = 2
    CLOCK = 3
    HELD = 4
    CALL = 5
    TIMER = 6
    ANSWER = 7


class Due(NamedTuple):
    """One thing that will happen; sorts in the order in which such things happen."""

    at: datetime
    order: Order
    rank: tuple[float, str, str]
    """Of what is due together: the more important first, then by journey and entry, as production would."""
    number: int
    contact_id: str
    subject: str
    """An event's type, a held message's key, a timer's run, a schedule's journey, a task's step, or why a
    profile is computed."""
    properties: Mapping[str, Any]
    traits: Mapping[str, Any]
    age: timedelta = timedelta()
    """Of an event: how long before it arrives it happened."""


FIRST = (0, "", "")
"""The rank of what has no rivals."""
TICK = timedelta(microseconds=1)
"""The shortest time there is between two moments."""


class Agenda:
    """Everything that is due, the next at hand."""

    def __init__(self) -> None:
        self._due: list[Due] = []
        self._numbers = itertools.count()

    def number(self) -> int:
        """One that was not given before."""
        return next(self._numbers)

    def plan(
        self,
        at: datetime,
        order: Order,
        contact_id: str,
        subject: str,
        rank: tuple[float, str, str] = FIRST,
        properties: Mapping[str, Any] | None = None,
        traits: Mapping[str, Any] | None = None,
        age: timedelta = timedelta(),
    ) -> None:
        """Let something happen at a moment; fields as in `Due`."""
        number = next(self._numbers)
        due = Due(
            at, order, rank, number, contact_id, subject, properties or _NOTHING, traits or _NOTHING, age
        )
        heapq.heappush(self._due, due)

    def take(self, until: datetime) -> Due | None:
        """The next thing that happens, taken off; None when it comes later than `until`."""
        if not self._due or self._due[0].at > until:
            return None
        return heapq.heappop(self._due)

    def together_with(self, due: Due) -> list[Due]:
        """What was taken, and of held messages all of this moment, the most important first."""
        together = [due]
        while due.order is Order.HELD and self._due and self._due[0][:2] == due[:2]:
            together.append(heapq.heappop(self._due))
        return together

    def clear(self) -> None:
        """Let nothing be due."""
        self._due.clear()
        self._numbers = itertools.count()
