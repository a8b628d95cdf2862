"""Whether an event's viewers may watch in VP8, too."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the column: no event that is there offers it."""
    column: sa.Column[bool] = sa.Column(
        "vp8", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    with op.batch_alter_table("events") as events:
        events.add_column(column)


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("events") as events:
        events.drop_column("vp8")
