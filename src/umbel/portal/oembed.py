"""How other sites show an event in their pages: a frame with its player, described by oEmbed 1.0.

In: an event and addresses, and the room that the other site has. Out: the description as JSON or
XML, and the frame's HTML. Pure.
"""

import html
import json
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement, tostring

from umbel.catalogue import rules
from umbel.catalogue.model import Event, EventState
from umbel.portal.addresses import Addresses
from umbel.portal.markup import xml_text

WIDTH, HEIGHT = 960, 540
_CACHE_S = 300
_PICTURE = (640, 360)
_PAGES = ("watch", "embed")


@dataclass(frozen=True)
class Room:
    """The size of a frame in CSS pixels."""

    width: int = WIDTH
    height: int = HEIGHT


def room_within(most_width: int | None, most_height: int | None) -> Room:
    """The largest frame of 16:9 that fits, not larger than usual, and at least one pixel."""
    width = min(WIDTH, most_width or WIDTH, (most_height or HEIGHT) * WIDTH // HEIGHT)
    width = max(width, 1)
    return Room(width, max(width * HEIGHT // WIDTH, 1))


def event_id_of(url: str, base: str) -> str | None:
    """The event whose page has that address, None where none of ours has."""
    try:
        asked, ours = urlsplit(url), urlsplit(base)
    except ValueError:
        return None
    prefix = f"{ours.path.rstrip('/')}/"
    if (asked.scheme, asked.netloc) != (ours.scheme, ours.netloc):
        return None
    if not asked.path.startswith(prefix):
        return None
    page, _, event_id = asked.path.removeprefix(prefix).rstrip("/").partition("/")
    return event_id if page in _PAGES and rules.is_name(event_id) else None


def frame(event: Event, addresses: Addresses, room: Room) -> str:
    """The HTML that another site puts into its page."""
    return (
        f'<iframe src="{html.escape(addresses.embed(event.id))}" width="{room.width}"'
        f' height="{room.height}" title="{html.escape(event.title)}" style="border:0"'
        ' allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>'
    )


def described(event: Event, addresses: Addresses, room: Room) -> dict[str, str | int]:
    """The response of type `video` (section 2.3.4.2)."""
    found: dict[str, str | int] = {
        "type": "video",
        "version": "1.0",
        "title": event.title,
        "author_name": event.provider_name,
        "author_url": addresses.provider(event.provider_id),
        "provider_name": "Umbel",
        "provider_url": f"{addresses.base}/",
        "cache_age": _CACHE_S,
        "html": frame(event, addresses, room),
        "width": room.width,
        "height": room.height,
    }
    width, height = _PICTURE
    if event.state is EventState.LIVE and width <= room.width and height <= room.height:
        found |= {
            "thumbnail_url": addresses.picture(event.id),
            "thumbnail_width": width,
            "thumbnail_height": height,
        }
    return found


def as_json(found: dict[str, str | int]) -> bytes:
    """UTF-8 JSON."""
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")


def as_xml(found: dict[str, str | int]) -> bytes:
    """The same as XML."""
    root = Element("oembed")
    for name, value in found.items():
        SubElement(root, name).text = xml_text(str(value))
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))
