"""Captions as rows, with the words by which they are found. In: a connection of a read or write
unit. Out: values of `model`."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import sqlalchemy as sa

from umbel.catalogue.captions.model import (
    LONGEST_PROBLEM,
    LONGEST_TEXT,
    MOST_KEPT,
    Caption,
    CaptionPolicy,
    FoundCaption,
    Heard,
)
from umbel.catalogue.model import EventState
from umbel.catalogue.store import LISTED, events, providers
from umbel.kit import languages, search_words
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given

MOST_WORDS = 40
"""Of one caption."""
_LONGEST_BOOT = 64
_LAST = "\U0010ffff"
_WORD = sa.String(search_words.MOST_LETTERS).with_variant(
    sa.String(search_words.MOST_LETTERS, collation="C"), "postgresql"
)

caption_policies = sa.Table(
    "caption_policies",
    metadata,
    sa.Column("event_id", sa.ForeignKey(events.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("language", sa.String(languages.LONGEST), nullable=False),
    sa.Column("problem", sa.String(LONGEST_PROBLEM), nullable=False),
)
captions = sa.Table(
    "captions",
    metadata,
    sa.Column("event_id", sa.ForeignKey(events.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("boot", sa.String(_LONGEST_BOOT), nullable=False),
    sa.Column("boot_number", sa.Integer, nullable=False),
    sa.Column("text", sa.String(LONGEST_TEXT), nullable=False),
    sa.Column("start_s", sa.Float, nullable=False),
    sa.Column("end_s", sa.Float, nullable=False),
)
caption_words = sa.Table(
    "caption_words",
    metadata,
    sa.Column("word", _WORD, primary_key=True),
    sa.Column("event_id", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.ForeignKeyConstraint(
        ["event_id", "number"], ["captions.event_id", "captions.number"], ondelete="CASCADE"
    ),
    sa.Index("ix_caption_words_event_id_number", "event_id", "number"),
)

_OF = given("of")
_POLICY = Query(
    sa.select(caption_policies.c.language, caption_policies.c.problem).where(
        caption_policies.c.event_id == _OF
    ),
    CaptionPolicy,
)
_ADD_POLICY = Command(sa.insert(caption_policies))
_DROP_POLICY = Command(sa.delete(caption_policies).where(caption_policies.c.event_id == _OF))
_NOTE = Command(sa.update(caption_policies).where(caption_policies.c.event_id == _OF), ["problem"])
_LIVE = Query(
    sa.select(events.c.id.label("event_id"), caption_policies.c.language)
    .join_from(caption_policies, events)
    .where(events.c.state == EventState.LIVE.value),
    lambda *, event_id, language: (str(event_id), str(language)),
)
_ROW = sa.select(captions.c.number, captions.c.text, captions.c.start_s, captions.c.end_s)
_OF_EVENT = captions.c.event_id == _OF
_AFTER = Query(
    _ROW.where(_OF_EVENT & (captions.c.number > given("after")))
    .order_by(captions.c.number)
    .limit(given("most", sa.Integer)),
    Caption,
)
_LATEST = Query(
    _ROW.where(_OF_EVENT).order_by(captions.c.number.desc()).limit(given("most", sa.Integer)),
    Caption,
)
_BETWEEN = Query(
    _ROW.where(
        _OF_EVENT
        & (captions.c.end_s > given("from_s", sa.Float))
        & (captions.c.start_s < given("until_s", sa.Float))
    ).order_by(captions.c.start_s, captions.c.number),
    Caption,
)
_LAST_HEARD = Query(
    sa.select(captions.c.number, captions.c.boot, captions.c.boot_number)
    .where(_OF_EVENT)
    .order_by(captions.c.number.desc())
    .limit(1),
    lambda *, number, boot, boot_number: (int(number), str(boot), int(boot_number)),
)
_NEWEST = Scalar(sa.select(sa.func.max(captions.c.number)).where(_OF_EVENT), int)
_ADD = Command(sa.insert(captions))
_ADD_WORD = Command(sa.insert(caption_words))
_DROP = Command(sa.delete(captions).where(_OF_EVENT & (captions.c.number <= given("until"))))


def policy(connection: Connection, event_id: str) -> CaptionPolicy | None:
    """The event's; None where nothing is recognised."""
    return connection.first(_POLICY, of=event_id)


def put_policy(connection: Connection, event_id: str, language: str | None) -> None:
    """Store it in place of any other; None for none."""
    connection.run(_DROP_POLICY, of=event_id)
    if language is not None:
        connection.run(_ADD_POLICY, event_id=event_id, language=language, problem="")


def note_problem(connection: Connection, event_id: str, problem: str) -> None:
    """Why nothing comes."""
    connection.run(_NOTE, of=event_id, problem=problem)


def live(connection: Connection) -> list[tuple[str, str]]:
    """Events on air in which speech is to be recognised, with the language."""
    return connection.all(_LIVE)


def last_heard(connection: Connection, event_id: str) -> tuple[int, str, int]:
    """The newest caption's number, and its life and number there; zeros where there is none."""
    return connection.first(_LAST_HEARD, of=event_id) or (0, "", 0)


def add(connection: Connection, event_id: str, heard: Iterable[Heard]) -> None:
    """More captions; beyond MOST_KEPT the oldest go."""
    number, rows, words = last_heard(connection, event_id)[0], list[dict[str, Any]](), []
    for one in heard:
        number += 1
        rows.append(
            {
                "event_id": event_id,
                "number": number,
                "boot": one.boot[:_LONGEST_BOOT],
                "boot_number": one.number,
                "text": one.text[:LONGEST_TEXT],
                "start_s": one.start_s,
                "end_s": one.end_s,
            }
        )
        words += [
            {"word": word, "event_id": event_id, "number": number}
            for word in search_words.indexed([one.text], MOST_WORDS)
        ]
    connection.run_many(_ADD, rows)
    connection.run_many(_ADD_WORD, words)
    connection.run(_DROP, of=event_id, until=number - MOST_KEPT)


def forget(connection: Connection, event_id: str) -> None:
    """All captions of the event."""
    newest = connection.scalar(_NEWEST, of=event_id)
    if newest is not None:
        connection.run(_DROP, of=event_id, until=newest)


def after(connection: Connection, event_id: str, number: int, most: int) -> list[Caption]:
    """Those after that number, the oldest first."""
    return connection.all(_AFTER, of=event_id, after=number, most=most)


def latest(connection: Connection, event_id: str, most: int) -> list[Caption]:
    """The newest, the oldest of them first."""
    return connection.all(_LATEST, of=event_id, most=most)[::-1]


def between(connection: Connection, event_id: str, from_s: float, until_s: float) -> list[Caption]:
    """Those said in that time, in order."""
    return connection.all(_BETWEEN, of=event_id, from_s=from_s, until_s=until_s)


@cache
def _search_query(words: int, *, of_event: bool) -> Query[FoundCaption]:
    query = (
        sa.select(
            captions.c.event_id,
            events.c.title.label("event_title"),
            providers.c.name.label("provider_name"),
            captions.c.number,
            captions.c.text,
            captions.c.start_s,
            captions.c.end_s,
        )
        .join_from(captions, events, events.c.id == captions.c.event_id)
        .join(providers, providers.c.id == events.c.provider_id)
        .limit(given("most", sa.Integer))
    )
    query = query.where(captions.c.event_id == _OF) if of_event else query.where(LISTED)
    for number in range(words):
        word = caption_words.alias(f"words{number}")
        found = sa.select(sa.literal(1)).where(
            (word.c.event_id == captions.c.event_id)
            & (word.c.number == captions.c.number)
            & (word.c.word >= given(f"word{number}"))
            & (word.c.word < given(f"end{number}"))
        )
        query = query.where(found.exists())
    return Query(query.order_by(captions.c.start_s.desc(), captions.c.event_id), _found)


def search(
    connection: Connection, beginnings: list[str], event_id: str | None, most: int
) -> list[FoundCaption]:
    """Captions with words of all these beginnings, the latest first: of that event, or of all that
    everybody finds."""
    values: dict[str, Any] = {} if event_id is None else {"of": event_id}
    for number, word in enumerate(beginnings):
        values[f"word{number}"], values[f"end{number}"] = word, f"{word}{_LAST}"
    query = _search_query(len(beginnings), of_event=event_id is not None)
    return connection.all(query, most=most, **values)


def _found(*, event_id: str, event_title: str, provider_name: str, **row: Any) -> FoundCaption:
    return FoundCaption(
        event_id=event_id,
        event_title=event_title,
        provider_name=provider_name,
        caption=Caption(**row),
    )
