"""When people were heard last on channels whose platforms let us write to them for a while; pure.

It is kept with the address by which they were heard: another of theirs opens nothing for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.authoring.bundle import Bundle, ChannelConfig
from engine.gate.windows import MOST_KEPT, Heard
from engine.journeys.event import CONTACT_ADDED, MESSAGE_RECEIVED, Event

CALLBACK = "callback:"
"""What the source of an event begins with that a channel's platform told; the channel's id follows."""

REPLY_TO = "reply_to"
"""The property of an event that says what an answer to it has to name, as texts by their names."""
_MOST_NAMED, _LONGEST_NAMED = 10, 300

HeardOn = Mapping[str, Mapping[str, Heard]]
"""Of one address: channel -> type of event -> when its owner was heard."""


@dataclass(frozen=True)
class Hearing:
    """That somebody was heard on a channel."""

    channel: str
    platform: str
    """Whose addresses the channel reaches."""
    kind: str
    """The type of the event."""
    at: datetime
    """Journey time; ahead of its own arrival no event happens."""
    reply_to: Mapping[str, str] = field(default_factory=dict)
    part: str | None = None
    """Where each time counts: the value of the window's `per`. None: the latest is enough."""


def hearings(event: Event, bundle: Bundle) -> tuple[Hearing, ...]:
    """On which channels the event opens a window, or closes one.

    That is the channel that told of it, or the one it names. A message that names none opens none; anything
    else opens those of all channels where it would.
    """
    openable = bundle.openers.get(event.type)
    if not openable:
        return ()
    channels: tuple[str, ...] = openable
    told_by = _channel_of(event, bundle)
    if told_by is not None:
        channels = (told_by.id,) if told_by.id in openable else ()
    elif event.type == MESSAGE_RECEIVED:
        channels = ()
    at = min(event.occurred_at, event.received_at)
    names = _names_in(event)
    return tuple(
        Hearing(name, bundle.channels[name].identity, event.type, at, names, _part(event, name, bundle))
        for name in channels
    )


def shows_reachable(event: Event, bundle: Bundle) -> str | None:
    """The platform on which an address that the event names is in use, as the event shows; None: none.

    Who writes to us can be written to; so can who is told, by the channel itself, to have come (again).
    """
    channel = _channel_of(event, bundle)
    if channel is None:
        return None
    has_come = event.type == CONTACT_ADDED and event.source.startswith(CALLBACK)
    return channel.identity if has_come or event.type == MESSAGE_RECEIVED else None


def with_hearing(heard: HeardOn, hearing: Hearing) -> dict[str, dict[str, Heard]]:
    """What was heard of an address, and this; of each type the latest counts, or the latest few."""
    found = {channel: dict(kinds) for channel, kinds in heard.items()}
    kinds = found.setdefault(hearing.channel, {})
    before = kinds.get(hearing.kind)
    each = () if before is None else before.each
    if hearing.part is not None:
        each = tuple(sorted((*each, (hearing.at, hearing.part)))[-MOST_KEPT:])
    is_latest = before is None or hearing.at >= before.at
    kinds[hearing.kind] = (
        Heard(hearing.at, hearing.reply_to, each)
        if before is None or is_latest
        else Heard(before.at, before.reply_to, each)
    )
    return found


def _part(event: Event, channel: str, bundle: Bundle) -> str | None:
    window = bundle.windows[channel].counted(event.type)
    if window is None:
        return None
    value = event.properties.get(window.per) if window.per else ""
    return value if isinstance(value, str) else ""


def _names_in(event: Event) -> Mapping[str, str]:
    """What an answer has to name; nothing that is no short text is kept."""
    told = event.properties.get(REPLY_TO)
    if not isinstance(told, Mapping) or len(told) > _MOST_NAMED:
        return {}
    return {
        str(name): value
        for name, value in told.items()
        if isinstance(value, str) and len(value) <= _LONGEST_NAMED
    }


def _channel_of(event: Event, bundle: Bundle) -> ChannelConfig | None:
    if event.source.startswith(CALLBACK):
        return bundle.channels.get(event.source.removeprefix(CALLBACK))
    named = event.properties.get("channel")
    return bundle.channels.get(named) if isinstance(named, str) else None


def as_document(heard: HeardOn) -> dict[str, dict[str, Any]]:
    """As it is stored: a moment, or an object where more is known than that."""
    return {
        channel: {kind: _stored(each) for kind, each in kinds.items()} for channel, kinds in heard.items()
    }


def of_document(document: Mapping[str, Mapping[str, Any]] | None) -> HeardOn:
    """Out of what is stored."""
    return {
        channel: {kind: _read(stored) for kind, stored in kinds.items()}
        for channel, kinds in (document or {}).items()
    }


def _stored(heard: Heard) -> Any:
    at = heard.at.isoformat()
    if not heard.reply_to and not heard.each:
        return at
    return {
        "at": at,
        "reply_to": dict(heard.reply_to),
        "each": [[moment.isoformat(), part] for moment, part in heard.each],
    }


def _read(stored: Any) -> Heard:
    if isinstance(stored, str):
        return Heard(datetime.fromisoformat(stored))
    each = tuple((datetime.fromisoformat(moment), part) for moment, part in stored["each"])
    return Heard(datetime.fromisoformat(stored["at"]), stored["reply_to"], each)
