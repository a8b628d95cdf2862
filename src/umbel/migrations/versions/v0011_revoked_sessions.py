"""Sessions that ended before their tokens expire: edges refuse these tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "revoked_sessions",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("stream", sa.String(64), nullable=False),
        sa.Column("revoked_s", sa.Float(), nullable=False),
        sa.Column("expires_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revoked_sessions"),
    )
    for name, columns in {
        "ix_revoked_sessions_stream_revoked_s": ["stream", "revoked_s"],
        "ix_revoked_sessions_expires_s": ["expires_s"],
    }.items():
        op.create_index(name, "revoked_sessions", columns)


def downgrade() -> None:
    """Drop it."""
    op.drop_table("revoked_sessions")
