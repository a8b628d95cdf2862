"""Who was reminded of what."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "reminders",
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("starts_s", sa.Float(), nullable=False),
        sa.Column("claimed_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["username"], ["users.username"], name="fk_reminders_username", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name="fk_reminders_event_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("username", "event_id", "starts_s", name="pk_reminders"),
    )
    op.create_index("ix_reminders_event_id", "reminders", ["event_id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("reminders")
