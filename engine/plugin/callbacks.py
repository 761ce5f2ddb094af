"""What platforms tell of their own accord, as values: in callbacks, and when they are asked now and then.

Both are optional for a channel. One that has `parse_callback` hears at `/callbacks/{channel}`; one that has
`poll`, and says in `Capabilities.poll_every` how often, is asked by `wayline dispatch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, get_args, runtime_checkable

Heard = Literal["accepted", "delivered", "bounced", "read", "complained"]
HEARD: tuple[str, ...] = get_args(Heard)
RefusedFor = Literal["signature", "stale", "malformed"]


@dataclass(frozen=True)
class Receipt:
    """What became of a message after the provider took it.

    `intent` is the key the message was sent with, where the platform gives it back; else `provider_id` is the
    one that `Accepted` named.
    """

    said: Heard
    at: datetime
    provider_id: str = ""
    intent: str = ""
    code: str = ""
    """The platform's own word for why it bounced; never a text or an address."""
    permanent: bool = False
    """Of a bounce: the address does not exist, and is not written to again."""


@dataclass(frozen=True)
class Inbound:
    """A message that a person wrote to us."""

    address: str
    """The sender, as the channel's platform names people."""
    text: str
    at: datetime
    provider_id: str
    """The platform's id of the message; a repeated one is the same message."""
    answers: str = ""
    """The message it answers, as the provider or its key names that one; empty where nobody says."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """Plain values beside the text: its kind, the button that was pressed."""
    reply_to: Mapping[str, str] = field(default_factory=dict)
    """What an answer has to name on the platform; kept with the address, and told to the channel again with
    each message that leaves while the window is open (`Message.reply_to`)."""


@dataclass(frozen=True)
class Happened:
    """Anything else that a person did on the platform, as an event of the ruleset's types."""

    type: str
    address: str
    at: datetime
    id: str
    """Names it for ever on this channel; a repeated one is the same event."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    reply_to: Mapping[str, str] = field(default_factory=dict)
    """As with `Inbound`."""


@dataclass(frozen=True)
class Preference:
    """That a person wants no more marketing from us, or wants it again; said to the platform, not to us."""

    address: str
    wanted: bool
    """False: they want none on this channel, which withdraws their consent to it. True is noted, and grants
    nothing: what for, and under which notice, the platform did not ask them."""
    at: datetime
    id: str
    """Names it for ever on this channel; a repeated one is the same."""
    said: str = ""
    """The platform's own word for it; never a text or an address."""


Told = Receipt | Inbound | Happened | Preference


@dataclass(frozen=True)
class Callback:
    """A callback whose signature is right: what it tells, and what the platform wants to read in return."""

    told: tuple[Told, ...] = ()
    reply: bytes = b""
    media_type: str = "text/plain"
    id: str = ""
    """Names this delivery, signed along with it: one that comes again has no second effect. Empty where the
    platform names none; what is told is then known again by its own ids."""


@dataclass(frozen=True)
class Refused:
    """A callback that is not believed."""

    code: RefusedFor
    """signature: not signed by whom we know; stale: signed too long ago, or for the future; malformed: signed
    well, and not what the platform documents"""
    detail: str = ""
    """For whoever sets the platform up; never an address, a text or a secret."""


@runtime_checkable
class Listens(Protocol):
    """A channel whose platform calls us."""

    def parse_callback(
        self, raw_body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Callback | Refused:
        """What one request to `/callbacks/{channel}` says; nothing is asked and nobody is waited for.

        `raw_body` is as it came, byte for byte, and empty for GET, with which platforms try an address out;
        names in `headers` are in lower case. The signature is verified before anything is read.
        """


@dataclass(frozen=True)
class Polled:
    """What a platform told when asked, and the moment from which to ask next time."""

    told: tuple[Told, ...]
    until: datetime


@runtime_checkable
class Asks(Protocol):
    """A channel whose platform has to be asked what became of messages."""

    async def poll(self, since: datetime) -> Polled:
        """What happened from `since` on; telling it again does no harm. Raise when the platform cannot be
        asked: the same `since` comes again."""
