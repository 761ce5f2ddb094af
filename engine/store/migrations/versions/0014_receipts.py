"""Receipts: what providers say of messages after they took them, each kept once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import BigId, Instant

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "receipt",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("intent_key", sa.String(), nullable=False),
        sa.Column("contact_id", sa.String(), nullable=False),
        sa.Column("said", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("intent_key", "said"),
    )
    op.create_index("ix_receipt_contact", "receipt", ["contact_id", "id"])
    named = sa.text("provider_id IS NOT NULL")
    op.create_index(
        "ix_intent_provider", "intent", ["provider_id"], sqlite_where=named, postgresql_where=named
    )
