"""The repository: items, the parts of their bytes, and their metadata."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "repository_items",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content_type", sa.String(128), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_s", sa.Float(), nullable=False),
        sa.Column("changed_s", sa.Float(), nullable=False),
        sa.Column("expires_s", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_repository_items"),
    )
    op.create_index("ix_repository_items_owner", "repository_items", ["owner", "id"])
    op.create_index("ix_repository_items_expires_s", "repository_items", ["expires_s"])
    op.create_table(
        "repository_parts",
        sa.Column("blob", sa.String(64), nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("touched_s", sa.Float(), nullable=False),
        sa.Column("checked_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("blob", name="pk_repository_parts"),
    )
    op.create_index("ix_repository_parts_item", "repository_parts", ["item", "number"])
    op.create_index("ix_repository_parts_owner", "repository_parts", ["owner"])
    op.create_index("ix_repository_parts_state", "repository_parts", ["state", "checked_s"])
    op.create_table(
        "repository_metadata",
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("value_hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("item", "key", name="pk_repository_metadata"),
    )
    op.create_index("ix_repository_metadata_key", "repository_metadata", ["key", "value_hash"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("repository_metadata")
    op.drop_table("repository_parts")
    op.drop_table("repository_items")
