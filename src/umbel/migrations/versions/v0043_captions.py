"""What is said in events, and the words by which it is found; when segments were by their stream's
clock."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"

_WORD = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables. Segments that are there do not know their stream's clock."""
    op.create_table(
        "caption_policies",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("language", sa.String(30), nullable=False),
        sa.Column("problem", sa.String(500), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["events.id"],
            name="fk_caption_policies_event_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", name="pk_caption_policies"),
    )
    op.create_table(
        "captions",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("boot_number", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(500), nullable=False),
        sa.Column("start_s", sa.Float(), nullable=False),
        sa.Column("end_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name="fk_captions_event_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", "number", name="pk_captions"),
    )
    op.create_table(
        "caption_words",
        sa.Column("word", _WORD, nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id", "number"],
            ["captions.event_id", "captions.number"],
            name="fk_caption_words_event_id_number",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("word", "event_id", "number", name="pk_caption_words"),
    )
    op.create_index("ix_caption_words_event_id_number", "caption_words", ["event_id", "number"])
    wall: sa.Column[float] = sa.Column("wall_s", sa.Float(), nullable=False, server_default="0")
    with op.batch_alter_table("capture_segments") as segments:
        segments.add_column(wall)


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("capture_segments") as segments:
        segments.drop_column("wall_s")
    op.drop_table("caption_words")
    op.drop_table("captions")
    op.drop_table("caption_policies")
