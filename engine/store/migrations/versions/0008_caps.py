"""Caps: counts by content, the latest places at hand, silence, and what is still to come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import Instant

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cap_place", sa.Column("content", sa.String(), nullable=False, server_default=""))
    op.add_column("contact", sa.Column("silent_since", Instant(), nullable=True))
    op.drop_index("ix_cap_place_contact", "cap_place")
    op.create_index("ix_cap_place_latest", "cap_place", ["contact_id", "cap_id", "at"])
    leased = sa.text("state = 'leased'")
    op.create_index(
        "ix_cap_place_leased", "cap_place", ["contact_id"], sqlite_where=leased, postgresql_where=leased
    )
    is_open = sa.text("outcome IS NULL")
    op.create_index(
        "ix_intent_open", "intent", ["contact_id"], sqlite_where=is_open, postgresql_where=is_open
    )
    sends = sa.text("next_send_at IS NOT NULL")
    op.create_index(
        "ix_run_next_send",
        "run",
        ["contact_id", "next_send_at"],
        sqlite_where=sends,
        postgresql_where=sends,
    )
