"""When the owners of addresses were heard last, for platforms that let us write for a while then."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import Document

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("identity", sa.Column("heard", Document, nullable=True))
