"""What anybody may find: events that are live, to come or over, a search, and providers."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from umbel.catalogue.discover.model import (
    MOST_CURSOR,
    MOST_PAGE,
    MOST_QUERY,
    ListedProvider,
    Search,
    Section,
)
from umbel.catalogue.model import Event, EventState
from umbel.portal import auth
from umbel.portal.api import shapes
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import EventOut
from umbel.portal.ports import System

router = Resource(prefix="/api/v1/discover", tags=["discover"])

_CARRIED = frozenset({EventState.OPEN, EventState.LIVE})
_PAGE = 24

Words = Annotated[
    str, Query(max_length=MOST_QUERY, description="words, or how they begin; all must be there")
]
Cursor = Annotated[
    str, Query(max_length=MOST_CURSOR, description="`cursor` of the page before; empty: the first")
]
Limit = Annotated[int, Query(ge=1, le=MOST_PAGE)]


class EventsOut(BaseModel):
    """Some events. `cursor` asks for the next ones; it is empty where there are none."""

    items: list[EventOut]
    cursor: str


class ListedProviderOut(BaseModel):
    """A provider, with how many of its events are live or about to be, and how many are to come."""

    id: str
    name: str
    live: int
    soon: int


class ProvidersOut(BaseModel):
    """Some providers. `cursor` asks for the next ones; it is empty where there are none."""

    items: list[ListedProviderOut]
    cursor: str


@router.get("/events")
async def discover_events(
    system: auth.SystemDep,
    section: Section | None = None,
    q: Words = "",
    provider_id: Annotated[str, Query(max_length=64)] = "",
    cursor: Cursor = "",
    limit: Limit = _PAGE,
) -> EventsOut:
    """Find events: by section, by words in title, description or provider's name, by provider. Case
    and accents do not matter. Those to come are sorted by their start, others the latest first."""
    search = Search(section=section, query=q, provider_id=provider_id, cursor=cursor, most=limit)
    found = await system.catalogue.discover.events(search)
    return EventsOut(items=[await _event(system, one) for one in found.items], cursor=found.cursor)


@router.get("/providers")
async def discover_providers(
    system: auth.SystemDep, q: Words = "", cursor: Cursor = "", limit: Limit = _PAGE
) -> ProvidersOut:
    """Find providers by words of their names, by name."""
    found = await system.catalogue.discover.providers(q, cursor=cursor, most=limit)
    return ProvidersOut(items=[_provider(one) for one in found.items], cursor=found.cursor)


async def _event(system: System, event: Event) -> EventOut:
    carried = event.state in _CARRIED
    return shapes.event(event, await system.delivery.stream(event) if carried else None)


def _provider(of: ListedProvider) -> ListedProviderOut:
    return ListedProviderOut(id=of.id, name=of.name, live=of.live, soon=of.soon)
