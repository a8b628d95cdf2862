"""The switches that come with nodes."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the column."""
    column = sa.Column("site", sa.JSON(), nullable=False, server_default="{}")
    with op.batch_alter_table("nodes") as nodes:
        nodes.add_column(column)


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("nodes") as nodes:
        nodes.drop_column("site")
