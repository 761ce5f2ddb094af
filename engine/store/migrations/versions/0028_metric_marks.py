"""What is told of messages, as the breakers count it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import Instant

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "metric_mark",
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("told_at", Instant(), nullable=False),
        sa.Column("is_against", sa.Boolean(), nullable=False),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("journey", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("probe", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("metric", "key"),
    )
    op.create_index("ix_metric_mark_told", "metric_mark", ["metric", "told_at"])
