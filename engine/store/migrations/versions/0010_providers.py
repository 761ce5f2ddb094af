"""What is known of accounts at providers: how much they were given lately, and whether they answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import Document, Instant

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("book", Document, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("account"),
    )
