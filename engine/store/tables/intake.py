"""What intake hands on and what it could not use."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index
from sqlmodel import Field, SQLModel

from engine.store.columns import BigId, Document, Instant


class OutboxRow(SQLModel, table=True):
    """One thing to tell the durable side, written in the transaction that made it true; in order per key."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_open", "done_at", "id"), Index("ix_outbox_key", "key", "id"))

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    kind: str
    """run.start | run.signal | run.cancel | breaker.watch"""
    key: str
    """The run's id, or `<breaker>/<scope>`."""
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time, as all times here."""
    attempts: int = 0
    next_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    claimed_until: datetime | None = Field(default=None, sa_column=Column(Instant))
    done_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    error: str | None = None


class DeadLetterRow(SQLModel, table=True):
    """An event that could not be used, kept whole with the reason until someone retries or drops it."""

    __tablename__ = "dead_letter"
    __table_args__ = (Index("ix_dead_letter_open", "resolved_at", "id"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    received_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    source: str
    code: str
    """`EV` and three digits"""
    message: str
    raw: Any = Field(default=None, sa_column=Column(Document))
    retried_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    resolved_at: datetime | None = Field(default=None, sa_column=Column(Instant))


class CallbackRow(SQLModel, table=True):
    """A delivery of a callback that was taken in, so that one that comes again has no second effect."""

    __tablename__ = "callback"
    __table_args__ = (Index("ix_callback_taken", "taken_at"),)

    channel: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    """Hash of the name that the platform gave the delivery."""
    taken_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time."""


class PollRow(SQLModel, table=True):
    """How far the platform of one channel has been asked what became of messages."""

    __tablename__ = "poll"

    channel: str = Field(primary_key=True)
    since: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Everything before has been told; delivery time, as the platform counts it."""
    next_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time before which nobody asks: it was asked lately, or somebody is at it."""
