"""Functions that run in advance, by node."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "prepared_functions",
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("edges", sa.Integer(), nullable=False),
        sa.Column("forwarders", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("node", name="pk_prepared_functions"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("prepared_functions")
