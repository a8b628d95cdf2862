"""How running guests are copied between hypervisors."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the columns; hypervisors that are there take copies over TLS, by their host names."""
    with op.batch_alter_table("hypervisors") as table:
        table.add_column(
            sa.Column("copy_address", sa.String(45), nullable=False, server_default="")
        )
        table.add_column(
            sa.Column("plain_copies", sa.Boolean(), nullable=False, server_default=sa.false())
        )


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("hypervisors") as table:
        table.drop_column("plain_copies")
        table.drop_column("copy_address")
