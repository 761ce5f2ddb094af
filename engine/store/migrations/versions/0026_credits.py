"""Through which of a window's parts a message leaves, for platforms that count permissions by template."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cap_place", sa.Column("part", sa.String(), nullable=False, server_default=""))
