"""Accounts' access nodes, and the viewers that events are expected to have."""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "account_nodes",
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("access_node", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["username"],
            ["users.username"],
            name="fk_account_nodes_username",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("username", name="pk_account_nodes"),
    )
    op.create_table(
        "predictions",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("starts_s", sa.Float(), nullable=False),
        sa.Column("ends_s", sa.Float(), nullable=False),
        sa.Column("made_s", sa.Float(), nullable=False),
        sa.Column("reservations", sa.Integer(), nullable=False),
        sa.Column("show_up", sa.Float(), nullable=False),
        sa.Column("walk_ins", sa.Float(), nullable=False),
        sa.Column("earlier", sa.Integer(), nullable=False),
        sa.Column("viewers", sa.JSON(), nullable=False),
        sa.Column("shape", sa.JSON(), nullable=False),
        sa.Column("yields", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_predictions"),
    )
    op.create_index("ix_predictions_starts_s", "predictions", ["starts_s"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("predictions")
    op.drop_table("account_nodes")
