"""The only entry to captions: whether an event has them, what was said, and search.

In: calls of the portal, which knows who may watch; what delivery reads of acquirers. Out: values.
"""

import math
from collections.abc import Sequence

from umbel.catalogue import store as catalogue
from umbel.catalogue.captions import model, store
from umbel.catalogue.captions.model import (
    LONGEST_PROBLEM,
    MOST_FOUND,
    MOST_READ,
    Caption,
    CaptionPolicy,
    FoundCaption,
    Heard,
)
from umbel.kit import search_words
from umbel.kit.db import Database
from umbel.kit.sql import Connection

MOST_WORDS = 8
"""Of a query; further ones are not looked at."""


class Captions:
    """What is said in events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def policy(self, event_id: str) -> CaptionPolicy | None:
        """What is recognised in the event; None for nothing."""
        return await self._database.read(store.policy, event_id)

    async def set_policy(self, event_id: str, language: str | None) -> None:
        """Recognise this language in the event, or nothing. What was said stays. Raises
        NoSuchEvent, Unprocessable."""
        if language is not None:
            language = model.language(language)
        await self._database.write(_put_policy, event_id, language)

    async def live(self) -> list[tuple[str, str]]:
        """Events on air in which speech is to be recognised, with the language."""
        return await self._database.read(store.live)

    async def last_heard(self, event_id: str) -> tuple[str, int]:
        """The life of what recognises in which the newest caption came, and its number there."""
        _, boot, number = await self._database.read(store.last_heard, event_id)
        return boot, number

    async def add(self, event_id: str, heard: Sequence[Heard]) -> None:
        """Keep what was said."""
        if heard:
            await self._database.write(store.add, event_id, heard)

    async def note_problem(self, event_id: str, problem: str) -> None:
        """Why nothing comes; empty for all is well."""
        before = await self.policy(event_id)
        problem = problem[:LONGEST_PROBLEM]
        if before is not None and before.problem != problem:
            await self._database.write(store.note_problem, event_id, problem)

    async def after(self, event_id: str, number: int | None) -> list[Caption]:
        """What was said after that caption, at most MOST_READ; None: the newest of all."""
        if number is None:
            return await self._database.read(store.latest, event_id, MOST_READ)
        return await self._database.read(store.after, event_id, number, MOST_READ)

    async def between(
        self, event_id: str, from_s: float, until_s: float = math.inf
    ) -> list[Caption]:
        """What was said in that time, in order."""
        until_s = min(until_s, 1e12)
        return await self._database.read(store.between, event_id, from_s, until_s)

    async def forget(self, event_id: str) -> None:
        """Drop what was said in the event."""
        await self._database.write(store.forget, event_id)

    async def search(self, query: str, event_id: str | None = None) -> list[FoundCaption]:
        """What has all words of the query, the latest first, at most MOST_FOUND: in that event, or
        in all that everybody finds."""
        words = search_words.beginnings(query, MOST_WORDS)
        if not words:
            return []
        return await self._database.read(store.search, words, event_id, MOST_FOUND)


def _put_policy(connection: Connection, event_id: str, language: str | None) -> None:
    catalogue.event(connection, event_id, for_update=True)
    store.put_policy(connection, event_id, language)
