"""Windows in which platforms let us write to people who were heard: what a channel says of them, and which
is open; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

MESSAGE = "message_received"
"""The type of event by which somebody is heard who has written to us."""
MOST_KEPT = 64
"""Times that a window opened or was closed which are kept of one address and type of event, the latest, where
each of them counts. What is forgotten lets fewer messages go than the platform would, never more."""
MOST_COUNTED = 4 * MOST_KEPT
"""Messages that are looked at to tell how much of such a window is used."""


@dataclass(frozen=True)
class Window:
    """For how long, and with how many messages, a platform lets us write to somebody who was heard."""

    name: str
    """lower_snake; one channel's windows have different ones."""
    length: timedelta | None
    """Since the person was heard last; None: it stays open until its allowance is used up."""
    opened_by: tuple[str, ...] = (MESSAGE,)
    """Types of events, as the channel tells them (`Happened.type`); a message of a person is
    `message_received`."""
    allowance: int | None = None
    """How many messages, each time that it opens; None: as many as one likes. One that opens anew has all
    of them again, and none of those that were left, unless it adds up."""
    source: str = ""
    """Where the platform says so."""
    as_of: str = ""
    """The day on which the source was read."""
    adds_up: bool = False
    """Whether what is left of the allowance stays when it opens anew: two permissions are two messages."""
    per: str = ""
    """The property of its events by which it is several, as `template`: each value has a window of its own,
    and a message names one as `name:value` (`Preflight.within`)."""
    closed_by: tuple[str, ...] = ()
    """Types of events that close it, with whatever is left."""

    @property
    def counts_each(self) -> bool:
        """Whether each time that somebody was heard matters, and not the latest alone."""
        return self.adds_up or bool(self.per or self.closed_by)


@dataclass(frozen=True)
class Heard:
    """When somebody was heard by one type of event, on one channel."""

    at: datetime
    """The latest time; journey time."""
    reply_to: Mapping[str, str] = field(default_factory=dict)
    """What an answer to that has to name, as the channel told it."""
    each: tuple[tuple[datetime, str], ...] = ()
    """The latest times, with the value of the window's `per`, where each of them counts; in their order."""


@dataclass(frozen=True)
class ChannelWindows:
    """What a channel's plugin says of its windows."""

    windows: tuple[Window, ...]
    """Any of them lets a message go, unless its preflight names some."""
    writes_first: bool = False
    """Whether there are messages that need none."""

    @property
    def heard_by(self) -> tuple[str, ...]:
        """Types of events that open or close a window."""
        kinds = (kind for each in self.windows for kind in (*each.opened_by, *each.closed_by))
        return tuple(dict.fromkeys(kinds))

    def counted(self, kind: str) -> Window | None:
        """The window of which each event of this type counts; None: the latest is enough."""
        found = (each for each in self.windows if kind in (*each.opened_by, *each.closed_by))
        return next((each for each in found if each.counts_each), None)

    def for_message(self, within: Collection[str] | None) -> tuple[Window, ...]:
        """Those of which one must be open for a message whose preflight says `within`."""
        if within is None:
            return self.windows
        names = {each.partition(":")[0] for each in within}
        return tuple(each for each in self.windows if each.name in names)

    def asked(self, within: Collection[str] | None) -> tuple[tuple[Window, str], ...]:
        """As `for_message`, each with the value of its `per` that the message names."""
        if within is None:
            return tuple((each, "") for each in self.windows)
        named = [each.partition(":") for each in within]
        return tuple((each, part) for each in self.windows for name, _, part in named if name == each.name)


@dataclass(frozen=True)
class Opened:
    """A window that somebody opened, and how far it is used."""

    window: Window
    at: datetime
    """When they were heard last by what opens it."""
    by: str
    """The type of that event."""
    used: int
    """Messages that left through it since, of one that adds up: for what was allowed until now."""
    left: int | None
    """How many more it lets through; None: as many as one likes."""
    is_closed: bool = False
    """By an event, since."""

    @property
    def closes_at(self) -> datetime | None:
        return None if self.window.length is None else self.at + self.window.length

    def is_open(self, now: datetime) -> bool:
        """Whether it lets one more message go; at the moment of its end it is closed."""
        return not self.is_over(now) and not self.is_spent

    def is_over(self, now: datetime) -> bool:
        return self.is_closed or (self.closes_at is not None and now >= self.closes_at)

    @property
    def is_spent(self) -> bool:
        return self.left is not None and self.left <= 0


def opened(
    window: Window, heard: Mapping[str, Heard], sent: Sequence[datetime], part: str = ""
) -> Opened | None:
    """The window as it was opened last; None when nothing that was `heard` (type -> when) ever did.

    `sent` are the moments of messages that left through it; `part` is the value of its `per`.
    """
    if window.counts_each:
        return _counted(window, heard, sent, part)
    moments = [(heard[kind].at, kind) for kind in window.opened_by if kind in heard]
    if not moments:
        return None
    at, by = max(moments)
    used = sum(moment >= at for moment in sent)
    return Opened(window, at, by, used, None if window.allowance is None else window.allowance - used)


_OPENS, _CLOSES, _LEAVES = range(3)


def _counted(
    window: Window, heard: Mapping[str, Heard], sent: Iterable[datetime], part: str
) -> Opened | None:
    """Lives through all that is known, in its order; of one moment a closing outweighs an opening.

    What left before anything that is kept was let go by what is forgotten.
    """
    happened = [
        (at, what, kind)
        for what, kinds in ((_OPENS, window.opened_by), (_CLOSES, window.closed_by))
        for kind in kinds
        if kind in heard
        for at, of in heard[kind].each
        if of == part
    ]
    last = max(((at, kind) for at, what, kind in happened if what == _OPENS), default=None)
    if last is None:
        return None
    allowance = window.allowance or 0
    left, used, is_closed = 0, 0, True
    for _, what, _ in sorted([*happened, *((at, _LEAVES, "") for at in sent)]):
        if what == _OPENS:
            left, used = (left + allowance, used) if window.adds_up else (allowance, 0)
            is_closed = False
        elif what == _CLOSES:
            left, used, is_closed = 0, 0, True
        elif not is_closed and (left or window.allowance is None):
            left, used = max(0, left - 1), used + 1
    return Opened(window, *last, used, None if window.allowance is None else left, is_closed)
