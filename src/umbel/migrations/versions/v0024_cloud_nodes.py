"""Nodes in OpenStack clouds, with sealed credentials."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "cloud_nodes",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("pool", sa.String(64), nullable=False),
        sa.Column("flavor", sa.String(255), nullable=False),
        sa.Column("network", sa.String(255), nullable=False),
        sa.Column("zone", sa.String(255), nullable=False),
        sa.Column("machine", sa.String(255), nullable=False),
        sa.Column("external", sa.String(255), nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("region", sa.String(255), nullable=False),
        sa.Column("sealed_credentials", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_cloud_nodes"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("cloud_nodes")
