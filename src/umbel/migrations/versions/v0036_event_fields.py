"""Where an event takes place, as a time zone, and its picture."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Add the columns: events that are there are in UTC and have no picture."""
    zone: sa.Column[str] = sa.Column(
        "time_zone", sa.String(100), nullable=False, server_default="UTC"
    )
    picture: sa.Column[str] = sa.Column("picture", sa.String(64), nullable=False, server_default="")
    with op.batch_alter_table("events") as events:
        events.add_column(zone)
        events.add_column(picture)


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("events") as events:
        events.drop_column("picture")
        events.drop_column("time_zone")
