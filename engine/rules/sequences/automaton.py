"""One more event of a contact: does it complete the pattern, with what is kept of the past?

Judged is always everything that is known when the event arrives, in the order of happening; so the order of
arrival decides when a pattern is found complete and never whether what is known completes it. What was found
complete stays so: its events are used, whatever arrives later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engine.rules.counting import ticks
from engine.rules.sequences.past import Kept, Past
from engine.rules.sequences.pattern import MOST_TRIALS, Link, Pattern

_TICK = timedelta(microseconds=1)

Decides = Callable[[str, Mapping[str, Any]], bool]
"""Whether the rule of a link holds, given the facts it asks for (as JSON; missing ones left out)."""


@dataclass(frozen=True)
class Arrival:
    """An event that has just arrived, as far as the pattern's own steps can judge it alone."""

    occurred_at: datetime
    received_at: datetime
    seq: int
    fits: int
    """Bit by bit, which steps it fits by itself."""
    says: Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """What one event does to a pattern."""

    past: Past
    """What to keep from now on."""
    used: tuple[Kept, ...] = ()
    """The events that complete the pattern, this one among them, in order; empty: it is not complete."""
    so_far: int = 0
    """How many events of a `count` stand together now, this one among them; for telling why not."""
    is_late: bool = False
    """It would have completed the pattern, had it not arrived too late."""


def judge(pattern: Pattern, past: Past, arrival: Arrival, decides: Decides) -> Judged:
    """The past after the event, and the events that complete the pattern, if it does that.

    An event that fits no step breaks the row of a pattern that asks for one, and does nothing to others.
    """
    if not arrival.fits and not pattern.in_a_row:
        return Judged(past)
    age = arrival.received_at - arrival.occurred_at
    at = ticks(min(arrival.occurred_at, arrival.received_at))
    event = Kept(at, arrival.seq, arrival.fits, arrival.says)
    horizon = ticks(arrival.received_at) - (pattern.late_after + pattern.within) // _TICK
    after = past.with_event(event, since=horizon)
    if not arrival.fits or event not in after.kept:
        return Judged(after)
    if pattern.at_least is not None:
        used, so_far = _enough(pattern, pattern.at_least, after.kept, event)
    else:
        used, so_far = _Search(pattern, after.kept, event, decides).found(), 0
    if used and age > pattern.late_after:
        return Judged(after, so_far=so_far, is_late=True)
    return Judged(after.without(used), used, so_far)


def _enough(pattern: Pattern, wanted: int, kept: Sequence[Kept], event: Kept) -> tuple[tuple[Kept, ...], int]:
    """The earliest `wanted` events that stand together with this one in the window; else none of them.

    Beside them, how many stand together at most.
    """
    row = _row(kept, event) if pattern.in_a_row else [each for each in kept if each.fits]
    width = pattern.within // _TICK
    here = row.index(event)
    most = 1
    for first in range(max(0, here - wanted + 1), here + 1):
        last = first
        while last + 1 < len(row) and last + 1 - first < wanted and row[last + 1].at - row[first].at < width:
            last += 1
        if last >= here:
            most = max(most, last - first + 1)
            if last - first + 1 == wanted:
                return tuple(row[first : last + 1]), wanted
    return (), most


def _row(kept: Sequence[Kept], event: Kept) -> list[Kept]:
    """The unbroken row of fitting events around this one."""
    here = kept.index(event)
    first, last = here, here
    while first > 0 and kept[first - 1].fits:
        first -= 1
    while last + 1 < len(kept) and kept[last + 1].fits:
        last += 1
    return list(kept[first : last + 1])


class _Search:
    """Looks for one event for each step, in order, one of them the event that has just arrived.

    Of several answers it takes the one that begins earliest, then goes on earliest, and so on.
    """

    def __init__(self, pattern: Pattern, kept: Sequence[Kept], event: Kept, decides: Decides) -> None:
        self._pattern = pattern
        self._kept = kept
        self._here = kept.index(event)
        self._decides = decides
        self._width = pattern.within // _TICK
        self._trials = MOST_TRIALS
        self._dead_ends: set[tuple[Any, ...]] = set()
        self._latest = self._latest_places()

    def found(self) -> tuple[Kept, ...]:
        """The events that complete the pattern; empty when there are none."""
        fits = self._kept[self._here].fits
        if not any(fits >> step & 1 and self._here <= latest for step, latest in enumerate(self._latest)):
            return ()
        places = self._go_on(0, 0, ())
        return tuple(self._kept[place] for place in places) if places is not None else ()

    def _latest_places(self) -> list[int]:
        """For each step the latest place from which the steps after it can still follow, links aside."""
        latest: list[int] = []
        place = len(self._kept)
        for step in reversed(range(len(self._pattern.steps))):
            place -= 1
            while place >= 0 and not self._kept[place].fits >> step & 1:
                place -= 1
            latest.append(place)
        return latest[::-1]

    def _go_on(self, step: int, start: int, chosen: tuple[int, ...]) -> tuple[int, ...] | None:
        """The places of all steps, those before `step` being `chosen`; None when there is no way on."""
        if step == len(self._pattern.steps):
            return chosen if self._here in chosen else None
        marker = (step, start, self._here in chosen, chosen[:1], *self._asked_later(step, chosen))
        if marker in self._dead_ends:
            return None
        for place in range(start, self._latest[step] + 1):
            if place > self._here and self._here not in chosen:
                break
            event = self._kept[place]
            if chosen and event.at - self._kept[chosen[0]].at >= self._width:
                break
            if not event.fits >> step & 1 or not self._is_linked(step, (*chosen, place)):
                continue
            if (found := self._go_on(step + 1, place + 1, (*chosen, place))) is not None:
                return found
        self._dead_ends.add(marker)
        return None

    def _asked_later(self, step: int, chosen: tuple[int, ...]) -> tuple[int, ...]:
        """The places already chosen that steps from here on ask about."""
        links = [each.link for each in self._pattern.steps[step:] if each.link is not None]
        asked = {earlier for link in links for earlier in link.steps if earlier < len(chosen)}
        return tuple(chosen[earlier] for earlier in sorted(asked))

    def _is_linked(self, step: int, chosen: tuple[int, ...]) -> bool:
        link: Link | None = self._pattern.steps[step].link
        if link is None:
            return True
        self._trials -= 1
        if self._trials < 0:
            return False
        facts = {
            fact: self._kept[chosen[earlier]].says[name]
            for earlier, name, fact in link.asks
            if name in self._kept[chosen[earlier]].says
        }
        return self._decides(link.rule, facts)
