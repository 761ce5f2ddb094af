"""How often, or how much in sum, within the last so long: counts over a moving window, of bounded size.

The latest hundred events of a window are kept to the microsecond, and what they say is exact. Those before
them are kept in portions of a hundredth of the window, and each portion leaves it at once, when its latest
event does. What a count says does not depend on the order in which the events arrived.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import floor, fsum
from typing import Any, NamedTuple

from engine.rules.timing import Marks, place_among

MOST_EXACT = 100
"""How many events of one window are kept each by itself."""
PORTIONS = 100
"""Into how many parts a window is cut for those before them."""
SUM_DIGITS = 6
"""Sums are kept to the millionth: then they do not depend on the order in which their parts arrive."""

Tally = Mapping[str, Any]
"""What is kept of one count, as plain JSON: the version of its definition, moments, amounts, portions."""


class Ahead(NamedTuple):
    """A moment at which a count passes, reaches or leaves a mark by time alone."""

    at: datetime
    place: int | None
    """Where among the marks the count is from then on; None: somewhere."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Count:
    """One count over a moving window; an event counts while its age is less than `within`."""

    id: str
    title: str
    events: frozenset[str]
    """The event types that count."""
    within: timedelta
    sums: str | None = None
    """The property that is added up; None: events are counted."""
    rules: Mapping[str, str] = field(default_factory=dict)
    """Event type -> the rule that such an event must satisfy; not there: every one counts."""
    version: str = ""
    """Hash of everything that a tally depends on; tallies of another version say nothing."""

    @cached_property
    def width(self) -> int:
        """The window in microseconds."""
        return self.within // _TICK


def ticks(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _TICK


def moment_of(tick: int) -> datetime:
    """The moment so many microseconds after 1970."""
    return _EPOCH + tick * _TICK


def nothing_yet(count: Count) -> dict[str, Any]:
    """The tally of somebody to whom nothing has happened."""
    return {"v": count.version}


def is_current(count: Count, tally: Tally | None) -> bool:
    """Whether the tally was kept under the count's present definition."""
    return tally is not None and tally.get("v") == count.version


def tallied(count: Count, tally: Tally, at: datetime, amount: float, now: datetime) -> dict[str, Any]:
    """The tally with one more event; one whose age at `now` is the window's or more changes nothing.

    `amount` is what the event adds to a sum. The tally given stays as it is.
    """
    cut = ticks(now) - count.width
    exact = [list(each) for each in tally.get("exact", ()) if each[0] > cut]
    portions = {number: (last, many, sum_) for number, last, many, sum_ in tally.get("portions", ())}
    if ticks(at) > cut:
        insort(exact, [ticks(at), amount] if count.sums is not None else [ticks(at)])
    if len(exact) > MOST_EXACT:
        last, *added = exact.pop(0)
        number = last * PORTIONS // count.width
        before, many, sum_ = portions.get(number, (last, 0, 0.0))
        portions[number] = (max(before, last), many + 1, round(sum_ + fsum(added), SUM_DIGITS))
    kept: dict[str, Any] = {"v": count.version}
    if exact:
        kept["exact"] = exact
    if alive := [[number, *portion] for number, portion in sorted(portions.items()) if portion[0] > cut]:
        kept["portions"] = alive
    return kept


def value_at(count: Count, tally: Tally, now: datetime) -> int | float:
    """What the count says at `now`: how many events, or their sum, rounded to the millionth."""
    exact = tally.get("exact", ())
    if not exact:  # and no portions then: they are of events before the exact ones
        return 0 if count.sums is None else 0.0
    cut = ticks(now) - count.width
    first = _first_after(exact, cut)
    portions = tally.get("portions", ())
    if portions:
        portions = [each for each in portions if each[1] > cut]
    if count.sums is None:
        many: int = sum(each[2] for each in portions) if portions else 0
        return len(exact) - first + many
    return round(fsum([*(each[1] for each in exact[first:]), *(each[3] for each in portions)]), SUM_DIGITS)


def next_change_at(count: Count, tally: Tally, now: datetime) -> datetime | None:
    """The first moment after `now` at which the value changes by time alone; None when it never does."""
    exact = tally.get("exact", ())
    if not exact:
        return None
    cut = ticks(now) - count.width
    moments = [each[1] for each in tally.get("portions", ()) if each[1] > cut]
    first = _first_after(exact, cut)
    if first < len(exact):
        moments.append(exact[first][0])
    return moment_of(min(moments) + count.width) if moments else None


def reading_at(count: Count, tally: Tally, now: datetime) -> tuple[int | float, datetime | None]:
    """What the count says at `now`, and when that changes by time alone."""
    exact = tally.get("exact")
    if not exact:
        return (0 if count.sums is None else 0.0), None
    if count.sums is not None or "portions" in tally:
        return value_at(count, tally, now), next_change_at(count, tally, now)
    first = _first_after(exact, ticks(now) - count.width)
    many = len(exact) - first
    return many, moment_of(exact[first][0] + count.width) if many else None


def next_turn_at(
    count: Count, tally: Tally, value: float, now: datetime, marks: Marks | None
) -> datetime | None:
    """The first moment after `now` at which the value passes, reaches or leaves a mark by time alone.

    `value` is what the count says at `now`. Without marks (None) every change is one. None: it never does.
    """
    exact = tally.get("exact", ())
    if not exact:
        return None
    portions = tally.get("portions", ())
    if marks is None or not _only_falls(count, exact, portions):
        return next_change_at(count, tally, now)
    here = place_among(marks, value)
    if here == place_among(marks, 0):
        return None
    cut = ticks(now) - count.width
    if count.sums is None and not portions:
        # Events leave one by one: the next mark is passed with a certain one of them.
        below = bisect_left(marks, value)
        is_on_mark = below < len(marks) and marks[below] == value
        leaving = 1 if is_on_mark else int(value) - floor(marks[below - 1])
        return moment_of(exact[_first_after(exact, cut) + leaving - 1][0] + count.width)
    left = [each[1] for each in portions] + [each[0] for each in exact]
    moments = sorted({moment_of(tick + count.width) for tick in left if tick > cut})
    # What only falls passes the marks one after another: the first turn is found by halving.
    turn = bisect_left(
        moments, True, key=lambda moment: place_among(marks, value_at(count, tally, moment)) != here
    )
    return moments[turn] if turn < len(moments) else None


def turns_ahead(
    count: Count, tally: Tally, value: float, now: datetime, marks: Marks | None
) -> tuple[Ahead, ...]:
    """Every moment after `now` at which the value passes, reaches or leaves a mark by time alone, in order.

    `value` is what the count says at `now`. The place of the last one is None where nothing is known of what
    comes after it; ask again then.
    """
    exact, portions = tally.get("exact", ()), tally.get("portions", ())
    if marks is None or not exact or not _only_falls(count, exact, portions):
        change = next_change_at(count, tally, now)
        return () if change is None else (Ahead(change, None),)
    if count.sums is None and not portions:
        return tuple(_as_they_leave(exact, count.width, now, marks))
    found: list[Ahead] = []
    while (turn := next_turn_at(count, tally, value, now, marks)) is not None:
        now, value = turn, value_at(count, tally, turn)
        found.append(Ahead(turn, place_among(marks, value)))
    return tuple(found)


def _as_they_leave(exact: Sequence[list[Any]], width: int, now: datetime, marks: Marks) -> Iterator[Ahead]:
    """The turns of a count whose events are all kept each by itself: they leave one by one."""
    left = exact[_first_after(exact, ticks(now) - width) :]
    many = len(left)
    here, lowest = place_among(marks, many), place_among(marks, 0)
    for gone, (tick, *_) in enumerate(left, 1):
        if here == lowest:
            break
        if gone < many and left[gone][0] == tick:
            continue  # it does not leave alone
        place = place_among(marks, many - gone)
        if place != here:
            here = place
            yield Ahead(moment_of(tick + width), place)


def _only_falls(count: Count, exact: Sequence[list[Any]], portions: Sequence[list[Any]]) -> bool:
    """Whether the value can only get less while time goes by and nothing happens."""
    if count.sums is None:
        return True
    return all(each[1] >= 0 for each in exact) and all(each[3] >= 0 for each in portions)


def _first_after(exact: Sequence[list[Any]], cut: int) -> int:
    """The place of the first event after the cut. Nearly always all of them are: they are kept so."""
    return 0 if exact[0][0] > cut else bisect_right(exact, cut, key=_moment)


def _moment(kept: list[Any]) -> int:
    tick: int = kept[0]
    return tick
