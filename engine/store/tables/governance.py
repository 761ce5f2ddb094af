"""Bundles and the one row that every process obeys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index
from sqlmodel import Field, SQLModel

from engine.store.columns import BigId, Document, Instant


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
    """Hash of the bundle in force, with the plans that are on."""
    published_bundle: str | None = None
    """Hash of the same as it was published, without plans."""
    plans: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(Document, nullable=False))
    """The plans that are on: id, since, until (delivery time), by, reason."""
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


class OverlayRow(SQLModel, table=True):
    """A published bundle with plans on: what its hash stands for, for ever."""

    __tablename__ = "overlay"

    hash: str = Field(primary_key=True)
    base: str
    """Hash of the published bundle."""
    plans: list[str] = Field(default_factory=list, sa_column=Column(Document, nullable=False))
    """Ids, sorted."""


class SwitchRow(SQLModel, table=True):
    """Something an operator or time switched on or off; never changed."""

    __tablename__ = "switch"
    __table_args__ = (Index("ix_switch_subject", "kind", "subject", "id"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    kind: str
    """plan | journey"""
    subject: str
    """The plan's id, or the journey's."""
    action: str
    """on | off for plans, pause | resume for journeys"""
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time, as all times here."""
    until: datetime | None = Field(default=None, sa_column=Column(Instant))
    by: str
    """Who did it; `time` when a plan ended by itself."""
    reason: str = ""
