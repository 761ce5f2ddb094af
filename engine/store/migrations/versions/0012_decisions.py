"""Decisions: the outcome that a decision brought about, and an index for each way of asking why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decision", sa.Column("outcome", sa.String(), nullable=True))
    # What a decision ended, it ended as its message did; one that was in doubt at first said so itself.
    op.execute(
        "UPDATE decision SET outcome = CASE WHEN reason LIKE 'unknown.%' THEN 'unknown' ELSE "
        "(SELECT intent.outcome FROM intent WHERE intent.key = decision.intent_key) END "
        "WHERE kind = 'message' AND verdict <> 'hold'"
    )
    op.create_index("ix_decision_run", "decision", ["run_id"])
    op.create_index("ix_decision_journey", "decision", ["journey", "at"])
    op.create_index("ix_decision_reason", "decision", ["reason", "at"])
    ended = sa.text("outcome IS NOT NULL")
    op.create_index(
        "ix_decision_outcome",
        "decision",
        ["outcome", "at"],
        sqlite_where=ended,
        postgresql_where=ended,
    )
    op.create_index("ix_decision_at", "decision", ["at"])
