"""What is kept of one contact's past for one pattern, as plain JSON: few events, and of these little.

Order is that of happening: by moment, and by arrival for events of one moment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.rules.sequences.pattern import MOST_KEPT

Stored = Mapping[str, Any]
"""A past as it is stored."""


@dataclass(frozen=True)
class Kept:
    """One event that may still take part in the pattern, or that breaks a row (it fits no step then)."""

    at: int
    """When it happened, in microseconds since 1970; at the latest when it arrived."""
    seq: int
    fits: int
    """Bit by bit, which steps it fits by itself."""
    says: Mapping[str, Any]
    """The properties that later steps ask for, as JSON."""

    @property
    def place(self) -> tuple[int, int]:
        """What it is ordered by."""
        return self.at, self.seq


@dataclass(frozen=True)
class Past:
    """The kept events in the order of happening; all are later than `forgotten`."""

    kept: tuple[Kept, ...] = ()
    forgotten: tuple[int, int] | None = None
    """The place of the latest event that was let go for want of room: nothing before it can be judged."""

    def with_event(self, event: Kept, *, since: int) -> Past:
        """The past with one more event and without those that happened at `since` or before.

        The event is not among those kept when it lies where the past was forgotten, or is of no use any more.
        """
        if event.at <= since or (self.forgotten is not None and event.place <= self.forgotten):
            return self
        here = bisect_left([each.place for each in self.kept], event.place)
        kept = [*self.kept[:here], event, *self.kept[here:]]
        kept = kept[bisect_left([each.at for each in kept], since + 1) :]
        forgotten = self.forgotten if self.forgotten is not None and self.forgotten[0] > since else None
        if len(kept) > MOST_KEPT:
            forgotten = kept[-MOST_KEPT - 1].place
        return Past(tuple(kept[-MOST_KEPT:]), forgotten)

    def without(self, used: Sequence[Kept]) -> Past:
        """The past without the events that a completed pattern has used."""
        gone = {event.place for event in used}
        return Past(tuple(each for each in self.kept if each.place not in gone), self.forgotten)


def stored(past: Past, version: str) -> dict[str, Any]:
    """The past as JSON; what is empty is left out."""
    found: dict[str, Any] = {"v": version}
    if past.kept:
        found["kept"] = [
            [each.at, each.seq, each.fits, *([dict(each.says)] if each.says else [])] for each in past.kept
        ]
    if past.forgotten is not None:
        found["forgotten"] = list(past.forgotten)
    return found


def recalled(found: Stored | None, version: str) -> Past | None:
    """The past that was stored; None when there is none, or it belongs to another definition."""
    if found is None or found.get("v") != version:
        return None
    kept = tuple(
        Kept(at, seq, fits, more[0] if more else {}) for at, seq, fits, *more in found.get("kept", ())
    )
    forgotten = found.get("forgotten")
    return Past(kept, None if forgotten is None else (forgotten[0], forgotten[1]))
