"""What let a viewer into an event that is not for everybody, so that the session ends with it."""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    """Sessions of before have neither: they end where the event is not for everybody, and their
    players open others."""
    for name, length in (("username", 64), ("phrase_generation", 32)):
        column = sa.Column(name, sa.String(length), nullable=False, server_default="")
        op.add_column("sessions", column)


def downgrade() -> None:
    """Forget them."""
    op.drop_column("sessions", "phrase_generation")
    op.drop_column("sessions", "username")
