"""Hypervisors whose guests have their disks at an iSCSI target."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Add the column; hypervisors that are there have disks in their folders."""
    with op.batch_alter_table("hypervisors") as table:
        table.add_column(sa.Column("iscsi", sa.String(512), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("hypervisors") as table:
        table.drop_column("iscsi")
