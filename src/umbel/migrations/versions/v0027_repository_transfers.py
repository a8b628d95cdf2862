"""Addresses of the repository's transfers."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "repository_transfers",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("until_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_repository_transfers"),
    )
    op.create_index("ix_repository_transfers_item", "repository_transfers", ["item"])
    op.create_index("ix_repository_transfers_until_s", "repository_transfers", ["until_s"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("repository_transfers")
