"""Which stream of its event a recording is of."""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    """Those before are of the source's stream, which is named as its event."""
    op.add_column(
        "recordings", sa.Column("stream", sa.String(64), nullable=False, server_default="")
    )
    op.execute("UPDATE recordings SET stream = event_id")
    op.create_index("ix_recordings_stream", "recordings", ["stream"])


def downgrade() -> None:
    """Drop it, with the recordings of other streams."""
    op.execute("DELETE FROM recordings WHERE stream <> event_id")
    op.drop_index("ix_recordings_stream", "recordings")
    op.drop_column("recordings", "stream")
