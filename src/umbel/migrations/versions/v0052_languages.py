"""The language of each account's e-mails."""

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    """Those before are in English."""
    column = sa.Column("language", sa.String(8), nullable=False, server_default="en")
    op.add_column("profiles", column)


def downgrade() -> None:
    """Drop it."""
    op.drop_column("profiles", "language")
