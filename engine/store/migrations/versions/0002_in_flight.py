"""When a wait began, and what a publish does about the people on their way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import BigId, Document, Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("waiting_since", Instant(), nullable=True))
    is_active = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_run_on_its_way",
        "run",
        ["journey", "id"],
        sqlite_where=is_active,
        postgresql_where=is_active,
    )
    op.add_column("control", sa.Column("in_flight", Document, nullable=False, server_default="{}"))
    op.create_table(
        "in_flight",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("journey", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("after_id", sa.String(), nullable=False),
        sa.Column("moved", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.Column("begun_at", Instant(), nullable=False),
        sa.Column("ready_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("finished_because", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_in_flight_open", "in_flight", ["finished_at", "ready_at"])
