"""Tasks for people: questions that runs ask them, and messages that they are to bring by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, text
from sqlmodel import Field, SQLModel

from engine.store.columns import Document, Instant


class TaskRow(SQLModel, table=True):
    """One question to a person, asked by a run at one visit of a step, or one message that a person is to
    bring (`intent_key`). Locked after contact and run."""

    __tablename__ = "task"
    __table_args__ = (
        # The order in which people work: of all queues, and of one.
        Index("ix_task_work", "state", "rank", "due_at", "id"),
        Index("ix_task_queue", "queue", "state", "rank", "due_at", "id"),
        Index("ix_task_closed", "state", "closed_at", "id"),
        Index("ix_task_contact", "contact_id", "created_at"),
        Index("ix_task_run", "run_id"),
        # Messages that nobody has brought yet, by when their time is up.
        Index(
            "ix_task_by_hand",
            "due_at",
            sqlite_where=text("state = 'open' AND intent_key IS NOT NULL"),
            postgresql_where=text("state = 'open' AND intent_key IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    """hash(task, run, step, visit), or hash(task, intent)"""
    run_id: str | None = None
    """None for a message that no run wished."""
    journey: str | None = None
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
    """Of a task that is withdrawn: the reason code of its run's end, or of what stopped its message."""
    intent_key: str | None = None
    """The message that a person is to bring; None for a question."""
    message: dict[str, Any] | None = Field(default=None, sa_column=Column(Document))
    """Of an open task: the message's `to`, `text`, `link` and `platform`; gone once it is closed."""
    bundle_hash: str
    merged_from: str | None = None
    """Under which contact it came, while that one is part of this one."""
