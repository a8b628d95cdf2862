"""What the served HTML of a public page says of itself, for programs that run no scripts: its
title, Open Graph, and where its oEmbed and RSS are.

In: the path of a page. Out: its title and tags, or none where nothing is listed there: who is not
to know of an event does not learn of it here either. All texts are escaped.
"""

import html
import re
from dataclasses import dataclass
from urllib.parse import urlencode

import structlog
from starlette.requests import HTTPConnection
from starlette.types import Scope

from umbel.catalogue.model import Event, EventState, Provider
from umbel.kit.errors import NotFound, UmbelError
from umbel.portal import addresses as address_book
from umbel.portal import oembed, rss
from umbel.portal.addresses import Addresses
from umbel.portal.ports import System

log = structlog.get_logger(__name__)

_PATH = re.compile(r"/(watch|embed|providers)/([A-Za-z0-9][A-Za-z0-9_.-]{0,63})/?")
_MOST_DESCRIPTION = 300
_FORMATS = {"json": "application/json+oembed", "xml": "text/xml+oembed"}


@dataclass(frozen=True)
class Head:
    """A page's title, and the elements of its head."""

    title: str
    tags: str


class PageHeads:
    """Heads by path."""

    def __init__(self, system: System) -> None:
        self._system = system

    async def __call__(self, scope: Scope) -> Head | None:
        """The page's head. The page is shown without one where the database does not answer."""
        match = _PATH.fullmatch(scope["path"])
        if match is None:
            return None
        addresses = address_book.of(self._system, HTTPConnection(scope))
        kind, id_ = match.groups()
        try:
            if kind == "providers":
                return _provider(await self._system.catalogue.provider(id_), addresses)
            event = await self._system.catalogue.discover.event(id_)
        except NotFound:
            return None
        except UmbelError as error:
            log.warning("page served without its head", code=error.code)
            return None
        return _event(event, addresses, is_embedded=kind == "embed")


def _event(event: Event, addresses: Addresses, *, is_embedded: bool) -> Head:
    page, embed = addresses.watch(event.id), addresses.embed(event.id)
    text = " ".join(event.description.split()) or f"Live event by {event.provider_name}"
    properties = {
        "og:site_name": "Umbel",
        "og:type": "video.other",
        "og:title": event.title,
        "og:description": _shortened(text),
        "og:url": page,
        "og:video": embed,
        "og:video:type": "text/html",
        "og:video:width": str(oembed.WIDTH),
        "og:video:height": str(oembed.HEIGHT),
    }
    if event.state is EventState.LIVE:
        properties |= {
            "og:image": addresses.picture(event.id),
            "og:image:type": "image/jpeg",
            "og:image:alt": f"{event.title} at this moment",
        }
    tags = _properties(properties) + _element("link", rel="canonical", href=page)
    if is_embedded:
        tags += _element("meta", name="robots", content="noindex")
    for form, kind in _FORMATS.items():
        query = urlencode({"url": page, "format": form})
        where = f"{addresses.base}/oembed?{query}"
        tags += _element("link", rel="alternate", type=kind, href=where, title=event.title)
    return Head(event.title, tags + _feed(event.provider_id, event.provider_name, addresses))


def _provider(provider: Provider, addresses: Addresses) -> Head:
    page = addresses.provider(provider.id)
    properties = {
        "og:site_name": "Umbel",
        "og:type": "website",
        "og:title": provider.name,
        "og:description": f"Live events by {provider.name}",
        "og:url": page,
    }
    tags = _properties(properties) + _element("link", rel="canonical", href=page)
    return Head(provider.name, tags + _feed(provider.id, provider.name, addresses))


def _feed(provider_id: str, name: str, addresses: Addresses) -> str:
    where = addresses.feed(provider_id)
    return _element("link", rel="alternate", type=rss.MEDIA_TYPE, href=where, title=name)


def _properties(values: dict[str, str]) -> str:
    return "".join(_element("meta", property=name, content=text) for name, text in values.items())


def _element(tag: str, **attributes: str) -> str:
    written = "".join(f' {name}="{html.escape(text)}"' for name, text in attributes.items())
    return f"<{tag}{written}>\n"


def _shortened(text: str) -> str:
    if len(text) <= _MOST_DESCRIPTION:
        return text
    return text[: _MOST_DESCRIPTION - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
