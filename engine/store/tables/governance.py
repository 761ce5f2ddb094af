"""Bundles and the one row that every process obeys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from engine.store.columns import Document, Instant


class BundleRow(SQLModel, table=True):
    """One immutable version of all ruleset files together."""

    __tablename__ = "bundle"

    number: int = Field(primary_key=True)
    hash: str = Field(index=True)
    files: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Document, nullable=False))
    """Relative path -> text, exactly as published."""
    published_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    published_by: str


class ControlRow(SQLModel, table=True):
    """One row, id 1. Read in every intake transaction and again at every hand-over to a provider."""

    __tablename__ = "control"

    id: int = Field(default=1, primary_key=True)
    epoch: int = 0
    """Counts every change."""
    workspace: str = "default"
    live_bundle: str | None = None
    """Hash of the bundle in force."""
    killed_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    killed_by: str | None = None
    kill_reason: str | None = None
    released_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """When sending was last allowed again."""
    released_by: str | None = None
    paused_journeys: list[str] = Field(default_factory=list, sa_column=Column(Document, nullable=False))
    time_origin: datetime = Field(sa_column=Column(Instant, nullable=False))
    time_journey_origin: datetime = Field(sa_column=Column(Instant, nullable=False))
    time_scale: float = 1.0
    write_key_hash: str | None = None
    operator_token_hash: str | None = None
