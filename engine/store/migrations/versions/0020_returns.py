"""What comes back of what budgets spend: periods judged, shares halted and let go on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import BigId, Instant

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_budget_place_at", "budget_place", ["budget_id", "at"])
    op.create_table(
        "budget_return",
        sa.Column("budget_id", sa.String(), nullable=False),
        sa.Column("judged_until", Instant(), nullable=False),
        sa.Column("next_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("budget_id"),
    )
    op.create_table(
        "budget_period",
        sa.Column("budget_id", sa.String(), nullable=False),
        sa.Column("share", sa.String(), nullable=False),
        sa.Column("starts_at", Instant(), nullable=False),
        sa.Column("ends_at", Instant(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("returned", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("budget_id", "share", "starts_at"),
    )
    op.create_table(
        "budget_halt",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("budget_id", sa.String(), nullable=False),
        sa.Column("share", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("halted", sa.Boolean(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("volatility", sa.Float(), nullable=False),
        sa.Column("periods", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_budget_halt_share", "budget_halt", ["budget_id", "share"])
