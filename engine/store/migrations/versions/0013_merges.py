"""Contacts who turned out to be one: the record of it, and under whom what they have came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import Document, Instant

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_MOVED = (
    "identity",
    "event",
    "run",
    "wait",
    "intent",
    "cap_place",
    "task",
    "action_call",
    "exposure",
)


def upgrade() -> None:
    for table in _MOVED:
        op.add_column(table, sa.Column("merged_from", sa.String(), nullable=True))
    op.add_column("identity", sa.Column("is_shared", sa.Boolean(), nullable=False, server_default=sa.false()))
    is_part = sa.text("merged_into IS NOT NULL")
    op.create_index(
        "ix_contact_merged", "contact", ["merged_into"], sqlite_where=is_part, postgresql_where=is_part
    )
    # Whether a run was there before is asked by what it is about, for its id is made of the first contact's.
    op.drop_index("ix_run_contact", "run")
    op.create_index("ix_run_contact", "run", ["contact_id", "journey", "entry_key"])
    op.create_table(
        "contact_merge",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("gone", sa.String(), nullable=False),
        sa.Column("joined_to", sa.String(), nullable=False),
        sa.Column("survivor", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("because", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=True),
        sa.Column("profiles", Document, nullable=False),
        sa.Column("told", Document, nullable=False),
        sa.Column("undone_at", Instant(), nullable=True),
        sa.Column("undone_by", sa.String(), nullable=True),
        sa.Column("undone_because", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    stands = sa.text("undone_at IS NULL")
    op.create_index(
        "ix_contact_merge_gone",
        "contact_merge",
        ["gone"],
        unique=True,
        sqlite_where=stands,
        postgresql_where=stands,
    )
    op.create_index("ix_contact_merge_survivor", "contact_merge", ["survivor"])
    op.create_index("ix_contact_merge_joined_to", "contact_merge", ["joined_to"])
