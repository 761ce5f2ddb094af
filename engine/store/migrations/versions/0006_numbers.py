"""What contacts' phone numbers say: the country and the time zones, by platform."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import Document

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contact", sa.Column("numbers", Document, nullable=False, server_default="{}"))
