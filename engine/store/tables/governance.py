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
    in_flight: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(Document, nullable=False, server_default="{}")
    )
    """Journey -> what is being done about those on their way in earlier versions: `policy` (migrate | drain |
    end), `bundle` (hash, without plans) they go to, `left` (hashes) they come from."""
    time_origin: datetime = Field(sa_column=Column(Instant, nullable=False))
    time_journey_origin: datetime = Field(sa_column=Column(Instant, nullable=False))
    time_scale: float = 1.0
    write_key_hash: str | None = None
    operator_token_hash: str | None = None


class InFlightRow(SQLModel, table=True):
    """What a publish does about the people on their way in one journey, and how far that is."""

    __tablename__ = "in_flight"
    __table_args__ = (Index("ix_in_flight_open", "finished_at", "ready_at"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    journey: str
    policy: str
    """migrate | drain | end"""
    number: int
    """Of the bundle whose publish began it."""
    after_id: str = ""
    """The last run of the present round, in the order of ids."""
    moved: int = 0
    ended: int = 0
    begun_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Delivery time, as all times here."""
    ready_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Before it nobody takes it up: the end of a lease, or of a pause between two rounds."""
    finished_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    finished_because: str | None = None
    """done | replaced (a later publish decided anew) | restored (its earlier version is in force again)"""


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
