"""How many watched each event, by protocol."""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "attendance_protocols",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("protocol", sa.String(16), nullable=False),
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("watched_s", sa.Float(), nullable=False),
        sa.Column("peak", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "protocol", name="pk_attendance_protocols"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("attendance_protocols")
