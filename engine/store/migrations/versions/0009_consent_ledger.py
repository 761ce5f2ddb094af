"""The consent ledger's second form: when an entry came in, and the proof behind it by a commitment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import Instant

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("consent", sa.Column("received_at", Instant(), nullable=True))
    op.add_column("consent", sa.Column("proof", sa.String(), nullable=True))
    op.add_column("consent", sa.Column("proof_salt", sa.String(), nullable=True))
    op.add_column("consent", sa.Column("proof_hash", sa.String(), nullable=True))
    # What is there was sealed in the first form, and stays so.
    op.add_column("consent", sa.Column("form", sa.Integer(), nullable=False, server_default="1"))
