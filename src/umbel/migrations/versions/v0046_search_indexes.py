"""Indexes by which lists and searches of events find their order and their words."""

from alembic import op

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    """Make them."""
    op.create_index("ix_events_provider_id_state", "events", ["provider_id", "state"])
    op.create_index("ix_events_state_starts_s", "events", ["state", "starts_s", "id"])
    op.create_index("ix_event_words_event_id_word", "event_words", ["event_id", "word"])
    op.drop_index("ix_event_words_event_id", "event_words")


def downgrade() -> None:
    """Drop them."""
    op.create_index("ix_event_words_event_id", "event_words", ["event_id"])
    op.drop_index("ix_event_words_event_id_word", "event_words")
    op.drop_index("ix_events_state_starts_s", "events")
    op.drop_index("ix_events_provider_id_state", "events")
