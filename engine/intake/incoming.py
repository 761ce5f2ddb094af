"""What senders hand in, as values: an event that can be used, or one that cannot, with the reason.

Nothing here knows a workspace; whether an event's type and properties fit one is decided in `checking`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

MAX_ID = 256
"""Characters an id may have."""
MAX_ADDRESS = 2000
"""Bytes of an address in UTF-8: more do not fit an entry of a database index. A browser's subscription to
notifications, which is an address, has several hundred."""

_MAX_DEPTH = 64
_MAX_INTEGER = 2**63 - 1

Identity = tuple[str, str]
"""A platform and an address on it; `user` is Segment's userId, `anonymous` its anonymousId."""


def is_too_long(address: str) -> bool:
    """Whether an address is longer than any that can be kept."""
    return len(address.encode("utf-8", "surrogatepass")) > MAX_ADDRESS


@dataclass(frozen=True)
class IncomingEvent:
    """One event as it was sent, not yet held against a workspace."""

    message_id: str
    """Names it for ever: an event that comes again under the same id changes nothing."""
    type: str
    identities: tuple[Identity, ...] = ()
    """In the order in which they are tried; the first that is known says who it is."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    traits: Mapping[str, Any] = field(default_factory=dict)
    """What the sender states of the contact: declared attributes and identities are kept, others are not."""
    occurred_at: datetime | None = None
    """Journey time; None: the moment it is taken in."""
    timezone: str | None = None
    """The zone of the device, as the sender states it; it need not exist."""
    locale: str | None = None
    contact_id: str | None = None
    """Set when Wayline itself knows the contact (an unsubscribe link); identities are then not asked."""
    previous_id: str | None = None
    """Of an alias: the user id or the device's id under which the same person was known before."""
    raw: Any = None
    """What was sent, whole."""


@dataclass(frozen=True)
class Unusable:
    """An event that cannot be used: it becomes a dead letter."""

    code: str
    """`EV` and three digits"""
    message: str
    """The reason, without the values that were sent."""
    raw: Any


Incoming = IncomingEvent | Unusable


def unstorable(value: Any) -> str | None:
    """Why a JSON value cannot be kept in a database, or None when it can.

    PostgreSQL has no U+0000 in text and no lone surrogates; numbers must be finite and fit 64 bits.
    """
    open_: list[tuple[Any, int]] = [(value, 0)]
    while open_:
        item, depth = open_.pop()
        if isinstance(item, str):
            fault = _text_fault(item)
            if fault is not None:
                return fault
        elif isinstance(item, dict):
            if depth >= _MAX_DEPTH:
                return f"it is nested more than {_MAX_DEPTH} levels deep"
            for key, part in item.items():
                open_.append((key, depth))
                open_.append((part, depth + 1))
        elif isinstance(item, list):
            if depth >= _MAX_DEPTH:
                return f"it is nested more than {_MAX_DEPTH} levels deep"
            open_.extend((part, depth + 1) for part in item)
        elif isinstance(item, float):
            if not math.isfinite(item):
                return "it holds a number that is not finite"
        elif isinstance(item, int) and abs(item) > _MAX_INTEGER:
            return "it holds a whole number of more than 64 bits"
    return None


def _text_fault(text: str) -> str | None:
    if text.isascii():
        return "it holds the character U+0000, which cannot be stored" if "\x00" in text else None
    if "\x00" in text:
        return "it holds the character U+0000, which cannot be stored"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "it holds half of a surrogate pair, which is not a character"
    return None


def content_id(message: Any) -> str:
    """A message id made of the content, for a message that came without one: equal content, equal id."""
    canonical = orjson.dumps(message, option=orjson.OPT_SORT_KEYS)
    return f"content:{hashlib.sha256(canonical).hexdigest()[:32]}"


def as_text(message: Any) -> str:
    """The message as JSON in ASCII, for one that could not be stored as a document."""
    try:
        return json.dumps(message)
    except RecursionError:
        return "(nested too deeply to be kept)"
