"""Who may be reached, what they did and what they agreed to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Index, Integer, false, text, true
from sqlmodel import Field, SQLModel

from engine.store.columns import BigId, Document, Instant


class ContactRow(SQLModel, table=True):
    """A person, with the profile that every event keeps current. Locked first in transactions about them."""

    __tablename__ = "contact"
    # Schedules go through the contacts of one zone in the order of their ids.
    __table_args__ = (
        Index("ix_contact_zone", "timezone", "id"),
        Index(
            "ix_contact_merged",
            "merged_into",
            sqlite_where=text("merged_into IS NOT NULL"),
            postgresql_where=text("merged_into IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    timezone: str | None = None
    timezone_source: str | None = None
    """Where the zone comes from: stated > device > number > default."""
    numbers: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """Platform -> country and zones of the latest phone number there."""
    locale: str | None = None
    attributes: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """Declared in the workspace file."""
    tags: list[str] = Field(default_factory=list, sa_column=Column(Document, nullable=False))
    """Set by steps, operators and traits; sorted, without repeats."""
    derived_tags: list[str] = Field(default_factory=list, sa_column=Column(Document, nullable=False))
    """Set by the rules of kind `tags`; computed anew with every event."""
    stage: str | None = None
    last_active_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    first_order_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    last_order_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    order_count: int = 0
    total_spent: float = 0.0
    last_send_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    last_event_seq: int = Field(default=0, sa_column=Column(BigId, nullable=False))
    suppressed: str | None = None
    """Reason of a contact-level suppression; None when there is none."""
    erased_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    merged_into: str | None = None
    """The contact that this one is part of; that one is never part of another itself."""
    counts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """Windowed counts, by id; rebuilt from the events when their definition changes."""
    sends_since_active: int = 0
    """Messages handed over since the contact last did something."""
    silent_since: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Journey time of the oldest marketing message without an answer."""
    scores: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """Set, like `stage` and all below, by the rules of kinds `tags` and `audience`."""
    classes: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    audiences: list[str] = Field(default_factory=list, sa_column=Column(Document, nullable=False))
    profile_due_at: datetime | None = Field(default=None, sa_column=Column(Instant, index=True))
    """Journey time at which the rules may say something else although nothing happens."""


class IdentityRow(SQLModel, table=True):
    """One address of a contact on one platform."""

    __tablename__ = "identity"
    __table_args__ = (
        Index(
            "ix_identity_untold",
            "platform",
            "address",
            sqlite_where=text("NOT is_told"),
            postgresql_where=text("NOT is_told"),
        ),
    )

    platform: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    contact_id: str = Field(index=True)
    added_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    suppressed: str | None = None
    """Why this address must not be used: `hard_bounce`, `complaint`, …; None when it may."""
    is_shared: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    """Several people use it, so it never shows that two contacts are one."""
    is_told: bool = Field(default=True, sa_column=Column(Boolean, nullable=False, server_default=true()))
    """False while its journeys have not heard that a message to it bounced, or was complained of."""
    merged_from: str | None = Field(default=None)
    """Under which contact it came, while that one is part of this one."""
    heard: dict[str, Any] | None = Field(default=None, sa_column=Column(Document, nullable=True))
    """Channel -> type of event -> when its owner was heard there, and what an answer has to name, as far as
    that opens or closes a window."""


class SuppressionRow(SQLModel, table=True):
    """An address that must not be written to, by a keyed hash: it can be known again, and not read.

    It stays when its contact is erased, so that the address is still suppressed should it ever come back.
    """

    __tablename__ = "suppression"

    platform: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    reason: str
    source: str
    """Who brought it: an operator, a block list, a mail system's answer."""
    added_at: datetime = Field(sa_column=Column(Instant, nullable=False))


class EventRow(SQLModel, table=True):
    """An immutable fact about a contact. `seq` orders the events of one contact, whose row is locked."""

    __tablename__ = "event"
    __table_args__ = (Index("ix_event_contact_seq", "contact_id", "seq"),)

    seq: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    event_id: str = Field(unique=True)
    contact_id: str
    type: str
    occurred_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    received_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    source: str
    properties: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    merged_from: str | None = Field(default=None)
    """Under which contact it came, while that one is part of this one."""


class PatternRow(SQLModel, table=True):
    """What is kept of one contact's past for the patterns of journeys; rebuilt from the events when lost."""

    __tablename__ = "pattern_past"

    id: str = Field(primary_key=True)
    """The contact's."""
    pasts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """By journey; see `engine.rules.sequences.past`."""


class ConsentRow(SQLModel, table=True):
    """One entry of the append-only consent ledger; the latest entry that applies is the state."""

    __tablename__ = "consent"
    __table_args__ = (Index("ix_consent_contact", "contact_id", "purpose"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    contact_id: str
    purpose: str
    """A purpose id, or `*` for all purposes."""
    purpose_version: str = "1"
    channel: str = "*"
    """A channel id, or `*` for all channels."""
    decision: str
    """granted | denied | withdrawn | pending"""
    legal_basis: str = "consent"
    notice_hash: str | None = None
    notice_language: str | None = None
    mechanism: str | None = None
    source: str = ""
    actor: str = "self"
    jurisdiction: str | None = None
    recorded_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Journey time, so that ages and points in time agree with the rest of the contact's life."""
    valid_until: datetime | None = Field(default=None, sa_column=Column(Instant))
    received_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Journey time by the server's own clock; None in entries of the first form."""
    proof: str | None = None
    """Where the proof is kept; forgotten when the contact is erased."""
    proof_salt: str | None = None
    proof_hash: str | None = None
    """The commitment to the proof, which is sealed and stays."""
    form: int = Field(default=1, sa_column=Column(Integer, nullable=False, server_default="1"))
    """Which fields the seal covers."""
    prev_hash: str = ""
    hash: str = ""
    """SHA-256 over the previous hash and this entry's fields: a changed or removed entry shows."""


class MergeRow(SQLModel, table=True):
    """That two contacts turned out to be one: who says so, why, and all that it takes to part them again."""

    __tablename__ = "contact_merge"
    __table_args__ = (
        # Nobody is part of two others.
        Index(
            "ix_contact_merge_gone",
            "gone",
            unique=True,
            sqlite_where=text("undone_at IS NULL"),
            postgresql_where=text("undone_at IS NULL"),
        ),
        Index("ix_contact_merge_survivor", "survivor"),
        Index("ix_contact_merge_joined_to", "joined_to"),
    )

    id: str = Field(primary_key=True)
    gone: str
    joined_to: str
    """The contact that it was joined with."""
    survivor: str
    """The contact that it is part of now: `joined_to`, or what that one became part of since."""
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Journey time."""
    because: str
    """alias | identity | operator"""
    by: str
    """Who asked: a source of events, or an operator."""
    reason: str = ""
    """In the operator's words, or the platform of the identity that both have."""
    cause: str | None = None
    """The event that told of it."""
    profiles: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """The two before, and what they made: `before`, `gone`, `joined`. Empty once one of them was erased."""
    told: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """What became of what they had: counts of rows, runs that ended, names of what was set aside."""
    undone_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    undone_by: str | None = None
    undone_because: str | None = None


class ErasureRow(SQLModel, table=True):
    """That a contact was erased: who did it, and what is proof of it without telling who it was."""

    __tablename__ = "erasure"

    contact_id: str = Field(primary_key=True)
    """The random id, which stands in decisions and in the ledger of consents still."""
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Journey time."""
    by: str
    reason: str
    digests: list[str] = Field(default_factory=list, sa_column=Column(Document, nullable=False))
    """Keyed hashes of the addresses: whoever names one can be told that it was erased."""
    told: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """How many rows of each kind were emptied."""


class ProfileSweepRow(SQLModel, table=True):
    """One row, id 1: how far all contacts have been computed anew under the rules of a bundle."""

    __tablename__ = "profile_sweep"

    id: int = Field(default=1, primary_key=True)
    version: str = ""
    """Of the rules (`ProfileRules.version`)."""
    after_id: str | None = None
    """Contacts with a greater id are still to be computed; None: all are."""


class ChainRow(SQLModel, table=True):
    """The end of an append-only chain: its lock, and what shows when the last entries were cut off."""

    __tablename__ = "chain"

    name: str = Field(primary_key=True)
    """consent"""
    length: int = 0
    hash: str = ""
