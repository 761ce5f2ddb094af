"""Frequency caps: which apply, which are full, and the first moment at which an intent would fit; pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.changing import frozen
from engine.gate.arbitration import Rival, Yielded, displaced, rivals_above, value_of
from engine.gate.model import CalendarWindow, Cap, Counts, Intent, Purpose, RollingWindow, WhenFull
from engine.gate.state import Place, Standing
from engine.gate.tolerance import most
from engine.journeys.localtime import calendar_span, zone_of

_TICK = timedelta(microseconds=1)

Moments = Mapping[str, Sequence[datetime]]
"""Cap id -> the sorted moments of the messages that it counts."""


@dataclass(frozen=True)
class FullCap:
    """A cap that leaves no room now."""

    cap: Cap
    used: int
    """Messages counted in the present window, as far as they decide; with only a gap, 1 for the one that is
    too close."""
    frees_at: datetime
    """Journey time from which this cap leaves room, if nothing else is sent meanwhile."""


@frozen
class CapsAnswer:
    """The caps that are full; when there are none, the intent fits."""

    full: tuple[FullCap, ...] = ()

    @property
    def when_full(self) -> WhenFull:
        """What becomes of the intent: the strictest wish among the full caps."""
        wishes = {each.cap.when_full for each in self.full}
        for strictest in (WhenFull.SKIP, WhenFull.NEXT_CHANNEL, WhenFull.DEFER):
            if strictest in wishes:
                return strictest
        raise ValueError("no cap is full")

    @property
    def binding(self) -> FullCap:
        """Of the caps that decide `when_full`, the one that frees last."""
        deciding = [each for each in self.full if each.cap.when_full is self.when_full]
        return max(deciding, key=lambda each: each.frees_at)

    @property
    def frees_at(self) -> datetime:
        """The first moment at which all of them leave room, if nothing else is sent meanwhile."""
        return max(each.frees_at for each in self.full)


def applicable_caps(
    caps: Iterable[Cap], intent: Intent, purpose: Purpose, channel: str, tags: frozenset[str] | None
) -> tuple[Cap, ...]:
    """The caps in which the intent needs a place on this channel; of exempt purposes only the quotas.

    Tags that are None may be any.
    """
    return tuple(
        cap
        for cap in caps
        if _binds(cap, purpose)
        and _counts(cap.counts, intent.purpose, channel, intent.journey, tags, intent.content)
    )


def possible_caps(caps: Iterable[Cap], intent: Intent, purpose: Purpose) -> tuple[Cap, ...]:
    """The caps that may apply to the intent, on whichever of its channels and with whatever tags."""
    return tuple(
        cap
        for cap in caps
        if _binds(cap, purpose)
        and any(
            _counts(cap.counts, intent.purpose, channel, intent.journey, None, intent.content)
            for channel in intent.channels
        )
    )


def depth(cap: Cap) -> int:
    """How many of the latest places in the cap can decide over one more intent.

    One more than it allows anybody: the intent may hold one of them itself, from an attempt before this one.
    """
    return 1 + most(cap)


def still_counts(cap: Cap, place: Place) -> bool:
    """Whether a place is one of what the cap counts today, judged by what was true when it was taken."""
    return _counts(cap.counts, place.purpose, place.channel, place.journey, place.tags, place.content)


def look(caps: Sequence[Cap], moments: Moments, *, zones: Mapping[str, str], now: datetime) -> CapsAnswer:
    """Which of the caps that apply are full at `now` (journey time); `moments` are those of `moments_of`.

    `zones` says what `contact` and `workspace` stand for.
    """
    found = [_full(cap, moments[cap.id], zones, now) for cap in caps]
    return CapsAnswer(tuple([each for each in found if each is not None]))


def look_ahead(
    caps: Sequence[Cap],
    moments: Moments,
    rivals: Sequence[Rival],
    contents: Mapping[str, float],
    *,
    zones: Mapping[str, str],
    now: datetime,
    intent: Intent,
) -> tuple[Cap, Yielded] | None:
    """The cap that is not full and whose place the intent leaves to others; None when it need not wait.

    Of several caps the one for which it waits longest. `rivals` and the intent have the values that
    `engine.gate.arbitration` says; for each free place it waits for those due within the cap's `look_ahead`
    since it was wished and the place was free.
    """
    if not rivals:
        return None
    value = value_of(intent.priority, intent.content, contents)
    found: list[tuple[Cap, Yielded]] = []
    for cap in caps:
        if cap.look_ahead is None:
            continue

        def fits(taken: Sequence[datetime], at: datetime, cap: Cap = cap) -> bool:
            return _full(cap, taken, zones, at) is None

        since = max(intent.created_at, _free_since(cap, moments[cap.id], zones, now) or intent.created_at)
        counted = [rival for rival in rivals if _counts_rival(cap, rival)]
        above = rivals_above(value, counted, contents, now, since + cap.look_ahead)
        yielded = displaced(above, moments[cap.id], now, fits)
        if yielded is not None:
            found.append((cap, yielded))
    return max(found, key=lambda each: each[1].until, default=None)


def moments_of(caps: Iterable[Cap], places: Iterable[Place], now: datetime, intent_key: str) -> Moments:
    """By cap the sorted moments that count against an intent at `now` (journey time).

    Of each cap the latest `depth` places are enough, beside those that are only leased. Places of the intent
    itself do not count against it. A place that is only leased counts as of now, whenever it was taken: it is
    dated when it is handed over, and that may be at any moment from now on.
    """
    by_id = {cap.id: cap for cap in caps}
    moments: dict[str, list[datetime]] = {name: [] for name in by_id}
    for place in places:
        cap = by_id.get(place.cap_id)
        if cap is not None and place.intent_key != intent_key and still_counts(cap, place):
            insort(moments[cap.id], place.at if place.is_confirmed else max(place.at, now))
    return moments


def zones_of(standing: Standing, workspace_timezone: str) -> Mapping[str, str]:
    """What `contact` and `workspace` mean in a calendar window, for one contact."""
    own = zone_of(standing.timezone, workspace_timezone).key
    return {"contact": own, "workspace": workspace_timezone}


def _binds(cap: Cap, purpose: Purpose) -> bool:
    return cap.quota is not None or not purpose.is_exempt_from_caps


def _counts(
    counts: Counts, purpose: str, channel: str, journey: str | None, tags: frozenset[str] | None, content: str
) -> bool:
    """Whether such a message is counted; tags that are None may be any."""
    return (
        (counts.purpose is None or counts.purpose == purpose)
        and (not counts.channels or channel in counts.channels)
        and (not counts.journeys or journey in counts.journeys)
        and (not counts.contents or content in counts.contents)
        and (not counts.tags or tags is None or not tags.isdisjoint(counts.tags))
    )


def _counts_rival(cap: Cap, rival: Rival) -> bool:
    return any(
        _counts(cap.counts, rival.purpose, channel, rival.journey, None, rival.content)
        for channel in rival.channels
    )


def _free_since(
    cap: Cap, moments: Sequence[datetime], zones: Mapping[str, str], now: datetime
) -> datetime | None:
    """When the cap, which has room, was full last, if these moments tell."""
    match cap.window:
        case RollingWindow(length) if cap.limit is not None:
            return moments[-cap.limit] + length if len(moments) >= cap.limit else None
        case CalendarWindow():
            start = _span(cap.window, zones, now)[0]
            return start if _full(cap, moments, zones, start - _TICK) is not None else None
        case _:
            return moments[-1] + cap.min_gap if moments and cap.min_gap is not None else None


def _full(cap: Cap, moments: Sequence[datetime], zones: Mapping[str, str], now: datetime) -> FullCap | None:
    """The cap when it leaves no room at `now`, given the sorted moments it counts."""
    if cap.min_gap is None and cap.limit is not None and len(moments) < cap.limit:
        return None  # nearly always: fewer than it allows, whatever its window is
    frees_at = now
    used = 0
    if cap.limit is not None and cap.window is not None:
        used, free = _window(cap.window, cap.limit, moments, zones, now)
        frees_at = max(frees_at, free)
    if cap.min_gap is not None and moments and moments[-1] + cap.min_gap > now:
        used = max(used, 1)
        frees_at = max(frees_at, moments[-1] + cap.min_gap)
    return FullCap(cap, used, frees_at) if frees_at > now else None


def _window(
    window: RollingWindow | CalendarWindow,
    limit: int,
    moments: Sequence[datetime],
    zones: Mapping[str, str],
    now: datetime,
) -> tuple[int, datetime]:
    """How many moments the present window holds, and from when on it holds fewer than `limit`."""
    match window:
        case RollingWindow(length):
            used = len(moments) - bisect_right(moments, now - length)
            # With the limit-th latest one gone, one place is free: the span (t - length, t] loses it at t.
            return used, moments[-limit] + length if used >= limit else now
        case CalendarWindow():
            start, end = _span(window, zones, now)
            used = len(moments) - bisect_left(moments, start)
            return used, end if used >= limit else now


def _span(window: CalendarWindow, zones: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    """The day, week or month of the window's own clock in which `now` lies."""
    zone = zone_of(zones.get(window.timezone, window.timezone), zones["workspace"])
    return calendar_span(window.unit.value, zone, now, window.week_starts)
