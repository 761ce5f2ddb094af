"""What plugin authors implement: Channel, Generator, Check; and the values that pass to and from the engine.

Expected answers are results, not exceptions. Anything a plugin raises is contained by the engine: a check
then fails closed, a generator falls back, the result of a channel or an action counts as unknown. Actions
have a module of their own, `engine.plugin.actions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

LINKS = ("unsubscribe", "preferences", "confirm")
"""Links of one recipient that texts may hold, as `{{ links.unsubscribe }}`."""


@dataclass(frozen=True)
class Message:
    """One message, ready to send: rendered, checked, addressed."""

    to: str
    """The address on the channel's platform."""
    body: str
    subject: str = ""
    call_to_action: str = ""
    contact_id: str = ""
    purpose: str = ""
    is_marketing: bool = True
    content: str = ""
    """The content's id in the ruleset."""
    locale: str = ""
    unsubscribe_url: str | None = None
    """One-click unsubscribe (RFC 8058), for channels that carry it."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Accepted:
    """The provider took the message."""

    provider_id: str | None = None


@dataclass(frozen=True)
class Retry:
    """The provider did not take it and says when to come back; nothing was sent."""

    after: timedelta
    code: str = "busy"
    of_provider: bool = False
    """It says so of everything, as 429 with Retry-After does, and not of this message alone: nothing else is
    sent through its account before."""


@dataclass(frozen=True)
class Rejected:
    """The provider refused it for good; nothing was sent.

    `permanent_address` says that this address will never work and should be suppressed.
    """

    code: str
    detail: str = ""
    permanent_address: bool = False


@dataclass(frozen=True)
class Unknown:
    """Nobody can tell whether it was sent: the connection broke after the message went out."""

    detail: str = ""


SendResult = Accepted | Retry | Rejected | Unknown


@dataclass(frozen=True)
class Capabilities:
    """What a channel can do, so that the engine knows what it may promise."""

    idempotency_key: bool = False
    """The provider itself turns a repeated key into one effect."""
    receipts: bool = False
    inbound: bool = False
    asynchronous_confirmation: bool = False
    attachments: bool = False
    max_length: int | None = None
    length_unit: str = "characters"
    """characters | bytes"""


@dataclass(frozen=True)
class Preflight:
    """Whether a message could go out on this channel at all; `reason` is the detail of `channel.<detail>`."""

    ok: bool
    reason: str = ""
    detail: str = ""
    not_before: datetime | None = None


@runtime_checkable
class Channel(Protocol):
    """A way to reach people.

    `settings` is the pydantic model that the ruleset's `settings` must satisfy; `configured` returns a
    channel bound to a validated instance of it. The registry offers unconfigured channels by `name`.
    """

    name: str
    settings: type[BaseModel]
    capabilities: Capabilities

    def configured(self, settings: BaseModel) -> Channel: ...

    def preflight(self, message: Message) -> Preflight: ...

    async def send(self, message: Message, idempotency_key: str) -> SendResult: ...

    async def close(self) -> None:
        """Let go of connections; the channel is not used afterwards."""


@dataclass(frozen=True)
class ContentSpec:
    """One content of the ruleset, in one locale."""

    id: str
    locale: str
    body: str
    subject: str = ""
    call_to_action: str = ""
    generator: str = "template"


@dataclass(frozen=True)
class GenerateRequest:
    content: ContentSpec
    facts: Mapping[str, Any]
    """`contact`, `event`, `journey` as nested mappings, for the template."""
    channel: str
    purpose: str


@dataclass(frozen=True)
class Provenance:
    """Where a text comes from."""

    generator: str
    model: str = ""
    prompt_hash: str = ""
    ai_generated: bool = False


@dataclass(frozen=True)
class Draft:
    body: str
    subject: str = ""
    call_to_action: str = ""
    locale: str = ""
    provenance: Provenance = Provenance("")


@runtime_checkable
class Generator(Protocol):
    name: str

    def generate(self, request: GenerateRequest) -> Draft:
        """The text for one contact. Raise `GeneratorFailed` when there is none; the engine falls back."""


class GeneratorFailed(Exception):
    """A generator could not make a text; the message says why, without personal data."""


class Severity(StrEnum):
    INFO = "info"
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True)
class Finding:
    """One thing a check found in a draft."""

    code: str
    severity: Severity
    start: int
    end: int
    """Span in the original text of `part`, in characters, end exclusive."""
    message: str
    part: str = "body"
    """body | subject | call_to_action"""
    rule: str = ""
    """The law, platform rule or lexicon entry behind it."""
    suggestion: str = ""


@dataclass(frozen=True)
class CheckContext:
    """Where the draft is going, and the settings the ruleset gives this check."""

    channel: str
    purpose: str
    locale: str
    settings: Mapping[str, Any]
    lexicons: Sequence[Lexicon]


@dataclass(frozen=True)
class LexiconEntry:
    term: str
    severity: Severity
    law: str = ""
    suggestion: str = ""
    exempt_when: tuple[str, ...] = ()
    """Longer texts around the term that make it harmless: 最近 for 最."""


@dataclass(frozen=True)
class Lexicon:
    id: str
    entries: tuple[LexiconEntry, ...]
    source: str
    as_of: str


@runtime_checkable
class Check(Protocol):
    """Looks for what must not be said.

    Two attributes are optional: `settings`, a pydantic model of what the ruleset may set (without it the
    check takes no settings), and `needs_lexicons = True` for a check that can do nothing without a word list.
    Both are checked where the ruleset is written; `context.settings` holds the values as they stand there.
    """

    name: str

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        """Everything objectionable in the draft. Raising blocks the message (fails closed)."""
