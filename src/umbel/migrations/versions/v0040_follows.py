"""Whom viewers follow, and which events are to be announced; not those that are live by now."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "follows",
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("provider_id", sa.String(64), nullable=False),
        sa.Column("since_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["username"], ["users.username"], name="fk_follows_username", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["providers.id"], name="fk_follows_provider_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("username", "provider_id", name="pk_follows"),
    )
    op.create_index("ix_follows_provider_id", "follows", ["provider_id"])
    op.create_table(
        "went_live",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("at_s", sa.Float(), nullable=False),
        sa.Column("reader", sa.String(64), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name="fk_went_live_event_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", name="pk_went_live"),
    )
    op.create_index("ix_went_live_is_done", "went_live", ["is_done"])
    live = sa.text(
        "INSERT INTO went_live (event_id, at_s, reader, is_done)"
        " SELECT id, 0, '', :is_done FROM events WHERE state = 'live'"
    )
    op.execute(live.bindparams(is_done=True))


def downgrade() -> None:
    """Drop them."""
    op.drop_table("went_live")
    op.drop_table("follows")
