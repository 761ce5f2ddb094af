"""Calls of plugins' actions that runs wished."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index
from sqlmodel import Field, SQLModel

from engine.store.columns import Document, Instant


class CallRow(SQLModel, table=True):
    """The wish of one run to have one action done at one visit of a step, and what became of it."""

    __tablename__ = "action_call"
    __table_args__ = (
        Index("ix_action_call_run", "run_id"),
        Index("ix_action_call_contact", "contact_id"),
        Index("ix_action_call_ready", "state", "ready_at"),
    )

    key: str = Field(primary_key=True)
    """hash(run, step, visit); the action sees it as its idempotency key."""
    run_id: str
    journey: str
    step_id: str
    visit: int = 1
    contact_id: str
    purpose: str
    """The journey's."""
    action: str
    told: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """The values of the step."""
    variables: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """The entry's event and what the run knew at the time of the wish."""
    bundle_hash: str
    state: str = "planned"
    """planned | handed_over | ended"""
    outcome: str | None = None
    """Terminal: done | failed | expired | unknown; dropped, when the run ended before it was made."""
    reason: str | None = None
    """The reason code of the latest decision about it."""
    code: str = ""
    """What the action said last, where it was not done."""
    keeps: list[str] = Field(default_factory=list, sa_column=Column(Document, nullable=False))
    """The names of the answer that the step keeps."""
    results: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """What of the action's answer the step keeps."""
    attempts: int = 0
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Journey time."""
    deadline_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time at which it must be done."""
    handed_over_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """Journey time of the first call to the action."""
    lease: str | None = None
    """Names who works on it now."""
    ready_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time from which anybody may take it up: after a lease, or a pause between two tries."""
    updated_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time of the last change."""
    merged_from: str | None = None
    """Under which contact it came, while that one is part of this one."""
