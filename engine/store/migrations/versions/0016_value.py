"""What messages are worth beside others, by which those that are due together are taken up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("intent", sa.Column("value", sa.Float(), nullable=False, server_default="50"))
    op.execute("UPDATE intent SET value = priority")
