"""Files of providers, and events that stream one."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "provider_files",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("provider_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("created_s", sa.Float, nullable=False),
        sa.Column("changed_s", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_provider_files"),
    )
    op.create_index("ix_provider_files_provider_id", "provider_files", ["provider_id", "created_s"])
    op.create_index("ix_provider_files_state", "provider_files", ["state"])
    op.create_table(
        "provider_file_pictures",
        sa.Column("file_id", sa.String(64), nullable=False),
        sa.Column("jpeg", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("file_id", name="pk_provider_file_pictures"),
    )
    op.create_table(
        "playouts",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("provider_id", sa.String(64), nullable=False),
        sa.Column("file_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("on_schedule", sa.Boolean, nullable=False),
        sa.Column("loop", sa.Boolean, nullable=False),
        sa.Column("ends_event", sa.Boolean, nullable=False),
        sa.Column("position_s", sa.Float, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("changed_s", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_playouts"),
    )
    op.create_index("ix_playouts_file_id", "playouts", ["file_id"])
    op.create_index("ix_playouts_state", "playouts", ["state"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("playouts")
    op.drop_table("provider_file_pictures")
    op.drop_table("provider_files")
