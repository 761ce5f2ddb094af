"""Arms of experiments: who was given which, and how far strata have been filled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import BigId, Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "exposure",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("seed", sa.String(), nullable=False),
        sa.Column("contact_id", sa.String(), nullable=False),
        sa.Column("arm", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("bucket", sa.Float(), nullable=True),
        sa.Column("stratum", sa.String(), nullable=True),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("bundle_hash", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("instead_of", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_exposure_contact", "exposure", ["contact_id", "experiment", "seed"], unique=True)
    op.create_index("ix_exposure_arm", "exposure", ["experiment", "seed", "arm"])
    op.create_index("ix_exposure_list", "exposure", ["experiment", "id"])
    op.create_table(
        "stratum",
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("seed", sa.String(), nullable=False),
        sa.Column("shape", sa.String(), nullable=False),
        sa.Column("stratum", sa.String(), nullable=False),
        sa.Column("taken", BigId, nullable=False),
        sa.PrimaryKeyConstraint("experiment", "seed", "shape", "stratum"),
    )
