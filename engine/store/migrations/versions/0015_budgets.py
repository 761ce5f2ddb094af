"""Budgets: windows, what is committed in their shares, and which message took what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import Instant

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budget_window",
        sa.Column("budget_id", sa.String(), nullable=False),
        sa.Column("starts_at", Instant(), nullable=False),
        sa.Column("ends_at", Instant(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("declared", sa.String(), nullable=False),
        sa.Column("next_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("budget_id", "starts_at"),
    )
    op.create_index("ix_budget_window_due", "budget_window", ["next_at"])
    op.create_table(
        "budget_purse",
        sa.Column("budget_id", sa.String(), nullable=False),
        sa.Column("starts_at", Instant(), nullable=False),
        sa.Column("share", sa.String(), nullable=False),
        sa.Column("stripe", sa.Integer(), nullable=False),
        sa.Column("allocated", sa.BigInteger(), nullable=False),
        sa.Column("committed", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("budget_id", "starts_at", "share", "stripe"),
    )
    op.create_table(
        "budget_place",
        sa.Column("budget_id", sa.String(), nullable=False),
        sa.Column("intent_key", sa.String(), nullable=False),
        sa.Column("share", sa.String(), nullable=False),
        sa.Column("starts_at", Instant(), nullable=False),
        sa.Column("stripe", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("budget_id", "intent_key"),
    )
    op.create_index("ix_budget_place_intent", "budget_place", ["intent_key"])
