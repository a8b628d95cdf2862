"""Rules against migrations of functions."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "migration_rules",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_migration_rules"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("migration_rules")
