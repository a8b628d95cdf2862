"""How many watched each event, by minute and by place."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"


def _sums() -> list[sa.Column[float]]:
    return [
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("watched_s", sa.Float(), nullable=False),
        sa.Column("peak", sa.Integer(), nullable=False),
    ]


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "attendance_minutes",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("at_s", sa.BigInteger(), nullable=False),
        *_sums(),
        sa.PrimaryKeyConstraint("event_id", "at_s", name="pk_attendance_minutes"),
    )
    op.create_table(
        "attendance_places",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("access_node", sa.String(64), nullable=False),
        sa.Column("edge_node", sa.String(64), nullable=False),
        *_sums(),
        sa.PrimaryKeyConstraint(
            "event_id", "access_node", "edge_node", name="pk_attendance_places"
        ),
    )
    op.create_table(
        "attendance_totals",
        sa.Column("event_id", sa.String(64), nullable=False),
        *_sums(),
        sa.PrimaryKeyConstraint("event_id", name="pk_attendance_totals"),
    )
    op.create_table(
        "attendance_counted",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_attendance_counted"),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("counted", "totals", "places", "minutes"):
        op.drop_table(f"attendance_{table}")
