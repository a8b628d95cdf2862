"""Events that were scheduled together: every week, every month."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """Add the column: events that are there are each by itself."""
    column: sa.Column[str] = sa.Column(
        "series_id", sa.String(64), nullable=False, server_default=""
    )
    with op.batch_alter_table("events") as events:
        events.add_column(column)
    op.create_index("ix_events_series_id_starts_s", "events", ["series_id", "starts_s"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_events_series_id_starts_s", "events")
    with op.batch_alter_table("events") as events:
        events.drop_column("series_id")
