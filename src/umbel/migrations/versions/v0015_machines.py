"""The operator's own machines, reached over SSH."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "machines",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("pool", sa.String(64), nullable=False),
        sa.Column("user", sa.String(32), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("host_key", sa.Text(), nullable=False),
        sa.Column("bundle", sa.String(64), nullable=False),
        sa.Column("prefix", sa.String(255), nullable=False),
        sa.Column("run_as", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_machines"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("machines")
