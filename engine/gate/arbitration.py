"""Who gets the last place: a message yields it to one of higher value that is due soon; pure.

The value of a message is its journey's priority (0 to 100) times the value of its content (1 where the file
says nothing). All that compete for a place in a cap are for one contact, whose own value is the same in each.

Nobody starves: of one free place a message waits for others no longer than the cap looks ahead, and whoever
is waited for waits for nobody of lower value. What does not come in time is waited for no longer.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.gate.model import Intent

GRACE = timedelta(minutes=1)
"""Journey time for which a message is still waited for when its moment has come: timers take theirs."""


@dataclass(frozen=True)
class Rival:
    """A message for the same contact that is still to come: one that waits in the gate, or a run's next."""

    name: str
    """The intent's key, or the run's id."""
    journey: str | None
    step: str
    purpose: str
    channels: tuple[str, ...]
    content: str
    priority: int
    due_at: datetime
    """Journey time at which it will ask for its places."""


@dataclass(frozen=True)
class Yielded:
    """What a message makes room for."""

    to: tuple[Rival, ...]
    """Those that would find no place if it took the one that is free; the earliest first."""
    until: datetime
    """Journey time at which to look again: the earliest has come by then, or is waited for no longer."""


def value_of(priority: int, content: str, contents: Mapping[str, float]) -> float:
    """The value of a message; `contents` are the values of contents that are not 1."""
    return priority * contents.get(content, 1.0)


def rivals_above(
    value: float, rivals: Iterable[Rival], contents: Mapping[str, float], now: datetime, until: datetime
) -> list[Rival]:
    """Those of higher value that are due up to `until` and still waited for, the earliest first.

    A run counts once, with the most valuable of the messages that it may come to next.
    """
    found: dict[str, Rival] = {}
    for rival in rivals:
        if not now - GRACE < rival.due_at <= until:
            continue
        its_value = value_of(rival.priority, rival.content, contents)
        known = found.get(rival.name)
        if its_value > value and (
            known is None or its_value > value_of(known.priority, known.content, contents)
        ):
            found[rival.name] = rival
    return sorted(found.values(), key=lambda each: (each.due_at, each.name))


def displaced(
    rivals: Sequence[Rival],
    moments: Sequence[datetime],
    now: datetime,
    fits: Callable[[Sequence[datetime], datetime], bool],
) -> Yielded | None:
    """Which of the rivals, in order, a message that takes a place now would leave without one.

    `moments` are those that count already, sorted; `fits` says whether one more fits at a moment. Who finds
    no place either way is not helped by anybody's waiting.
    """
    without, beside = list(moments), list(moments)
    insort(beside, now)
    to = []
    for rival in rivals:
        at = max(rival.due_at, now)
        fits_without, fits_beside = fits(without, at), fits(beside, at)
        if fits_without and not fits_beside:
            to.append(rival)
        if fits_without:
            insort(without, at)
        if fits_beside:
            insort(beside, at)
    return Yielded(tuple(to), to[0].due_at + GRACE) if to else None


def may_wait_until(intent: Intent, until: datetime, deadline: datetime | None) -> bool:
    """Whether the message is still worth sending then; its `deadline` is given in journey time."""
    ends = [moment for moment in (intent.expires_at, deadline) if moment is not None]
    return all(until < moment for moment in ends)
