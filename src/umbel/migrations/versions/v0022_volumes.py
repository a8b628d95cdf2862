"""Volumes and their snapshots."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "volumes",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("size_mb", sa.Integer(), nullable=False),
        sa.Column("disk", sa.String(64), nullable=False),
        sa.Column("spare", sa.String(64), nullable=False),
        sa.Column("function", sa.String(128), nullable=False),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("created_s", sa.Float(), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_volumes"),
    )
    op.create_table(
        "volume_snapshots",
        sa.Column("volume", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("disk", sa.String(64), nullable=False),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("taken_s", sa.Float(), nullable=False),
        sa.Column("taken_by", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("volume", "name", name="pk_volume_snapshots"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("volume_snapshots")
    op.drop_table("volumes")
