"""A provider's events as RSS 2.0, for feed readers. Pure.

In: a provider, listed events, addresses. Out: application/rss+xml as bytes. Titles are plain text
in RSS; descriptions are read as HTML, so what a provider wrote is escaped once more.
"""

import html
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from umbel.catalogue.model import Event, EventState, Provider
from umbel.kit.clock import to_rfc3339
from umbel.portal.addresses import Addresses
from umbel.portal.markup import xml_text

MEDIA_TYPE = "application/rss+xml"
_ATOM = "http://www.w3.org/2005/Atom"
_EVENT = "http://purl.org/rss/1.0/modules/event/"
_REFRESH_MIN = 15
_BEGUN = frozenset({EventState.LIVE, EventState.ENDED})
_PREFIXES = {EventState.LIVE: "Live now: ", EventState.CANCELLED: "Cancelled: "}

register_namespace("atom", _ATOM)
register_namespace("ev", _EVENT)


def serialize(provider: Provider, events: Sequence[Event], addresses: Addresses) -> bytes:
    """The feed, with the events in this order."""
    root = Element("rss", version="2.0")
    channel = SubElement(root, "channel")
    _add(channel, "title", provider.name)
    _add(channel, "link", addresses.provider(provider.id))
    _add(channel, "description", f"Live events by {provider.name}")
    _add(channel, "generator", "Umbel")
    _add(channel, "ttl", str(_REFRESH_MIN))
    own = {"href": addresses.feed(provider.id), "rel": "self", "type": MEDIA_TYPE}
    SubElement(channel, f"{{{_ATOM}}}link", own)
    for event in events:
        _add_event(channel, event, addresses)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _add_event(channel: Element, event: Event, addresses: Addresses) -> None:
    item = SubElement(channel, "item")
    _add(item, "title", _PREFIXES.get(event.state, "") + event.title)
    _add(item, "link", addresses.watch(event.id))
    _add(item, "description", _described(event))
    # An event that begins to be live is another item: readers show it again.
    state = "live" if event.state in _BEGUN else "announced"
    _add(item, "guid", f"{event.id}/{state}").set("isPermaLink", "false")
    if event.state in _BEGUN:
        begun = datetime.fromtimestamp(int(event.starts_s), UTC)
        _add(item, "pubDate", format_datetime(begun))
    _add(item, f"{{{_EVENT}}}startdate", to_rfc3339(event.starts_s))
    _add(item, f"{{{_EVENT}}}enddate", to_rfc3339(event.ends_s))


def _described(event: Event) -> str:
    starts, ends = (datetime.fromtimestamp(int(at), UTC) for at in (event.starts_s, event.ends_s))
    when = f"{starts:%d %B %Y, %H:%M} to {ends:%d %B %Y, %H:%M} UTC"
    paragraphs = [when, *event.description.splitlines()]
    return "".join(f"<p>{html.escape(one)}</p>" for one in paragraphs if one.strip())


def _add(parent: Element, name: str, text: str) -> Element:
    made = SubElement(parent, name)
    made.text = xml_text(text)
    return made
