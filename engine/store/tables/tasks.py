"""Tasks that runs give to people."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index
from sqlmodel import Field, SQLModel

from engine.store.columns import Document, Instant


class TaskRow(SQLModel, table=True):
    """One question to a person, asked by a run at one visit of a step. Locked after contact and run."""

    __tablename__ = "task"
    __table_args__ = (
        # The order in which people work: of all queues, and of one.
        Index("ix_task_work", "state", "rank", "due_at", "id"),
        Index("ix_task_queue", "queue", "state", "rank", "due_at", "id"),
        Index("ix_task_closed", "state", "closed_at", "id"),
        Index("ix_task_contact", "contact_id", "created_at"),
        Index("ix_task_run", "run_id"),
    )

    id: str = Field(primary_key=True)
    """hash(task, run, step, visit)"""
    run_id: str
    journey: str
    step_id: str
    visit: int = 1
    contact_id: str
    queue: str
    """As the run's bundle names it."""
    question: str
    choices: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(Document, nullable=False))
    """In order: id and title."""
    rank: int
    """100 less the priority, so that the smaller comes first."""
    state: str = "open"
    """open | decided | expired | withdrawn"""
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Journey time, as all times here."""
    due_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """From then on an answer comes too late."""
    closed_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    choice: str | None = None
    """What was decided."""
    decided_by: str | None = None
    decision_key: str | None = None
    """Names the request that decided, so that its repetition is told from somebody else's."""
    note: str = ""
    """What the person wrote beside the decision."""
    reason: str | None = None
    """Of a task that is withdrawn: the reason code of its run's end."""
    bundle_hash: str
