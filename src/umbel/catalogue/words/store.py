"""The words of events and providers as rows, written with what they are of. In: a connection of a
write unit. Neighbours: catalogue.store calls `put_...` where texts change; discover.store searches.

Words compare by code points in both databases: a beginning is then a range of the index.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from umbel.kit import search_words
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, given

MOST_WORDS = 500
"""Of one event; the title's come first."""

_WORD = sa.String(search_words.MOST_LETTERS).with_variant(
    sa.String(search_words.MOST_LETTERS, collation="C"), "postgresql"
)

event_words = sa.Table(
    "event_words",
    metadata,
    sa.Column("word", _WORD, primary_key=True),
    sa.Column("event_id", sa.ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    sa.Index("ix_event_words_event_id_word", "event_id", "word"),
)

provider_words = sa.Table(
    "provider_words",
    metadata,
    sa.Column("word", _WORD, primary_key=True),
    sa.Column(
        "provider_id",
        sa.ForeignKey("providers.id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
)

_ADD_EVENT = Command(sa.insert(event_words))
_DROP_EVENT = Command(sa.delete(event_words).where(event_words.c.event_id == given("of")))
_ADD_PROVIDER = Command(sa.insert(provider_words))
_DROP_PROVIDER = Command(
    sa.delete(provider_words).where(provider_words.c.provider_id == given("of"))
)


def put_event(connection: Connection, event_id: str, texts: Sequence[str]) -> None:
    """Have the event found by the words of these texts, and by no others."""
    connection.run(_DROP_EVENT, of=event_id)
    words = search_words.indexed(texts, MOST_WORDS)
    connection.run_many(_ADD_EVENT, [{"word": word, "event_id": event_id} for word in words])


def put_provider(connection: Connection, provider_id: str, name: str) -> None:
    """Have the provider, and its events, found by the words of the name, and by no others."""
    connection.run(_DROP_PROVIDER, of=provider_id)
    words = search_words.indexed([name], MOST_WORDS)
    rows = [{"word": word, "provider_id": provider_id} for word in words]
    connection.run_many(_ADD_PROVIDER, rows)
