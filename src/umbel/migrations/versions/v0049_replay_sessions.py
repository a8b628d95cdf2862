"""Viewers of recordings, and the edges that serve them."""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "replay_sessions",
        sa.Column("grant_id", sa.String(32), primary_key=True),
        sa.Column("access_node", sa.String(64), primary_key=True),
        sa.Column("capture_id", sa.String(64), nullable=False),
        sa.Column("function", sa.String(128), nullable=False),
        sa.Column("edge_node", sa.String(64), nullable=False),
        sa.Column("mbps", sa.Float, nullable=False),
        sa.Column("seen_s", sa.Float, nullable=False),
        sa.Index("ix_replay_sessions_seen_s", "seen_s"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("replay_sessions")
