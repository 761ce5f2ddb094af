"""Tasks that runs give to people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import Document, Instant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "task",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("journey", sa.String(), nullable=False),
        sa.Column("step_id", sa.String(), nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.String(), nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("choices", Document, nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("choice", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decision_key", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("bundle_hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_task_work", "task", ["state", "rank", "due_at", "id"])
    op.create_index("ix_task_queue", "task", ["queue", "state", "rank", "due_at", "id"])
    op.create_index("ix_task_closed", "task", ["state", "closed_at", "id"])
    op.create_index("ix_task_contact", "task", ["contact_id", "created_at"])
    op.create_index("ix_task_run", "task", ["run_id"])
