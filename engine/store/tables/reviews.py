"""Texts that people approve, and every decision over one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Index
from sqlmodel import Field, SQLModel

from engine.store.columns import BigId, Document, Instant


class ReviewRow(SQLModel, table=True):
    """One text by its hash, with what is said of it now. Written while the control row is held."""

    __tablename__ = "review"
    __table_args__ = (
        # What the gate asks: all that is known of one content's texts.
        Index("ix_review_content", "content"),
        Index("ix_review_asked", "asked_at", "hash"),
    )

    hash: str = Field(primary_key=True)
    """As `engine.content.sealing` makes it."""
    content: str
    locale: str
    generator: str
    subject: str
    body: str
    call_to_action: str
    """The text as it goes out, with gaps where something is filled in."""
    author: str | None = None
    """Who published it first; None where nobody knows."""
    asked_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time, as all times here."""
    approved: list[str] = Field(default_factory=list, sa_column=Column(Document, nullable=False))
    """Stages that have approved it."""
    refused: str | None = None
    """rejected | withdrawn"""
    decided_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    decided_by: str | None = None
    why: str = ""


class ReviewDecisionRow(SQLModel, table=True):
    """One decision over a text; rows are added and never changed."""

    __tablename__ = "review_decision"
    __table_args__ = (Index("ix_review_decision_hash", "hash", "id"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    hash: str
    stage: str
    decision: str
    """approved | rejected | withdrawn"""
    by: str
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    why: str = ""
