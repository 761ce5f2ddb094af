"""Intents, what the gate decided of them, cap places, attempts at providers, breakers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Float, Index, String, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from engine.store.columns import BigId, Document, Instant


class IntentRow(SQLModel, table=True):
    """The wish to send one message to one contact; states and keys as in the gate's design."""

    __tablename__ = "intent"
    __table_args__ = (
        Index("ix_intent_contact", "contact_id"),
        # What is still to come of a contact's messages, however many there were.
        Index(
            "ix_intent_open",
            "contact_id",
            sqlite_where=text("outcome IS NULL"),
            postgresql_where=text("outcome IS NULL"),
        ),
        Index("ix_intent_run", "run_id"),
        # Receipts name messages as their providers do.
        Index(
            "ix_intent_provider",
            "provider_id",
            sqlite_where=text("provider_id IS NOT NULL"),
            postgresql_where=text("provider_id IS NOT NULL"),
        ),
        Index("ix_intent_state", "state", "wake_at"),
        Index("ix_intent_hold", "state", "hold_scope"),
    )

    key: str = Field(primary_key=True)
    """hash(run, step, visit), or the client's request id for a manual send."""
    run_id: str | None = None
    journey: str | None = None
    step_id: str
    visit: int = 1
    contact_id: str
    purpose: str
    priority: int = 50
    value: float = Field(default=50.0, sa_column=Column(Float, nullable=False, server_default="50"))
    """What it is worth beside others: of those that are due together the highest is taken up first."""
    content: str
    channels: list[str] = Field(default_factory=list, sa_column=Column(Document, nullable=False))
    bundle_hash: str
    variables: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """The run's values at the time of the wish, for the template."""
    state: str = "planned"
    """planned | held | reserved | handed_over | accepted | rejected | unknown | ended (never handed over);
    and, as receipts say: delivered | bounced | read"""
    outcome: str | None = None
    """Terminal: sent | capped | blocked | failed | expired | unknown"""
    reason: str | None = None
    """The reason code of the present hold or of the outcome."""
    channel: str | None = None
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Journey time."""
    deadline_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Delivery time."""
    expires_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Journey time: the purpose's longest hold."""
    wake_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Journey time at which a held intent is looked at again."""
    retry_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Delivery time before which a provider asked not to be called again."""
    hold_scope: str | None = None
    """What holds it (`kill`, `breaker:channel:email`); a change of that scope wakes it."""
    handed_over_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Journey time of the hand-over to a provider."""
    provider_id: str | None = None
    content_hash: str | None = None
    attempts: int = 0
    lease_owner: str | None = None
    lease_until: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Delivery time until which one process alone works on it."""
    updated_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time of the last change."""
    merged_from: str | None = None
    """Under which contact it came, while that one is part of this one."""


class DecisionRow(SQLModel, table=True):
    """What became of an intent or of an entry, once per exit and per hold; never changed."""

    __tablename__ = "decision"
    __table_args__ = (
        # One for each way in which people ask why; `python -m benchmarks.decisions` says what each costs.
        Index("ix_decision_intent", "intent_key"),
        Index("ix_decision_run", "run_id"),
        Index("ix_decision_contact", "contact_id", "at"),
        Index("ix_decision_journey", "journey", "at"),
        Index("ix_decision_reason", "reason", "at"),
        Index(
            "ix_decision_outcome",
            "outcome",
            "at",
            sqlite_where=text("outcome IS NOT NULL"),
            postgresql_where=text("outcome IS NOT NULL"),
        ),
        Index("ix_decision_at", "at"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    schema_version: str = "decision.v1"
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Journey time."""
    kind: str
    """entry | branch | experiment | message | task | call | wait | run"""
    contact_id: str
    journey: str | None = None
    run_id: str | None = None
    intent_key: str | None = None
    stage: str
    channel: str | None = None
    verdict: str
    """allow | hold | skip | block | fail"""
    reason: str
    """`family.detail`, as in gate.md"""
    outcome: str | None = None
    """Of a message that this decision ended: how. None in holds, in other kinds, and in the first records."""
    evidence: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    would_pass_if: str = ""
    hold_until: datetime | None = Field(default=None, sa_column=Column(Instant))
    bundle_hash: str = ""
    """The version of all rules together under which it was decided."""


class CapPlaceRow(SQLModel, table=True):
    """One place in one cap, taken by one intent; tags, purpose, channel and content as they were then."""

    __tablename__ = "cap_place"
    __table_args__ = (
        # A cap is decided by the latest few of its places, however many there are behind them.
        Index("ix_cap_place_latest", "contact_id", "cap_id", "at"),
        Index(
            "ix_cap_place_leased",
            "contact_id",
            sqlite_where=text("state = 'leased'"),
            postgresql_where=text("state = 'leased'"),
        ),
        Index("ix_cap_place_intent", "intent_key"),
    )

    cap_id: str = Field(primary_key=True)
    intent_key: str = Field(primary_key=True)
    contact_id: str
    state: str = "leased"
    """leased | confirmed | released"""
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Journey time the place counts at: of the reservation, then of the hand-over."""
    lease_until: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Delivery time; an unconfirmed place past it is free."""
    purpose: str = ""
    channel: str = ""
    journey: str | None = None
    tags: list[str] = Field(default_factory=list, sa_column=Column(Document, nullable=False))
    content: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))
    part: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))
    """Of a window that is several: through which of them the message leaves, as a template's id."""
    merged_from: str | None = None
    """Under which contact it came, while that one is part of this one."""


class AttemptRow(SQLModel, table=True):
    """One call to a provider and what came of it; breakers count these."""

    __tablename__ = "attempt"
    __table_args__ = (Index("ix_attempt_channel", "channel", "at"), Index("ix_attempt_intent", "intent_key"))

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    intent_key: str
    channel: str
    journey: str | None = None
    content: str | None = None
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time."""
    result: str
    """accepted | retry | rejected | unknown"""
    code: str = ""
    probe: bool = False


class ProviderRow(SQLModel, table=True):
    """What is known of one account at a provider; `engine.gate.rates` reads the book."""

    __tablename__ = "provider"

    account: str = Field(primary_key=True)
    book: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    updated_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time."""


class BreakerRow(SQLModel, table=True):
    """The published state of one breaker in one scope; the gate reads this row and nothing else."""

    __tablename__ = "breaker"

    breaker_id: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    """`channel:email`, `workspace`, `journey:welcome`, `content:hello`"""
    state: str = "closed"
    """closed | open | half_open"""
    level: str | None = None
    """yellow | red | black, while not closed"""
    epoch: int = 0
    """Counts every change; a late writer with an older epoch changes nothing."""
    since: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time of the last change of state."""
    probes_left: int = 0
    """In half_open: how many intents may still be let through."""
    ramp: float | None = None
    """In half_open after good probes: the share of intents let through, 0–1."""
    by: str = "rule"
    """`rule`, or the operator who tripped or reset it."""
    evidence: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))


class MetricMarkRow(SQLModel, table=True):
    """What was told that counts in a metric which a breaker watches: once for each message, or event."""

    __tablename__ = "metric_mark"
    __table_args__ = (Index("ix_metric_mark_told", "metric", "told_at"),)

    metric: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    """Of the message; of the event, for metrics that sample events."""
    told_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time at which we heard of it: the moment it counts at."""
    is_against: bool = True
    """Else it is a sample alone."""
    sent_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Delivery time of the attempt that sent the message; None for an event that is about none."""
    channel: str = ""
    journey: str = ""
    content: str = ""
    probe: bool = False
    """The message was a probe of a breaker."""


class ReceiptRow(SQLModel, table=True):
    """What was said of a message after its provider took it; each once, and never changed."""

    __tablename__ = "receipt"
    __table_args__ = (
        UniqueConstraint("intent_key", "said"),
        Index("ix_receipt_contact", "contact_id", "id"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    intent_key: str
    contact_id: str
    said: str
    """accepted | delivered | bounced | read | complained"""
    channel: str = ""
    code: str = ""
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time, as the provider says it."""
    received_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Journey time."""


class EarlyReceiptRow(SQLModel, table=True):
    """A receipt that names its message by the provider's id alone, and came before that was written down."""

    __tablename__ = "early_receipt"
    __table_args__ = (
        UniqueConstraint("provider_id", "channel", "said"),
        Index("ix_early_receipt_received", "received_at"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    provider_id: str
    channel: str = ""
    """Empty where nobody said."""
    said: str
    """As in `ReceiptRow`."""
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time, as the provider says it."""
    code: str = ""
    permanent: bool = False
    source: str = ""
    """Who told."""
    received_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time."""
