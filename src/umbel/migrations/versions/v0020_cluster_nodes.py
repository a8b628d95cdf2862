"""Nodes of Kubernetes clusters, with sealed credentials."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "cluster_nodes",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("pool", sa.String(64), nullable=False),
        sa.Column("machine", sa.String(253), nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("image", sa.String(255), nullable=False),
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("sealed_credentials", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_cluster_nodes"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("cluster_nodes")
