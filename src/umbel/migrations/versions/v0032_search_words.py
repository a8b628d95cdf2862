"""The words by which events and providers are found, also of those that are there."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from umbel.kit import search_words

revision = "0032"
down_revision = "0031"

_MOST_WORDS = 500
_BATCH = 1_000
_WORD = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")
_EVENTS = sa.table("events", sa.column("id"), sa.column("title"), sa.column("description"))
_PROVIDERS = sa.table("providers", sa.column("id"), sa.column("name"))


def upgrade() -> None:
    """Make the tables and fill them, and the index by which a provider's schedule is read."""
    op.create_index("ix_events_provider_id_starts_s", "events", ["provider_id", "starts_s"])
    for owner in ("event", "provider"):
        table = op.create_table(
            f"{owner}_words",
            sa.Column("word", _WORD, nullable=False),
            sa.Column(f"{owner}_id", sa.String(64), nullable=False),
            sa.ForeignKeyConstraint(
                [f"{owner}_id"],
                [f"{owner}s.id"],
                name=f"fk_{owner}_words_{owner}_id",
                ondelete="CASCADE",
            ),
            sa.PrimaryKeyConstraint("word", f"{owner}_id", name=f"pk_{owner}_words"),
        )
        op.create_index(f"ix_{owner}_words_{owner}_id", f"{owner}_words", [f"{owner}_id"])
        some = _EVENTS if owner == "event" else _PROVIDERS
        rows: list[dict[str, str]] = []
        for row in _words(some, f"{owner}_id"):
            rows.append(row)
            if len(rows) == _BATCH:
                op.bulk_insert(table, rows)
                rows = []
        op.bulk_insert(table, rows)


def downgrade() -> None:
    """Drop them."""
    op.drop_table("provider_words")
    op.drop_table("event_words")
    op.drop_index("ix_events_provider_id_starts_s", "events")


def _words(of: sa.TableClause, name: str) -> Iterator[dict[str, str]]:
    for id_, *texts in op.get_bind().execute(sa.select(of)).fetchall():
        for word in search_words.indexed(texts, _MOST_WORDS):
            yield {"word": word, name: id_}
