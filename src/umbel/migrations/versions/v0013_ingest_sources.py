"""From where an event's acquirer takes a publisher without a key."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the column."""
    column = sa.Column("ingest_sources", sa.JSON(), nullable=False, server_default="[]")
    with op.batch_alter_table("trees") as trees:
        trees.add_column(column)


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("trees") as trees:
        trees.drop_column("ingest_sources")
