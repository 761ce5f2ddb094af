"""Budgets: windows and what is committed in their shares, who took what, and what came back of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from engine.store.columns import BigId, Instant


class BudgetWindowRow(SQLModel, table=True):
    """One window of a budget; whoever fills its purses anew holds this row. Moments are journey time."""

    __tablename__ = "budget_window"
    __table_args__ = (Index("ix_budget_window_due", "next_at"),)

    budget_id: str = Field(primary_key=True)
    starts_at: datetime = Field(sa_column=Column(Instant, primary_key=True))
    ends_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    slot: int
    """The slot of `every` in which its purses were filled last."""
    declared: str
    """What they were filled by; another text: the budget was edited since."""
    next_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    """When they are filled next; None once the window is over."""


class BudgetPurseRow(SQLModel, table=True):
    """A stripe of one share in one window: so many processes take from it without waiting for each other."""

    __tablename__ = "budget_purse"

    budget_id: str = Field(primary_key=True)
    starts_at: datetime = Field(sa_column=Column(Instant, primary_key=True))
    share: str = Field(primary_key=True)
    stripe: int = Field(primary_key=True)
    allocated: int = Field(sa_column=Column(BigInteger, nullable=False))
    committed: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    waiting: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class BudgetPlaceRow(SQLModel, table=True):
    """What one message took out of one budget."""

    __tablename__ = "budget_place"
    __table_args__ = (
        Index("ix_budget_place_intent", "intent_key"),
        # What was spent in a period, and what came of it, is asked by the moment.
        Index("ix_budget_place_at", "budget_id", "at"),
    )

    budget_id: str = Field(primary_key=True)
    intent_key: str = Field(primary_key=True)
    share: str
    starts_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Of the window from which it was taken."""
    stripe: int
    amount: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Journey time at which it was taken."""
    state: str = "taken"
    """taken | released"""


class BudgetReturnRow(SQLModel, table=True):
    """How far the return of a budget was judged; whoever judges it, or halts a share, holds this row."""

    __tablename__ = "budget_return"

    budget_id: str = Field(primary_key=True)
    judged_until: datetime = Field(sa_column=Column(Instant, nullable=False))
    """End of the last period that was judged, in journey time."""
    next_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """When the next one is ripe."""


class BudgetPeriodRow(SQLModel, table=True):
    """What was spent of a share in a period, and what came of it; written once, when no more can come."""

    __tablename__ = "budget_period"

    budget_id: str = Field(primary_key=True)
    share: str = Field(primary_key=True)
    starts_at: datetime = Field(sa_column=Column(Instant, primary_key=True))
    ends_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    spent: int = Field(sa_column=Column(BigInteger, nullable=False))
    returned: int = Field(sa_column=Column(BigInteger, nullable=False))


class BudgetHaltRow(SQLModel, table=True):
    """That a share was halted, or let go on: by whom, when and why. Never changed; the latest holds."""

    __tablename__ = "budget_halt"
    __table_args__ = (Index("ix_budget_halt_share", "budget_id", "share"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    budget_id: str
    share: str
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    """Journey time."""
    halted: bool
    by: str
    """`rule`, or the operator."""
    reason: str = ""
    """In the operator's words."""
    volatility: float = 0.0
    """By which part of its mean the return varied, with `rule`."""
    periods: int = 0
