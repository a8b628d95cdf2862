"""What viewers reserve, and the addresses of their calendars."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "reservations",
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(8), nullable=False),
        sa.Column("reserved_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["username"], ["users.username"], name="fk_reservations_username", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name="fk_reservations_event_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("username", "event_id", name="pk_reservations"),
    )
    op.create_index("ix_reservations_event_id", "reservations", ["event_id"])
    op.create_table(
        "calendar_feeds",
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("created_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["username"], ["users.username"], name="fk_calendar_feeds_username", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("username", name="pk_calendar_feeds"),
        sa.UniqueConstraint("secret_hash", name="uq_calendar_feeds_secret_hash"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("calendar_feeds")
    op.drop_table("reservations")
