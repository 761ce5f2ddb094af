"""What plugin authors implement: Channel, Generator, Check; and the values that pass to and from the engine.

Expected answers are results, not exceptions. Anything a plugin raises is contained by the engine: a check
then fails closed, a generator falls back, the result of a channel or an action counts as unknown. Actions
have a module of their own, `engine.plugin.actions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from engine.gate.by_hand import Task as Task
from engine.gate.by_hand import TaskAnswer as TaskAnswer
from engine.gate.windows import Window as Window
from engine.plugin.brand import BrandBook

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
    reply_to: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What an answer has to name, as the channel told it (`Inbound.reply_to`), by the windows of the channel
    that are open for this person."""


@dataclass(frozen=True)
class Accepted:
    """The provider took the message."""

    provider_id: str | None = None
    task: Task | None = None
    """The provider is a person: what they are to do. Until they have answered it is not delivered."""


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
    by_hand: bool = False
    """Every message is a task for people; the setting `queue` names whose list it stands on."""
    max_length: int | None = None
    length_unit: str = "characters"
    """characters | bytes"""
    poll_every: timedelta | None = None
    """How often the platform is asked what became of messages, by the channel's `poll`; None: never."""
    windows: tuple[Window, ...] = ()
    """In which the platform takes messages to people who were heard; the gate keeps them. Empty: at any
    time."""
    writes_first: bool = False
    """With windows: whether there are messages, such as approved templates, that leave outside of them as
    well. Which these are says the preflight (`Preflight.within`)."""


@dataclass(frozen=True)
class Preflight:
    """Whether a message could go out on this channel at all; `reason` is the detail of `channel.<detail>`."""

    ok: bool
    reason: str = ""
    detail: str = ""
    not_before: datetime | None = None
    within: tuple[str, ...] | None = None
    """Names of the channel's windows of which one must be open for this message; None: any of them; empty:
    it may leave at any time."""


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
    instructions: str = ""
    """What to write, for a generator that asks somebody else."""
    facts: tuple[str, ...] = ()
    """What that one is told of the reader, as `contact.city`."""


@dataclass(frozen=True)
class GenerateRequest:
    content: ContentSpec
    facts: Mapping[str, Any]
    """`contact`, `event`, `journey` and `links` as nested mappings. One that asks somebody else is given the
    links and what the content names."""
    channel: str
    purpose: str
    brand: BrandBook | None = None
    """The workspace's brand book, if it has one."""
    today: date | None = None
    """The day in the workspace's zone, where anybody knows it."""


@dataclass(frozen=True)
class Provenance:
    """Where a text comes from."""

    generator: str
    model: str = ""
    prompt_hash: str = ""
    ai_generated: bool = False
    tokens: int | None = None
    """What writing it took, asked and answered; None where nobody counts."""
    answered: int | None = None
    """Of these, those of the answer, which often cost more; None where nobody knows."""


@dataclass(frozen=True)
class Draft:
    body: str
    subject: str = ""
    call_to_action: str = ""
    locale: str = ""
    provenance: Provenance = Provenance("")


@runtime_checkable
class Generator(Protocol):
    """Makes texts.

    One that asks somebody else has two attributes more: `settings`, the pydantic model that the ruleset's
    `settings` must satisfy, and `configured(settings)`, which returns a generator bound to a validated
    instance of it. It stands in a file of kind `generators`, and is never asked in virtual time. It may have
    `most_tokens(request)`, what one text costs at most; `needs_instructions = True` when it can do nothing
    without; and `close()`.
    """

    name: str

    def generate(self, request: GenerateRequest) -> Draft:
        """The text for one contact. Raise `GeneratorFailed` when there is none; the engine falls back."""


class GeneratorFailed(Exception):
    """A generator could not make a text; the message says why, without personal data.

    `code` is the same in a word, for decisions; `tokens` what it took all the same, and `answered` those of
    them that the answer had; None where nobody knows.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "failed",
        tokens: int | None = None,
        answered: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.tokens = tokens
        self.answered = answered


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
    brand: BrandBook | None = None
    """The workspace's brand book, if it has one."""
    today: date | None = None
    """The day in the workspace's zone, where anybody knows it."""
    content: str = ""
    """The content that the draft was made of; empty for a text of no content."""
    contents: Sequence[ContentSpec] = ()
    """Every text of the ruleset as it is written, its variables not filled in; the same object for as long as
    the ruleset stays."""


@dataclass(frozen=True)
class LexiconEntry:
    term: str
    severity: Severity
    law: str = ""
    suggestion: str = ""
    exempt_when: tuple[str, ...] = ()
    """Longer texts around the term that make it harmless: 最近 for 最."""
    topic: str = ""
    """What the term is about, as part of the finding's code."""
    parts: tuple[tuple[str, ...], ...] = ()
    """What is looked for, where that is not the term itself: one word of each part, in this order.

    The part ("<number>",) is any number, ("<percent>",) any share of a hundred. The term names it all.
    """
    gap: int = 0
    """Characters that may stand between two parts, blanks not counted."""
    languages: tuple[str, ...] = ()
    """In texts of which languages it counts, as codes such as es; in those of all languages when empty."""
    only_with: tuple[str, ...] = ()
    """Words without one of which, in the same sentence, it says nothing: 不反弹 of a share and of a diet."""


@dataclass(frozen=True)
class LexiconContext:
    """Words in the same part of a sentence that make a term harmless, as an exemption of the law does.

    One of `before` ahead of the term, or one of `after` behind it, or one of each group of `together`.
    """

    id: str
    law: str = ""
    suggestion: str = ""
    topics: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    """Which entries it applies to: those of the topics and those of the terms; without either, all."""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    within: str = "clause"
    """near (no more than three characters away) | clause | sentence"""
    evidence: bool = False
    """What the text states has to be proved: the finding stays, and is no longer grave."""


@dataclass(frozen=True)
class Lexicon:
    id: str
    entries: tuple[LexiconEntry, ...]
    source: str
    as_of: str
    contexts: tuple[LexiconContext, ...] = ()


@runtime_checkable
class Check(Protocol):
    """Looks for what must not be said.

    Some attributes are optional. `settings`, a pydantic model of what the ruleset may set (without it the
    check takes no settings), `needs_lexicons = True` for a check that can do nothing without a word list,
    `languages`, the codes of those that words of its lists may be said to be of, and
    `needs_brand = True` for one that goes by the brand book are checked where the ruleset is written;
    `context.settings` holds the values as they stand there.
    `reads_contents = True` has `wayline lint` ask it about each text of the ruleset as it is written.
    `dimension` names the score that it lowers, and a method `score(draft, context) -> int | None` says
    that score itself, 0 to 100, in place of what its findings would cost; None where it cannot tell.
    """

    name: str

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        """Everything objectionable in the draft. Raising blocks the message (fails closed)."""
