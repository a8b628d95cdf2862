"""The only entry to what anybody may find: listed events by section, by search and by provider.

In: calls of the portal, of who need not have signed in. Out: pages of values. Neighbours: `store`
says which events are listed; words/store keeps the words by which they are found.
"""

from umbel.catalogue import rules
from umbel.catalogue.discover import store
from umbel.catalogue.discover.model import (
    ListedProvider,
    Page,
    Search,
    event_cursor,
    parse_event_cursor,
    parse_provider_cursor,
    provider_cursor,
)
from umbel.catalogue.model import Event, NoSuchEvent
from umbel.kit import search_words
from umbel.kit.db import Database

MOST_WORDS = 8
"""Of a query; further ones are not looked at."""


class Discover:
    """Events and providers for viewers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def events(self, search: Search) -> Page[Event]:
        """Listed events that have all the words of the query in title, description or provider's
        name: those to come by their start, others the latest first. Raises BadCursor."""
        after = parse_event_cursor(search.cursor) if search.cursor else None
        words = _beginnings(search.query)
        if words is None or (search.provider_id and not rules.is_name(search.provider_id)):
            return Page(items=(), cursor="")
        found = await self._database.read(
            store.find_events,
            search.section,
            words,
            provider_id=search.provider_id,
            after=after,
            most=search.most + 1,
        )
        items = tuple(found[: search.most])
        return Page(items=items, cursor=event_cursor(items[-1]) if found[search.most :] else "")

    async def event(self, event_id: str) -> Event:
        """That event, if it is listed. Raises NoSuchEvent."""
        found = None
        if rules.is_name(event_id):
            found = await self._database.read(store.find_event, event_id)
        if found is None:
            raise NoSuchEvent(event=event_id)
        return found

    async def providers(
        self, query: str = "", *, cursor: str = "", most: int
    ) -> Page[ListedProvider]:
        """Providers that have all the words of the query in their names, by name. Raises
        BadCursor."""
        after = parse_provider_cursor(cursor) if cursor else None
        words = _beginnings(query)
        if words is None:
            return Page(items=(), cursor="")
        found = await self._database.read(store.find_providers, words, after=after, most=most + 1)
        items = tuple(found[:most])
        return Page(items=items, cursor=provider_cursor(items[-1]) if found[most:] else "")


def _beginnings(query: str) -> list[str] | None:
    """None where something was typed that has no word in it: nothing has it."""
    words = search_words.beginnings(query, MOST_WORDS)
    return None if query.strip() and not words else words
