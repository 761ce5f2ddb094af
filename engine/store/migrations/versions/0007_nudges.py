"""Of a run: since when its workflow is asked to look, so that it is not asked again before it did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import Instant

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("nudged_at", Instant(), nullable=True))
