"""Moves of functions between nodes."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "function_migrations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("function", sa.String(128), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("requested_by", sa.String(64), nullable=False),
        sa.Column("requested_s", sa.Float(), nullable=False),
        sa.Column("changed_s", sa.Float(), nullable=False),
        sa.Column("wait_until_s", sa.Float(), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cancelled_by", sa.String(64), nullable=False),
        sa.Column("copying_s", sa.Float(), nullable=True),
        sa.Column("predicted", sa.JSON(), nullable=True),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.Column("achieved", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_function_migrations"),
    )
    op.create_index("ix_function_migrations_requested_s", "function_migrations", ["requested_s"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_function_migrations_requested_s", "function_migrations")
    op.drop_table("function_migrations")
