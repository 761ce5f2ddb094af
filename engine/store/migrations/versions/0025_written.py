"""Texts that generators wrote for messages, and the tokens that they used by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import Document, Instant

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "written_text",
        sa.Column("intent_key", sa.String(), nullable=False),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("because", sa.String(), nullable=False),
        sa.Column("text", Document, nullable=False),
        sa.Column("provenance", Document, nullable=False),
        sa.PrimaryKeyConstraint("intent_key", "asked"),
    )
    op.create_table(
        "generator_day",
        sa.Column("generator", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("texts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("generator", "day"),
    )
