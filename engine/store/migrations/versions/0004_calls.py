"""Calls of plugins' actions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import Document, Instant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "action_call",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("journey", sa.String(), nullable=False),
        sa.Column("step_id", sa.String(), nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("told", Document, nullable=False),
        sa.Column("variables", Document, nullable=False),
        sa.Column("bundle_hash", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("keeps", Document, nullable=False),
        sa.Column("results", Document, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("deadline_at", Instant(), nullable=False),
        sa.Column("handed_over_at", Instant(), nullable=True),
        sa.Column("lease", sa.String(), nullable=True),
        sa.Column("ready_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_action_call_run", "action_call", ["run_id"])
    op.create_index("ix_action_call_contact", "action_call", ["contact_id"])
    op.create_index("ix_action_call_ready", "action_call", ["state", "ready_at"])
