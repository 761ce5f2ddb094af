"""The gate's words: what the bundle defines, what an intent is, what a stage answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from engine.changing import frozen
from engine.rules.condition import Condition


class Verdict(StrEnum):
    ALLOW = "allow"
    HOLD = "hold"
    SKIP = "skip"
    BLOCK = "block"
    FAIL = "fail"


class Outcome(StrEnum):
    """How an intent ended, as a journey sees it."""

    SENT = "sent"
    CAPPED = "capped"
    BLOCKED = "blocked"
    FAILED = "failed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class DoubleOptIn:
    """That a consent counts only once it was confirmed by a link sent to the address itself."""

    within: timedelta
    """Journey time in which it has to be confirmed."""
    channels: tuple[str, ...] = ()
    """On which channels; empty: on all."""

    def concerns(self, channel: str) -> bool:
        return not self.channels or channel in self.channels


@dataclass(frozen=True)
class Purpose:
    """A consent purpose. Transactional and legal ones are exempt from caps (never from platform quotas)."""

    id: str
    title: str
    version: str
    kind: str
    """marketing | transactional | legal"""
    max_hold: timedelta
    """Journey time an intent may be held before it expires."""
    repeat_unknown: bool = False
    """Whether an unknown hand-over may be repeated (at least once); never for marketing."""
    valid_for: timedelta | None = None
    """Journey time after which a consent must be given anew; None: it lasts until withdrawn."""
    honours: frozenset[str] | None = None
    """Earlier versions of the notice whose consents still count; None: all of them."""
    double_opt_in: DoubleOptIn | None = None
    titles: Mapping[str, str] = field(default_factory=dict)
    """By locale, where it is called something else there."""

    @property
    def versions(self) -> frozenset[str] | None:
        """The versions of the notice under which consents count; None: any."""
        return None if self.honours is None else self.honours | {self.version}

    def title_in(self, language: str) -> str:
        """What people who read `language` (`zh`, `en`) call it."""
        related = (text for locale, text in self.titles.items() if locale.split("-")[0] == language)
        return self.titles.get(language) or next(related, self.title)

    @property
    def needs_consent(self) -> bool:
        return self.kind == "marketing"

    @property
    def is_exempt_from_caps(self) -> bool:
        return self.kind in {"transactional", "legal"}


class WhenFull(StrEnum):
    SKIP = "skip"
    DEFER = "defer"
    NEXT_CHANNEL = "next_channel"


class CalendarUnit(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class RollingWindow:
    """The half-open span `(now - length, now]`."""

    length: timedelta


@dataclass(frozen=True)
class CalendarWindow:
    """The calendar day, week or month of a zone: the contact's own, or a named one."""

    unit: CalendarUnit
    timezone: str
    """`contact`, `workspace` or an IANA name."""
    week_starts: int = 1
    """ISO weekday, Monday is 1."""


@dataclass(frozen=True)
class Counts:
    """Which messages a cap counts; an empty field counts everything."""

    purpose: str | None = None
    channels: tuple[str, ...] = ()
    journeys: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quota:
    """Marks a cap as a platform's own limit: nobody is exempt from it, and nothing scales it."""

    source: str
    """The platform's page or contract that sets it."""
    as_of: str
    """The day on which the source was read, as ISO date."""


@dataclass(frozen=True)
class Scale:
    """Contacts whose limits are scaled by a factor; the first of several whose condition holds counts."""

    when: Condition
    factor: float
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Silence:
    """Contacts who owe an answer for so long are left alone for a while."""

    after: timedelta
    length: timedelta
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Cap:
    """A frequency limit: `limit` messages in `window`, or at least `min_gap` between two."""

    id: str
    counts: Counts
    limit: int | None
    window: RollingWindow | CalendarWindow | None
    min_gap: timedelta | None
    when_full: WhenFull
    max_defer: timedelta | None = None
    file: str = ""
    line: int = 0
    quota: Quota | None = None
    scale: tuple[Scale, ...] = ()
    """Who has a larger or smaller limit; empty for a gap and for a quota."""
    look_ahead: timedelta | None = None
    """How far it looks for messages of higher value, to leave them the last place; None: not at all."""


@frozen
class Intent:
    """The wish to send one message to one contact, as the gate sees it."""

    key: str
    contact_id: str
    purpose: str
    priority: int
    content: str
    channels: tuple[str, ...]
    step_id: str
    visit: int
    created_at: datetime
    """Journey time."""
    run_id: str | None = None
    journey: str | None = None
    deadline_at: datetime | None = None
    """Delivery time."""
    expires_at: datetime | None = None
    """Journey time."""
    bundle_hash: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Queue:
    """A line of messages that wait until a share of a budget allows them."""

    budget: str
    share: str
    cost: int
    """What this message adds to it, in the budget's smallest unit."""


@frozen
class Answer:
    """What one stage says of an intent, with everything needed to explain it afterwards."""

    verdict: Verdict
    stage: str
    reason: str = ""
    """`family.detail`; empty only with ALLOW."""
    channel: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    would_pass_if: str = ""
    hold_until: datetime | None = None
    """Journey time at which a hold should be looked at again; None: only a change of `hold_scope` ends it."""
    hold_scope: str | None = None
    """What holds it, such as `kill`; of several, parted by spaces, the first to change ends the hold."""
    retry_at: datetime | None = None
    """Delivery time before which nothing should be tried, as a provider asked."""
    worth_until: datetime | None = None
    """Journey time after which what is held here is no longer worth sending; None: no sooner than before."""
    outcome: Outcome | None = None
    """How the intent ends, when this answer ends it."""
    keeps_channel: bool = False
    """Whether a hold waits for this very channel: those after it are not asked."""
    queue: Queue | None = None
    """With a hold: the line in which the message waits from now on."""
