"""Frequency caps: which apply, which are full, and the first moment at which an intent would fit; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.gate.model import CalendarWindow, Cap, Counts, Intent, Purpose, RollingWindow, WhenFull
from engine.gate.state import Place, Standing
from engine.journeys.localtime import calendar_span, zone_of

_LONGEST_PERIOD = timedelta(days=33)
"""Longer than any calendar month of any zone."""


@dataclass(frozen=True)
class FullCap:
    """A cap that leaves no room now."""

    cap: Cap
    used: int
    """Messages counted in the present window; with only a gap, 1 for the one that is too close."""
    frees_at: datetime
    """Journey time from which this cap leaves room, if nothing else is sent meanwhile."""


@dataclass(frozen=True)
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
    caps: Iterable[Cap], intent: Intent, purpose: Purpose, channel: str, tags: frozenset[str]
) -> tuple[Cap, ...]:
    """The caps in which the intent needs a place on this channel; none for purposes exempt from caps."""
    if purpose.is_exempt_from_caps:
        return ()
    return tuple(cap for cap in caps if _counts(cap.counts, intent.purpose, channel, intent.journey, tags))


def look(
    caps: Sequence[Cap],
    places: Sequence[Place],
    *,
    zones: Mapping[str, str],
    now: datetime,
    intent_key: str,
) -> CapsAnswer:
    """Which of the caps that apply are full at `now` (journey time) for the intent.

    `zones` says what `contact` and `workspace` stand for. Places of the intent itself do not count against
    it. A place that is only leased counts as of now, whenever it was taken: it is dated when it is handed
    over, and that may be at any moment from now on.
    """
    others = [place for place in places if place.intent_key != intent_key]
    full = []
    for cap in caps:
        counted = [
            place
            for place in others
            if place.cap_id == cap.id
            and _counts(cap.counts, place.purpose, place.channel, place.journey, place.tags)
        ]
        moments = sorted(place.at if place.is_confirmed else max(place.at, now) for place in counted)
        found = _full(cap, moments, zones, now)
        if found is not None:
            full.append(found)
    return CapsAnswer(tuple(full))


def horizon(caps: Iterable[Cap]) -> timedelta:
    """How far back (journey time) places can matter to any of the caps."""
    lengths = [timedelta(0)]
    for cap in caps:
        match cap.window:
            case RollingWindow(length):
                lengths.append(length)
            case CalendarWindow():
                lengths.append(_LONGEST_PERIOD)
        if cap.min_gap is not None:
            lengths.append(cap.min_gap)
    return max(lengths)


def zones_of(standing: Standing, workspace_timezone: str) -> Mapping[str, str]:
    """What `contact` and `workspace` mean in a calendar window, for one contact."""
    own = zone_of(standing.timezone, workspace_timezone).key
    return {"contact": own, "workspace": workspace_timezone}


def _counts(counts: Counts, purpose: str, channel: str, journey: str | None, tags: frozenset[str]) -> bool:
    return (
        (counts.purpose is None or counts.purpose == purpose)
        and (not counts.channels or channel in counts.channels)
        and (not counts.journeys or journey in counts.journeys)
        and (not counts.tags or not tags.isdisjoint(counts.tags))
    )


def _full(cap: Cap, moments: Sequence[datetime], zones: Mapping[str, str], now: datetime) -> FullCap | None:
    """The cap when it leaves no room at `now`, given the sorted moments it counts."""
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
            inside = [moment for moment in moments if moment > now - length]
            # With the limit-th latest one gone, one place is free: the span (t - length, t] loses it at t.
            return len(inside), inside[-limit] + length if len(inside) >= limit else now
        case CalendarWindow(unit, timezone, week_starts):
            zone = zone_of(zones.get(timezone, timezone), zones["workspace"])
            start, end = calendar_span(unit.value, zone, now, week_starts)
            used = sum(1 for moment in moments if moment >= start)
            return used, end if used >= limit else now
