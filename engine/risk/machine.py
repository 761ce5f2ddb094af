"""The breaker's state machine: closed, open, half-open with probes, a ramp, and closed again; pure.

All times are delivery time. Every change starts the figures anew: what was counted before it counts no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from engine.risk.model import Breaker
from engine.risk.windows import Figures

BY_RULE = "rule"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""Since when a breaker that nothing was published of is closed: everything in its window counts."""
_TICK = timedelta(microseconds=1)


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True)
class Status:
    """Where a breaker stands in one scope."""

    state: State
    since: datetime
    """Of the last change; figures are counted from here on."""
    level: str | None = None
    """While not closed: the level it opened at."""
    probes_left: int = 0
    """In half-open without a ramp: how many intents may still be let through."""
    ramp: float | None = None
    """In half-open after good probes: the share of traffic let through."""
    by: str = BY_RULE
    """`rule`, or the operator who tripped it; what a person opened stays open until a person resets it."""

    @property
    def is_manual(self) -> bool:
        return self.by != BY_RULE


def observe(breaker: Breaker, status: Status, seen: Figures, probes: Figures, now: datetime) -> Status:
    """The status after a look at the figures.

    `seen` counts all attempts of the window since the last change, `probes` only those let through as probes.
    """
    match status.state:
        case State.CLOSED:
            return _watch(breaker, status, seen, now)
        case State.OPEN:
            return _rest(breaker, status, now)
        case State.HALF_OPEN if status.ramp is None and breaker.metric.is_told_later:
            return _probe_and_listen(breaker, status, probes, now)
        case State.HALF_OPEN if status.ramp is None:
            return _probe(breaker, status, probes, now)
        case State.HALF_OPEN:
            return _climb(breaker, status, seen, now)


def counted_after(status: Status) -> datetime:
    """After which moment figures count; what a half-open breaker lets pass at once belongs to it as well."""
    return status.since - _TICK if status.state is State.HALF_OPEN else status.since


def next_look(breaker: Breaker, status: Status, now: datetime) -> datetime | None:
    """When, after `now`, time alone may change the status; None when only figures or people can.

    Probes that nobody takes are asked about once in a pause: one that is taken and lost shows only by then.
    """
    if status.state is State.CLOSED or (status.state is State.OPEN and status.is_manual):
        return None
    due = status.since + breaker.recovery.probe_after
    return due if due > now else now + breaker.recovery.probe_after


def trip(status: Status, level: str, by: str, now: datetime) -> Status:
    """Open by hand; it stays open until somebody resets it."""
    return Status(State.OPEN, now, level, by=by)


def reset(status: Status, now: datetime) -> Status:
    """Closed by hand, with a clean sheet."""
    return Status(State.CLOSED, now)


def level_of(breaker: Breaker, seen: Figures) -> str | None:
    """The highest level the figures reach; None below every threshold or with too few samples."""
    if seen.samples < breaker.min_samples:
        return None
    reached = [level for level in breaker.levels if seen.rate > level.above]
    return max(reached, key=lambda level: level.above).name if reached else None


def _watch(breaker: Breaker, status: Status, seen: Figures, now: datetime) -> Status:
    level = level_of(breaker, seen)
    return status if level is None else Status(State.OPEN, now, level)


def _rest(breaker: Breaker, status: Status, now: datetime) -> Status:
    if status.is_manual or now < status.since + breaker.recovery.probe_after:
        return status
    return _probing(breaker, status, now)


def _probe(breaker: Breaker, status: Status, probes: Figures, now: datetime) -> Status:
    wanted = breaker.recovery.probes
    # Even if all the rest were good, the share that failed would be too large: no need to wait for them.
    if probes.failed and probes.failed / wanted >= breaker.recovery.close_below:
        return _opened_again(status, now)
    if probes.samples >= wanted:
        return _next_share(breaker, status, now, after=0.0)
    if status.probes_left == 0 and now >= status.since + breaker.recovery.probe_after:
        # Some never came back (a process died with them): the round is void.
        return _probing(breaker, status, now)
    return status


def _probe_and_listen(breaker: Breaker, status: Status, probes: Figures, now: datetime) -> Status:
    """As `_probe`, for what is told of messages later: that providers took them all shows nothing yet."""
    wanted = breaker.recovery.probes
    share = probes.failed / max(wanted, probes.samples)
    if probes.failed and share >= breaker.recovery.close_below:
        return _opened_again(status, now)
    if now < status.since + breaker.recovery.probe_after:
        return status
    if probes.tried < wanted:
        # Nobody has taken the rest yet, or some never came back.
        return status if status.probes_left else _probing(breaker, status, now)
    if probes.failed and probes.rate >= breaker.recovery.close_below:
        return _opened_again(status, now)
    return _next_share(breaker, status, now, after=0.0)


def _climb(breaker: Breaker, status: Status, seen: Figures, now: datetime) -> Status:
    wanted = breaker.recovery.probes
    assert status.ramp is not None, "only a ramp climbs"
    if seen.failed and seen.failed / max(wanted, seen.samples) >= breaker.recovery.close_below:
        return _opened_again(status, now)
    is_over = now >= status.since + breaker.recovery.probe_after
    if is_over and seen.rate >= breaker.recovery.close_below and seen.failed:
        return _opened_again(status, now)
    if is_over or (seen.samples >= wanted and not breaker.metric.is_told_later):
        return _next_share(breaker, status, now, after=status.ramp)
    return status


def _probing(breaker: Breaker, status: Status, now: datetime) -> Status:
    return Status(State.HALF_OPEN, now, status.level, probes_left=breaker.recovery.probes)


def _opened_again(status: Status, now: datetime) -> Status:
    return Status(State.OPEN, now, status.level)


def _next_share(breaker: Breaker, status: Status, now: datetime, *, after: float) -> Status:
    """The next larger share of the ramp; closed when there is none, or it would be everything."""
    larger = [share for share in breaker.recovery.ramp if after < share < 1.0]
    if not larger:
        return Status(State.CLOSED, now)
    return replace(status, since=now, probes_left=0, ramp=min(larger))
