"""What generators that ask somebody else wrote, and what they used."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel

from engine.store.columns import Document, Instant


class WrittenTextRow(SQLModel, table=True):
    """What came of asking for the text of one message, once; a message that is tried again is the same."""

    __tablename__ = "written_text"

    intent_key: str = Field(primary_key=True)
    asked: str = Field(primary_key=True)
    """Hash of who was asked for what, on which channel, and not of what is known of the reader."""
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time."""
    because: str = ""
    """Why there is no text, in a word; empty when there is one."""
    text: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """Subject, body, call_to_action and locale; empty when there is none, or when the contact was erased."""
    provenance: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """Generator, model, prompt_hash, ai_generated and tokens."""


class GeneratorDayRow(SQLModel, table=True):
    """What one generator used on one day."""

    __tablename__ = "generator_day"

    generator: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    """In the workspace's zone, of delivery time."""
    tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    """Of answers that came, and as many as may be used by those that are still to come."""
    texts: int = 0
    """How often it was asked."""


class GeneratorSpendRow(SQLModel, table=True):
    """The money that one generator's texts cost on one day, in one currency."""

    __tablename__ = "generator_spend"

    generator: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    """In the workspace's zone, of delivery time."""
    currency: str = Field(primary_key=True)
    millionths: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    """Of answers that came, and as many as those may cost that are still to come."""
