"""What the gate reads and writes: the values it decides over, and the protocol for SQL and memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Protocol, TypeVar

from engine.changing import frozen
from engine.clock import JourneyTime
from engine.experiments.holding_out import HoldOut
from engine.gate.arbitration import Rival
from engine.gate.budgets import Book, Budget, Halt, Paid
from engine.gate.by_hand import Task
from engine.gate.consent import ConsentRecord
from engine.gate.hours import NOWHERE_STATED, QuietRule, Residence
from engine.gate.model import Answer, Cap, Intent, Outcome, Purpose, Silence
from engine.gate.rates import Provider
from engine.gate.reviewing import ReviewPolicy, Reviews, Sealed
from engine.gate.windows import ChannelWindows, Heard
from engine.gate.worth import EVERYBODY_THE_SAME, ContactValue
from engine.rules.facts import Facts

T = TypeVar("T")

_MOST_WORKED_OUT = 10_000


@frozen
class Moment:
    """One instant on both clocks."""

    journey: datetime
    delivery: datetime

    @classmethod
    def of(cls, delivery: datetime, time: JourneyTime) -> Moment:
        """The instant at a delivery time, in a workspace whose journey time runs as `time` says."""
        return cls(time.at(delivery), delivery)


@dataclass(frozen=True)
class GateRules:
    """What a bundle tells the gate."""

    version: str
    """The bundle's hash."""
    timezone: str
    """The workspace's IANA zone, used where the contact's own is not known."""
    purposes: Mapping[str, Purpose]
    platforms: Mapping[str, str]
    """Channel id -> the identity platform whose addresses it reaches."""
    caps: tuple[Cap, ...]
    resume_within: Mapping[str, timedelta]
    """Breaker id -> how long (journey time) what it holds stays worth sending; absent: no limit."""
    metrics: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """Breaker id -> the name of the figure that it watches."""
    paused_purposes: Mapping[str, str] = field(default_factory=dict)
    """Purpose -> the plan that holds its messages."""
    paused_journeys: Mapping[str, str] = field(default_factory=dict)
    hold_outs: tuple[HoldOut, ...] = ()
    providers: Mapping[str, Provider] = field(default_factory=dict)
    """Channel -> its account at a provider; only where rates or a circuit are declared of it."""
    quiet: tuple[QuietRule, ...] = ()
    residence: Residence = NOWHERE_STATED
    silence: Silence | None = None
    """When marketing leaves contacts alone who do not answer; None: never."""
    revivals: frozenset[str] = frozenset()
    """Journeys for contacts who fell silent: the pause spares them."""
    content_values: Mapping[str, float] = field(default_factory=dict)
    """Contents whose value is not 1."""
    budgets: tuple[Budget, ...] = ()
    contact_value: ContactValue = EVERYBODY_THE_SAME
    reviews: tuple[ReviewPolicy, ...] = ()
    """Which texts people have to approve; the first that fits counts."""
    recomputes_on_send: bool = False
    """Whether what is computed of a contact depends on what was sent to them."""

    windows: Mapping[str, ChannelWindows] = field(default_factory=dict)
    """Channel -> in which time its platform lets us write; without those that may always."""

    @cached_property
    def asks_facts(self) -> bool:
        """Whether anything here is decided by what is known of the contact."""
        return (
            bool(self.contact_value.cases)
            or any(cap.scale for cap in self.caps)
            or any(share.when is not None for budget in self.budgets for share in budget.shares)
        )

    @cached_property
    def look_ahead(self) -> timedelta | None:
        """The farthest that any cap looks for messages still to come; None: none does."""
        return max((cap.look_ahead for cap in self.caps if cap.look_ahead is not None), default=None)

    def judges_as(self, other: GateRules) -> bool:
        """Whether messages are judged alike under both, whatever the two are called; False when in doubt."""
        if self.asks_facts or other.asks_facts:
            return False  # behind the same names another rule may stand
        return replace(self, version=other.version) == other

    def worked_out(self, asked: Hashable, work: Callable[[], T]) -> T:
        """What `work` makes of these rules, done once for each thing asked: rules do not change."""
        found: T | None = self._worked_out.get(asked)
        if found is None:
            if len(self._worked_out) >= _MOST_WORKED_OUT:
                self._worked_out.clear()
            # Two threads may both do the work; what they make is the same.
            found = self._worked_out[asked] = work()
        return found

    @cached_property
    def _worked_out(self) -> dict[Hashable, Any]:
        return {}


@frozen
class Standing:
    """Whether a contact may be reached at all, and what caps and quiet hours need to know of them."""

    timezone: str | None = None
    timezone_source: str | None = None
    """stated | device | number; None where no zone is known."""
    timezone_candidates: tuple[str, ...] = ()
    """Zones one of which is theirs, by their phone numbers, where `timezone` is not known; empty: any."""
    countries: tuple[str, ...] = ()
    """Countries of their phone numbers, sorted."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    suppressed: str | None = None
    """Why the whole contact must not be reached; None when they may."""
    is_erased: bool = False
    is_merged: bool = False
    silent_since: datetime | None = None
    """Journey time of the oldest marketing message without an answer, as `engine.gate.tolerance` counts."""


@frozen
class Identity:
    """One address of the contact."""

    platform: str
    address: str
    suppressed: str | None = None
    heard: Mapping[str, Mapping[str, Heard]] = field(default_factory=dict)
    """Channel -> type of event -> when its owner was heard there, as far as that opens or closes a window."""


@dataclass(frozen=True)
class PublishedBreaker:
    """A breaker in one scope as it was last published; scopes without a row are closed."""

    breaker_id: str
    scope: str
    """`workspace`, `journey:welcome`, `content:hello`, `channel:email`"""
    state: str
    """closed | open | half_open"""
    level: str | None = None
    probes_left: int = 0
    ramp: float | None = None
    epoch: int = 0


@frozen
class Place:
    """One place in one cap that counts, or may come to count, against the contact."""

    cap_id: str
    intent_key: str
    at: datetime
    """Journey time."""
    is_confirmed: bool
    """False: leased by an intent that has not been handed over yet."""
    purpose: str
    channel: str
    journey: str | None = None
    tags: frozenset[str] = frozenset()
    content: str = ""
    part: str = ""
    """Of a window that is several (`Window.per`): which of them."""


@frozen
class View:
    """All that stages look at, read together at one moment."""

    rules: GateRules
    standing: Standing | None
    """None: there is no such contact."""
    kill_reason: str | None = None
    """Why everything is stopped; None when it is not."""
    breakers: tuple[PublishedBreaker, ...] = ()
    identities: tuple[Identity, ...] = ()
    """Latest added first."""
    consents: tuple[ConsentRecord, ...] = ()
    """In ledger order."""
    places: tuple[Place, ...] = ()
    """The contact's places under a running lease, and of each cap the latest that are confirmed, as many as
    can decide over it."""
    refused_by: Mapping[str, str] = field(default_factory=dict)
    """Channels whose provider already refused this intent for good -> the provider's code."""
    contact: Mapping[str, Any] = field(default_factory=dict)
    """The contact's facts by name, as templates see them."""
    facts: Facts = field(default_factory=dict)
    """The `contact.` facts, where the rules ask for them."""
    rivals: tuple[Rival, ...] = ()
    """Other messages for the contact that are still to come, as far as caps look ahead."""
    books: Mapping[str, Book] = field(default_factory=dict)
    """Budget -> what is known of it, of those that may have to pay; absent: nothing was taken from it yet."""
    paid: Mapping[str, Paid] = field(default_factory=dict)
    """Budget -> what the intent holds of it already, from an attempt before this one."""
    halts: Mapping[str, Mapping[str, Halt]] = field(default_factory=dict)
    """Budget -> share -> why nothing is spent of it now; of those that may have to pay."""
    reviewed: Reviews | None = field(default_factory=dict)
    """By hash, what people have said of the content's texts, where a policy asks; None: all are approved."""
    time: JourneyTime = field(default_factory=JourneyTime)


@dataclass(frozen=True)
class Claim:
    """An intent that one caller alone works on for the length of a lease, with what the gate sees of it."""

    intent: Intent
    view: View
    lease: str
    """Names the lease; whoever lost it changes nothing any more."""
    attempts: int = 0
    """Hand-overs so far."""
    in_doubt_on: str | None = None
    """The channel of a hand-over whose result nobody recorded."""


class LeaseLost(Exception):
    """Another process works on the intent by now; the call changed nothing."""


class RulesChanged(Exception):
    """Another bundle is in force than the one the claim was judged by; the call changed nothing.

    Renew the claim and judge it again: the rules may hold by now what they let pass then.
    """


@dataclass(frozen=True)
class Probe:
    """One probe taken from a half-open breaker, at a certain epoch of it."""

    breaker_id: str
    scope: str
    epoch: int


@frozen
class Passage:
    """The way one intent takes out: everything decided before it is handed over."""

    channel: str
    address: str
    content_hash: str
    earlier: Mapping[str, str] = field(default_factory=dict)
    """Channels of the step that were not taken -> why, as reason codes."""
    probes: tuple[Probe, ...] = ()
    """What it took from half-open breakers."""
    findings: tuple[Mapping[str, object], ...] = ()
    """What checks noted in its text without blocking it."""
    text: Mapping[str, object] = field(default_factory=dict)
    """Who wrote its text, where that was not a template as it stands."""
    within: tuple[str, ...] | None = None
    """Names of the channel's windows of which one has to be open; None: any of them; empty: none."""
    adapted: tuple[str, ...] = ()
    """What was changed of its text to suit the channel's platform."""
    sealed: Sealed | None = None
    """The text that people had to approve; None where no policy asks."""


@frozen
class Departure:
    """A passage that was reserved, and whether it may go out as well."""

    passage: Passage
    stopped: Answer | None = None
    """What stands against the hand-over; None when it is committed and the provider may be called."""


@frozen
class Attempt:
    """One call to a provider, and what came of it."""

    channel: str
    result: str
    """accepted | retry | rejected | unknown"""
    code: str = ""
    provider_id: str | None = None
    is_probe: bool = False
    suppress_address: str | None = None
    """The address, when it will never work; it is suppressed together with the attempt's record."""
    busy_for: timedelta | None = None
    """How long the provider asked not to be given anything at all."""
    task: Task | None = None
    """What a person is to do for it to reach anybody; written down together with the attempt."""


@frozen
class Aftermath:
    """What an attempt makes of the intent."""

    state: str
    """accepted | rejected | unknown | ended | held | planned (another channel may try) | handed_over (to be
    repeated with the same key)"""
    answer: Answer | None
    """What to record; None when nothing was decided for good."""
    outcome: Outcome | None = None
    repeat_after: timedelta | None = None
    """With `handed_over`: delivery time after which the same key is sent again."""
    keeps_places: bool = True
    """Whether the places in caps stay taken."""


class GateState(Protocol):
    """The gate's memory. Every call is one transaction; `at` is delivery time, moments carry both.

    Calls that take a claim raise LeaseLost, and change nothing, when its lease is no longer the present one.
    """

    def claim(self, key: str, at: datetime) -> Claim | Outcome | None:
        """The intent for this caller alone; its outcome when it has one; None when it is not to be worked on
        now: held and not due, at another process, or not known."""

    def renew(self, claim: Claim, at: datetime) -> Claim:
        """The claim with a fresh view and a fresh lease."""

    def has_leave(self, claim: Claim, channel: str, now: Moment) -> bool:
        """Whether it is known without a transaction that the provider may be given one message more, which is
        counted then. Only for channels in `rules.providers`."""

    def admit(self, claim: Claim, channel: str, now: Moment) -> Answer | None:
        """Stage 9: None when the channel's provider may be given one message more; else the hold."""

    def note_answer(self, claim: Claim, attempt: Attempt, now: Moment) -> None:
        """Remember how the provider of a channel in `rules.providers` answered."""

    def reserve(self, claim: Claim, passage: Passage, now: Moment) -> Answer | Passage:
        """One place in every cap that applies, and a probe where a breaker asks for one, all or none of them.

        The contact is locked meanwhile, and consent and caps are judged again. Returns the passage to go on
        with, or the answer that stands against it.
        """

    def hand_over(self, claim: Claim, passage: Passage, now: Moment) -> Answer | None:
        """Commits the hand-over and dates the places with it; None when the provider may be called.

        Otherwise the answer that stands against it: the kill switch and breakers are read once more here,
        and for a claim in doubt consent and quiet hours as well.
        Raises RulesChanged where the memory does not judge by the rules of this very moment.
        """

    def depart(self, claim: Claim, passage: Passage, now: Moment) -> Answer | Departure:
        """`reserve` and, where there is room, `hand_over`, in one transaction: nothing lies between them.

        Raises RulesChanged as `hand_over` does.
        """

    def settle(
        self, claim: Claim, attempt: Attempt | None, aftermath: Aftermath, now: Moment, *, carried: bool
    ) -> Outcome | None:
        """Records an attempt (None: there was no call) and its aftermath; the outcome, if there is one now.

        Unless `carried`, whoever waits for the outcome is told in the same transaction. An accepted attempt
        is recorded even when the lease was lost meanwhile: it settles an outcome that was unknown.
        """

    def conclude(
        self, claim: Claim, answer: Answer, now: Moment, *, passage: Passage | None, carried: bool
    ) -> Outcome | None:
        """Records a no: places and the passage's probes are given back, the intent is held or ends, one
        decision is written; the outcome when it ended."""
