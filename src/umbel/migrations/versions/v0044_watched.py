"""What signed-in viewers watched."""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "watched",
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("first_s", sa.Float(), nullable=False),
        sa.Column("last_s", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["username"], ["users.username"], name="fk_watched_username", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name="fk_watched_event_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("username", "event_id", name="pk_watched"),
    )
    op.create_index("ix_watched_event_id", "watched", ["event_id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("watched")
