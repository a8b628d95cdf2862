"""What other sites and feed readers ask for: oEmbed of an event, RSS of a provider."""

from collections import OrderedDict
from enum import StrEnum
from hashlib import sha256
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from umbel.catalogue.discover.model import Search, Section
from umbel.catalogue.model import Event, NoSuchEvent
from umbel.portal import addresses, auth, oembed, rss
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Problem
from umbel.portal.ports import System
from umbel.repository.ranges import Decision, PreconditionFailed, Validators, decide

router = Resource(tags=["sharing"])

_MOST_URL = 2_000
_MOST_AGES = 10_000
_CACHE_S = 60
_SHOWN = ((Section.LIVE, 10), (Section.SOON, 30), (Section.PAST, 20))
_XML = "text/xml"


class OembedFormat(StrEnum):
    """How the description is written."""

    JSON = "json"
    XML = "xml"


class FeedAges:
    """Since when each feed is as it is, as far as this process saw it: what Last-Modified says.
    The oldest are forgotten where there are many."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def since_s(self, provider_id: str, etag: str, now_s: float) -> float:
        """The first time that this state was seen in a row."""
        before = self._seen.pop(provider_id, None)
        kept = before if before is not None and before[0] == etag else (etag, now_s)
        self._seen[provider_id] = kept
        if len(self._seen) > _MOST_AGES:
            self._seen.popitem(last=False)
        return kept[1]


@router.get(
    "/oembed",
    response_class=Response,
    responses={
        200: {
            "description": "oEmbed 1.0, of type `video`",
            "content": {"application/json": {}, _XML: {}},
        }
    },
)
async def get_oembed(
    system: auth.SystemDep,
    request: Request,
    url: Annotated[str, Query(max_length=_MOST_URL, description="address of an event's page")],
    form: Annotated[OembedFormat, Query(alias="format")] = OembedFormat.JSON,
    maxwidth: Annotated[int | None, Query(ge=1)] = None,
    maxheight: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """Get how to show an event in another site's page: a frame with its player (oEmbed 1.0)."""
    book = addresses.of(system, request)
    event_id = oembed.event_id_of(url, book.base)
    if event_id is None:
        raise NoSuchEvent("No event of this platform has that address.")
    event = await system.catalogue.discover.event(event_id)
    found = oembed.described(event, book, oembed.room_within(maxwidth, maxheight))
    headers = {"Cache-Control": f"public, max-age={_CACHE_S}"}
    if form is OembedFormat.XML:
        return Response(oembed.as_xml(found), headers=headers, media_type=f"{_XML}; charset=utf-8")
    return Response(oembed.as_json(found), headers=headers, media_type="application/json")


@router.get(
    "/providers/{provider_id}/feed.xml",
    response_class=Response,
    responses={
        200: {"description": "RSS 2.0", "content": {rss.MEDIA_TYPE: {}}},
        304: {"description": "The caller has this feed already"},
        412: {"model": Problem, "description": "It is not the feed that the conditions name"},
    },
)
async def get_provider_feed(system: auth.SystemDep, request: Request, provider_id: str) -> Response:
    """Get a provider's events for feed readers: what is live, the next ones, and the latest."""
    provider = await system.catalogue.provider(provider_id)
    events = await _events(system, provider_id)
    body = rss.serialize(provider, events, addresses.of(system, request))
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    ages: FeedAges = request.app.state.feed_ages
    since_s = ages.since_s(provider_id, tag, system.clock.now_s())
    now = Validators(etag=tag, changed_s=since_s)
    headers = {
        "ETag": tag,
        "Last-Modified": now.last_modified,
        "Cache-Control": f"public, max-age={_CACHE_S}",
    }
    decision = decide(request.headers, now)
    if decision is Decision.FAILED:
        raise PreconditionFailed("The feed is not the one that the request's conditions name.")
    if decision is Decision.NOT_MODIFIED:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=f"{rss.MEDIA_TYPE}; charset=utf-8")


async def _events(system: System, provider_id: str) -> list[Event]:
    found: list[Event] = []
    for section, most in _SHOWN:
        search = Search(section=section, provider_id=provider_id, most=most)
        found += (await system.catalogue.discover.events(search)).items
    return found
