"""What is recorded of events, and what viewers keep of it."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Make the tables."""
    _captures()
    _recordings()


def _captures() -> None:
    op.create_table(
        "captures",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("stream", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("after", sa.Integer(), nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("item_parts", sa.Integer(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("run_zero_s", sa.Float(), nullable=False),
        sa.Column("dropped", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(500), nullable=False),
        sa.Column("started_s", sa.Float(), nullable=False),
        sa.Column("over_s", sa.Float(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_captures_event_id"),
        sa.PrimaryKeyConstraint("id", name="pk_captures"),
        sa.UniqueConstraint("stream", name="uq_captures_stream"),
    )
    op.create_index("ix_captures_event_id", "captures", ["event_id"])
    op.create_table(
        "capture_maps",
        sa.Column("capture_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["capture_id"],
            ["captures.id"],
            name="fk_capture_maps_capture_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("capture_id", "number", name="pk_capture_maps"),
    )
    op.create_table(
        "capture_segments",
        sa.Column("capture_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("map_number", sa.Integer(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("position_s", sa.Float(), nullable=False),
        sa.Column("base_s", sa.Float(), nullable=False),
        sa.Column("began_s", sa.Float(), nullable=False),
        sa.Column("is_break", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["capture_id"],
            ["captures.id"],
            name="fk_capture_segments_capture_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("capture_id", "number", name="pk_capture_segments"),
    )


def _recordings() -> None:
    op.create_table(
        "recordings",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("from_s", sa.Float(), nullable=True),
        sa.Column("until_s", sa.Float(), nullable=True),
        sa.Column("reserved", sa.Boolean(), nullable=False),
        sa.Column("created_s", sa.Float(), nullable=False),
        sa.Column("problem", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(
            ["username"], ["users.username"], name="fk_recordings_username", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_recordings_event_id"),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
    )
    op.create_index("ix_recordings_username", "recordings", ["username"])
    op.create_index("ix_recordings_event_id", "recordings", ["event_id"])
    op.create_table(
        "recording_shares",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("recording_id", sa.String(64), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("created_s", sa.Float(), nullable=False),
        sa.Column("expires_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["recordings.id"],
            name="fk_recording_shares_recording_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_recording_shares"),
        sa.UniqueConstraint("secret_hash", name="uq_recording_shares_secret_hash"),
    )
    op.create_index("ix_recording_shares_recording_id", "recording_shares", ["recording_id"])
    op.create_table(
        "event_replays",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("created_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_event_replays_event_id"),
        sa.PrimaryKeyConstraint("event_id", name="pk_event_replays"),
    )


def downgrade() -> None:
    """Drop them."""
    for table in (
        "event_replays",
        "recording_shares",
        "recordings",
        "capture_segments",
        "capture_maps",
        "captures",
    ):
        op.drop_table(table)
