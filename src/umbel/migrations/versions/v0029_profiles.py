"""What users say of themselves, and what confirms their e-mail addresses."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "profiles",
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("is_verified", sa.Boolean(), nullable=False),
        sa.Column("created_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["username"], ["users.username"], name="fk_profiles_username", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("username", name="pk_profiles"),
    )
    op.create_table(
        "email_tokens",
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("expires_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["username"], ["users.username"], name="fk_email_tokens_username", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("username", name="pk_email_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_email_tokens_token_hash"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("email_tokens")
    op.drop_table("profiles")
