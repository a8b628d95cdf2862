"""Who works for a provider, and as what."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Make the table: accounts that were made for a provider own it."""
    op.create_table(
        "provider_members",
        sa.Column("provider_id", sa.String(64), nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("role", sa.String(8), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["providers.id"],
            name="fk_provider_members_provider_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["username"],
            ["users.username"],
            name="fk_provider_members_username",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("provider_id", "username", name="pk_provider_members"),
    )
    op.create_index("ix_provider_members_username", "provider_members", ["username"])
    op.execute(
        "INSERT INTO provider_members (provider_id, username, role)"
        " SELECT provider_id, username, 'owner' FROM users"
        " WHERE role = 'provider' AND provider_id IS NOT NULL"
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("provider_members")
