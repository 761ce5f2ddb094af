"""Which arms contacts were given, and how far each stratum of an experiment has been filled."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Index
from sqlmodel import Field, SQLModel

from engine.store.columns import BigId, Instant


class ExposureRow(SQLModel, table=True):
    """One contact in one experiment: the arm, for good, and how it came about when it was first reached."""

    __tablename__ = "exposure"
    __table_args__ = (
        Index("ix_exposure_contact", "contact_id", "experiment", "seed", unique=True),
        Index("ix_exposure_arm", "experiment", "seed", "arm"),
        Index("ix_exposure_list", "experiment", "id"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    experiment: str
    """`<journey>/<step>`"""
    seed: str
    """Another seed is another draw: earlier assignments say nothing under it."""
    contact_id: str
    arm: str
    by: str
    """hash | block"""
    bucket: float | None = None
    """By hash: where the contact falls between 0 and 1."""
    stratum: str | None = None
    """By block: the values of the facts, as a JSON list."""
    place: int | None = None
    """By block: the contact's place in the stratum, from 0."""
    run_id: str
    bundle_hash: str
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Journey time."""
    instead_of: str | None = None
    """An earlier arm, which was taken out of the experiment; who was in two arms counts for neither."""
    merged_from: str | None = None
    """Under which contact it came, while that one is part of this one."""


class StratumRow(SQLModel, table=True):
    """How many places of one stratum are taken. Held by whoever takes one until their transaction ends."""

    __tablename__ = "stratum"

    experiment: str = Field(primary_key=True)
    seed: str = Field(primary_key=True)
    shape: str = Field(primary_key=True)
    """Hash of arms and weights: with others the places are counted anew."""
    stratum: str = Field(primary_key=True)
    """The values of the facts, as a JSON list."""
    taken: int = Field(default=0, sa_column=Column(BigId, nullable=False))
