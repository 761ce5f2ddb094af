"""Tasks to bring a message by hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import Document

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("task") as task:
        task.alter_column("run_id", existing_type=sa.String(), nullable=True)
        task.alter_column("journey", existing_type=sa.String(), nullable=True)
        task.add_column(sa.Column("intent_key", sa.String(), nullable=True))
        task.add_column(sa.Column("message", Document, nullable=True))
    by_hand = sa.text("state = 'open' AND intent_key IS NOT NULL")
    op.create_index("ix_task_by_hand", "task", ["due_at"], sqlite_where=by_hand, postgresql_where=by_hand)
