"""A user's tokens name the account and its password: both get a generation."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_USERS = sa.table("users", sa.column("username"), sa.column("generation"))


def upgrade() -> None:
    """Add the column, with a generation for each account that is there."""
    column = sa.Column("generation", sa.String(32), nullable=False, server_default="")
    with op.batch_alter_table("users") as users:
        users.add_column(column)
    connection = op.get_bind()
    for name in connection.scalars(sa.select(_USERS.c.username)).all():
        one = sa.update(_USERS).where(_USERS.c.username == name)
        connection.execute(one.values(generation=secrets.token_hex(16)))


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("users") as users:
        users.drop_column("generation")
