"""Runs and what they wait for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, text
from sqlmodel import Field, SQLModel

from engine.store.columns import BigId, Document, Instant


class RunRow(SQLModel, table=True):
    """One contact going through one journey. `revision` is compared and set by whoever advances it."""

    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_contact", "contact_id", "journey", "entry_key"),
        Index("ix_run_lease", "status", "lease_until"),
        Index("ix_run_due", "status", "due_at"),
        Index(
            "ix_run_next_send",
            "contact_id",
            "next_send_at",
            sqlite_where=text("next_send_at IS NOT NULL"),
            postgresql_where=text("next_send_at IS NOT NULL"),
        ),
        Index(
            "ix_run_on_its_way",
            "journey",
            "id",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    """hash(workspace, journey, contact, entry key)"""
    journey: str
    version: str
    bundle_hash: str
    """The bundle the program is read from; `journey` and `version` are found in it."""
    contact_id: str
    entry_key: str
    entry_event_id: str | None = None
    status: str = "active"
    """active | ended"""
    outcome: str | None = None
    """How it ended: completed | goal | left | stopped | cancelled | failed"""
    position: str | None = None
    waiting: str = "ready"
    """ready (to be advanced now) | timer | event | outcome | task | ended"""
    variables: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    revision: int = 0
    since_seq: int = Field(default=0, sa_column=Column(BigId, nullable=False))
    """A wait registered now looks back over the contact's events after this one."""
    due_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Journey time at which the present wait ends by itself."""
    waiting_since: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Journey time at which the present wait began; None for one that an earlier version began."""
    next_send_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    priority: int = 50
    lease_owner: str | None = None
    lease_until: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Delivery time; an active run past its lease that nothing durable carries is picked up again."""
    durable: bool = False
    """Whether the start of its workflow has been written to the outbox."""
    nudged_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Delivery time of a nudge that its workflow has not followed yet; not kept of every kind of nudge."""
    started_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Journey time."""
    ended_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    merged_from: str | None = None
    """Under which contact it came, while that one is part of this one."""


class WaitRow(SQLModel, table=True):
    """What an active run listens for. Intake matches these in the event's own transaction."""

    __tablename__ = "wait"
    __table_args__ = (Index("ix_wait_contact", "contact_id", "event_type"), Index("ix_wait_run", "run_id"))

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    run_id: str
    contact_id: str
    event_type: str
    """An event type, or `*`."""
    kind: str
    """step | leave | goal"""
    name: str
    """The step's id, or the leave's; `goal` for the goal."""
    rule: str | None = None
    since_seq: int = Field(default=0, sa_column=Column(BigId, nullable=False))
    until: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Journey time after which it no longer counts (a goal's `within`)."""
    matched_event_id: str | None = None
    """Set by the event that satisfied it: the truth that a nudge only points at."""
    merged_from: str | None = None
    """Under which contact it came, while that one is part of this one."""


class ScheduleRow(SQLModel, table=True):
    """How far the schedule of one journey is, for the contacts of one time zone."""

    __tablename__ = "schedule"

    journey: str = Field(primary_key=True)
    zone: str = Field(primary_key=True)
    """As contacts have it; empty for those without one, `*` for everybody."""
    shape: str
    """Hash of when it fires: another one begins anew, and never in the past."""
    next_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Journey time of the next firing."""
    fires_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Journey time of the firing that is being worked through; None between two."""
    after_id: str = ""
    """The last contact that it has been offered to, in the order of ids."""
    entered: int = 0
    """Contacts that the present firing, or else the latest one, was for."""
    fired_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Journey time of the latest firing that was worked through."""
    missed: int = 0
    """Firings that were skipped since the schedule began."""
    missed_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    missed_because: str | None = None
    """late | paused | draining"""
    lease: str | None = None
    """Names who works on it now."""
    ready_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Delivery time before which nobody takes it up: the end of a lease, or of a pause between two pages."""
