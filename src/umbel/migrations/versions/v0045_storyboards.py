"""Small pictures of what was recorded, for seeking."""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "capture_pictures",
        sa.Column("capture_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("position_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["capture_id"],
            ["captures.id"],
            name="fk_capture_pictures_capture_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("capture_id", "number", name="pk_capture_pictures"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("capture_pictures")
