"""Hypervisors, reached through libvirt."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "hypervisors",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("pool", sa.String(64), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("folder", sa.String(255), nullable=False),
        sa.Column("accelerator", sa.String(16), nullable=False),
        sa.Column("bridge", sa.String(15), nullable=False),
        sa.Column("is_open_vswitch", sa.Boolean(), nullable=False),
        sa.Column("first", sa.String(15), nullable=False),
        sa.Column("last", sa.String(15), nullable=False),
        sa.Column("prefix", sa.Integer(), nullable=False),
        sa.Column("gateway", sa.String(15), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_hypervisors"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("hypervisors")
