"""Which addresses came back, and were not told of yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("identity", sa.Column("is_told", sa.Boolean(), nullable=False, server_default=sa.true()))
    untold = sa.text("NOT is_told")
    op.create_index(
        "ix_identity_untold",
        "identity",
        ["platform", "address"],
        sqlite_where=untold,
        postgresql_where=untold,
    )
