"""Receipts of messages that are not known yet by their provider's id."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import BigId, Instant

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "early_receipt",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("said", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("permanent", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("provider_id", "channel", "said"),
    )
    op.create_index("ix_early_receipt_received", "early_receipt", ["received_at"])
