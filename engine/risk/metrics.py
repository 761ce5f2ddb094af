"""What breakers can watch: which messages or events are counted, and what of them counts against; pure.

A figure is a share: of what it samples, how much is against. Each message counts once in a metric, whatever
is told of it and however often.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

SCOPES = ("workspace", "channel", "journey", "content")
"""What a breaker may watch one by one."""
RECEIPTS = ("accepted", "delivered", "bounced", "read", "complained")
"""What platforms tell of a message after they took it."""
WITHIN = timedelta(days=7)
"""How long after a message what somebody does is still about it, unless the metric says otherwise."""
ANY = "*"


class Samples(StrEnum):
    """What a metric counts."""

    ATTEMPTS = "attempts"
    """Calls of providers; what they did not take is against."""
    MESSAGES = "messages"
    """Messages that a provider took; those are against of which the wrong thing is told later."""
    EVENTS = "events"
    """Events, of which some are against; each is about the message before it."""


@dataclass(frozen=True)
class Metric:
    """A share that is watched; between 0 and 1."""

    name: str
    title: str
    samples: Samples
    receipts: tuple[str, ...] = ()
    """Of `RECEIPTS`, those that it listens to."""
    events: tuple[str, ...] = ()
    """Types of events that it listens to."""
    within: timedelta = WITHIN
    """Journey time between a message and an event that is about it, at most."""
    scopes: tuple[str, ...] = SCOPES
    is_plugins: bool = False
    """A plugin says of what is told whether it counts; else all of it is against."""

    @property
    def is_told_later(self) -> bool:
        """Whether a message that a provider took may still turn out to be against."""
        return self.samples is not Samples.ATTEMPTS


SEND_FAILURE_RATE = Metric("send_failure_rate", "发送失败率 · failed sends of all tried", Samples.ATTEMPTS)
BUILT_IN_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        each.name: each
        for each in (
            SEND_FAILURE_RATE,
            Metric(
                "bounce_rate",
                "退信率 · messages that came back, of all sent",
                Samples.MESSAGES,
                receipts=("bounced",),
            ),
            Metric(
                "complaint_rate",
                "投诉率 · messages complained of, of all sent",
                Samples.MESSAGES,
                receipts=("complained",),
            ),
            Metric(
                "unsubscribe_rate",
                "退订率 · messages after which somebody unsubscribed, of all sent",
                Samples.MESSAGES,
                events=("consent_withdrawn",),
            ),
        )
    }
)
"""By name: what can be watched without any plugin."""


class Where(NamedTuple):
    """What a message belongs to; empty where it belongs to none."""

    channel: str = ""
    journey: str = ""
    content: str = ""

    def scope(self, kind: str) -> str | None:
        """Its scope of a kind, as `channel:email`; None where it has none of that kind."""
        if kind == "workspace":
            return kind
        name = {"channel": self.channel, "journey": self.journey, "content": self.content}.get(kind)
        return f"{kind}:{name}" if name else None


@dataclass(frozen=True)
class Touch:
    """A message as events are about it: that a provider took it, and which one it is."""

    key: str
    at: datetime
    """Journey time of the hand-over."""
    channel: str
    purpose: str


@dataclass(frozen=True)
class Aim:
    """Which message an event is about, as far as it says so itself."""

    at: datetime
    """Journey time at which it happened."""
    key: str | None = None
    channel: str | None = None
    purpose: str | None = None


def aim_of(at: datetime, properties: Mapping[str, object]) -> Aim:
    """What an event says of the message before it: `answers` names it, `channel` and `purpose` narrow it."""

    def said(name: str) -> str | None:
        value = properties.get(name)
        return value if isinstance(value, str) and value and value != ANY else None

    return Aim(at, said("answers"), said("channel"), said("purpose"))


def message_before(aim: Aim, touches: Iterable[Touch], within: timedelta) -> str | None:
    """The key of the message that an event is about: the one it names, else the latest one that fits."""
    fitting = [
        touch
        for touch in touches
        if aim.at - within <= touch.at <= aim.at
        and (aim.channel is None or touch.channel == aim.channel)
        and (aim.purpose is None or touch.purpose == aim.purpose)
        and (aim.key is None or touch.key == aim.key)
    ]
    return max(fitting, key=lambda touch: (touch.at, touch.key)).key if fitting else None
