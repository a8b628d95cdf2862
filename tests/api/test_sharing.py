"""What other sites and programs read of public pages: oEmbed, Open Graph, RSS; each by a parser
that is not ours. Whatever a provider writes stays text."""

import json
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import feedparser
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.http import World, make_system, world
from umbel.catalogue.model import Event, EventEvent, EventPatch, EventState, Provider, Visibility
from umbel.kit.db import Database
from umbel.portal import oembed, rss
from umbel.portal.addresses import Addresses

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><b>bold</b>",
    "Rock & Roll &lt;live&gt; 'n' more",
    "\u05e9\u05dc\u05d5\u05dd \u200f(\u200e1\u200f)",  # Hebrew with marks
    "]]> <!-- --> \ufffe\uffff \U0001f3b5",
]
HOUR_S = 3_600.0


class Parsed(HTMLParser):
    """A page as a program reads it: its title, its meta and link elements, and all elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.title, self.elements, self._in_title = "", list[str](), False
        self.meta: dict[str, str] = {}
        self.links: list[dict[str, str]] = []
        self.frames: list[dict[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        values = {name: value or "" for name, value in attrs}
        self._in_title = tag == "title"
        if tag == "meta":
            self.meta[values.get("property") or values.get("name", "")] = values["content"]
        elif tag == "link":
            self.links.append(values)
        elif tag == "iframe":
            self.frames.append(values)

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data


@pytest.fixture
async def built(sqlite: Database, tmp_path: Path) -> AsyncIterator[World]:
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "index.html").write_text(
        "<html><head><title>Umbel</title></head><body><div id=root></div></body></html>"
    )
    async with world(make_system(sqlite, tmp_path), static=folder) as made:
        yield made


async def page(here: World, path: str) -> tuple[Parsed, httpx.Response]:
    answer = await here.client.get(path)
    assert answer.status_code == 200
    return Parsed(answer.text), answer


async def described(here: World, event: Event, **more: Any) -> httpx.Response:
    params = {"url": f"http://umbel/watch/{event.id}", **more}
    return await here.client.get("/oembed", params=params)


async def test_an_events_page_says_what_it_is(built: World) -> None:
    event = await built.event(title="Council", description="About\n the  budget. " + "x" * 400)
    read, answer = await page(built, f"/watch/{event.id}")
    assert read.title == "Council · Umbel"
    assert read.meta["og:title"] == "Council"
    assert read.meta["og:description"].startswith("About the budget. x")
    assert len(read.meta["og:description"]) == 300
    assert read.meta["og:url"] == f"http://umbel/watch/{event.id}"
    assert read.meta["og:video"] == f"http://umbel/embed/{event.id}"
    assert "og:image" not in read.meta
    assert answer.headers["cache-control"] == "no-cache"
    again = await built.client.get(
        f"/watch/{event.id}", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")

    kinds = {link["type"]: link for link in read.links if link["rel"] == "alternate"}
    for kind, media in (("json", "application/json"), ("xml", "text/xml")):
        link = kinds[f"{media}+oembed"]
        found = await built.client.get(link["href"])
        assert found.status_code == 200
        assert found.headers["content-type"].startswith(media), kind
        assert "Council" in found.text
    feed = await built.client.get(kinds["application/rss+xml"]["href"])
    assert feedparser.parse(feed.content).feed.title == "City"

    await built.system.delivery.open_ingest(event.id)
    await built.system.catalogue.transition(event.id, EventEvent.START)
    live, _ = await page(built, f"/watch/{event.id}")
    assert live.meta["og:image"] == f"http://umbel/api/v1/events/{event.id}/thumbnail"
    assert live.meta["og:image:alt"] == "Council at this moment"


async def test_a_providers_page_has_its_feed(built: World) -> None:
    read, _ = await page(built, f"/providers/{built.city.id}")
    assert (read.title, read.meta["og:type"]) == ("City · Umbel", "website")
    assert f"/providers/{built.city.id}/feed.xml" in read.links[-1]["href"]


async def test_a_page_of_nothing_says_nothing(built: World) -> None:
    for path in ("/watch/ev_0", "/providers/pr_0", "/watch/a%20b", "/embed/ev_0"):
        read, _ = await page(built, path)
        assert (read.title, read.meta, read.links) == ("Umbel", {}, []), path


async def test_programs_learn_nothing_of_what_is_not_listed(built: World) -> None:
    for visibility in (Visibility.UNLISTED, Visibility.INVITED):
        event = await built.event(title="Behind closed doors", visibility=visibility)
        for path in (f"/watch/{event.id}", f"/embed/{event.id}"):
            read, answer = await page(built, path)
            assert (read.title, read.meta, read.links) == ("Umbel", {}, [])
            assert "closed doors" not in answer.text
        assert (await described(built, event)).status_code == 404
        feed = await built.client.get(f"/providers/{built.city.id}/feed.xml")
        assert b"closed doors" not in feed.content


async def test_other_sites_frame_the_player_only(built: World) -> None:
    event = await built.event()
    for path, may_frame in (
        ("/embed/{}", "*"),
        ("/embed/{}/", "*"),
        ("/embed/ev_0", "*"),
        ("/watch/{}", "'none'"),
        ("/", "'none'"),
        ("/embed", "'none'"),
        ("/embed/", "'none'"),
        ("/embed/{}/more", "'none'"),
        ("/account", "'none'"),
    ):
        _, answer = await page(built, path.format(event.id))
        policy = answer.headers["content-security-policy"]
        assert policy.endswith(f"frame-ancestors {may_frame}"), path
        assert "default-src 'self'" in policy


async def test_what_a_provider_writes_is_text_everywhere(built: World) -> None:
    for title in HOSTILE:
        await check_text(built, title)


async def check_text(built: World, title: str) -> None:
    event = await built.event(title=title, description=f"{title}\n{title}")
    xml_title = title.replace("\ufffe", "").replace("\uffff", "")
    for path in ("/watch/", "/embed/"):
        read, _ = await page(built, path + event.id)
        assert read.title == f"{title} · Umbel"
        assert read.meta["og:title"] == title
        assert set(read.elements) == {"html", "head", "title", "meta", "link", "body", "div"}
        assert all(link.get("title", title) in (title, "City") for link in read.links)

    found = (await described(built, event)).json()
    assert found["title"] == title
    frame = Parsed(found["html"])
    assert frame.elements == ["iframe"]
    assert frame.frames[0]["title"] == title
    xml = ElementTree.fromstring((await described(built, event, format="xml")).content)
    assert xml.findtext("title") == xml_title
    assert Parsed(xml.findtext("html") or "").elements == ["iframe"]

    feed = await built.client.get(f"/providers/{built.city.id}/feed.xml")
    items = ElementTree.fromstring(feed.content).findall("channel/item")
    link = f"http://umbel/watch/{event.id}"
    (item,) = [item for item in items if item.findtext("link") == link]
    assert item.findtext("title") == xml_title
    text = Parsed(item.findtext("description") or "")
    assert set(text.elements) == {"p"}
    read_feed = feedparser.parse(feed.content, sanitize_html=False)
    assert not read_feed.bozo
    assert link in [entry.link for entry in read_feed.entries]


async def test_oembed_describes_a_frame_that_fits(here: World) -> None:
    event = await here.event()
    for most, size in (
        ({}, (960, 540)),
        ({"maxwidth": 480}, (480, 270)),
        ({"maxheight": 90}, (160, 90)),
        ({"maxwidth": 10**30, "maxheight": 10**30}, (960, 540)),
        ({"maxwidth": 1, "maxheight": 1}, (1, 1)),
    ):
        answer = await described(here, event, **most)
        found = answer.json()
        assert (found["width"], found["height"]) == size
        frame = Parsed(found["html"]).frames[0]
        assert (int(frame["width"]), int(frame["height"])) == size
        assert frame["src"] == f"http://umbel/embed/{event.id}"
    assert found["type"] == "video"
    assert (found["version"], found["author_name"]) == ("1.0", "City")
    assert "thumbnail_url" not in found
    await here.system.delivery.open_ingest(event.id)
    await here.system.catalogue.transition(event.id, EventEvent.START)
    assert (await described(here, event)).json()["thumbnail_width"] == 640
    assert "thumbnail_url" not in (await described(here, event, maxwidth=600)).json()


async def test_which_addresses_are_described(here: World) -> None:
    event = await here.event()
    for query, status in (
        ("", 422),
        ("url=http://umbel/watch/{}&format=yaml", 422),
        ("url=http://umbel/watch/{}&maxwidth=0", 422),
        ("url=http://elsewhere/watch/{}", 404),
        ("url=http://umbel/watch/ev_0", 404),
        ("url=http://umbel/account", 404),
        ("url=javascript:alert(1)", 404),
        ("url=http://[", 404),
        ("url=%00", 404),
        ("url=" + "x" * 2001, 422),
        ("url=http://umbel/embed/{}", 200),
        ("url=http://umbel/watch/{}%3Fquality=360p%23x", 200),
    ):
        answer = await here.client.get(f"/oembed?{query.format(event.id)}")
        assert answer.status_code == status, query
        if status != 200:
            assert set(answer.json()) == {"code", "message", "details"}


async def test_addresses_are_the_operators(sqlite: Database, tmp_path: Path) -> None:
    system = make_system(sqlite, tmp_path, public_url="https://live.example.org")
    async with world(system, static=tmp_path / "no-build") as here:
        event = await here.event()
        url = quote(f"https://live.example.org/watch/{event.id}")
        found = (await here.client.get(f"/oembed?url={url}")).json()
        assert f"https://live.example.org/embed/{event.id}" in found["html"]
        feed = await here.client.get(f"/providers/{here.city.id}/feed.xml")
        assert b"http://umbel" not in feed.content


async def test_a_feed_reader_follows_a_provider(here: World) -> None:
    path = f"/providers/{here.city.id}/feed.xml"
    empty = feedparser.parse((await here.client.get(path)).content)
    assert (empty.version, empty.entries, empty.feed.title) == ("rss20", [], "City")
    assert empty.feed.link == f"http://umbel/providers/{here.city.id}"
    event = await here.event(title="Council", description="One\n\nTwo")
    await here.event(here.club, title="Match")
    answer = await here.client.get(path)
    assert answer.headers["content-type"] == "application/rss+xml; charset=utf-8"
    (item,) = feedparser.parse(answer.content).entries
    assert (item.title, item.link) == ("Council", f"http://umbel/watch/{event.id}")
    assert item.summary.endswith("<p>One</p><p>Two</p>")
    assert "published" not in item
    assert item.ev_startdate.endswith("Z")

    # Not sent again while it is the same; by the tag, and by the date.
    for name, header in (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified")):
        same = await here.client.get(path, headers={name: answer.headers[header]})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["etag"] == answer.headers["etag"]
    await here.system.delivery.open_ingest(event.id)
    live = await here.system.catalogue.transition(event.id, EventEvent.START)
    changed = await here.client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    (now,) = feedparser.parse(changed.content).entries
    assert (now.title, now.id != item.id) == ("Live now: Council", True)
    assert "published" in now
    assert live.state is EventState.LIVE
    failed = await here.client.get(path, headers={"If-Match": '"other"'})
    assert failed.status_code == 412


async def test_a_feed_is_bounded_and_shows_what_is_next(here: World) -> None:
    now_s = here.system.clock.now_s()
    for number in range(40):
        starts_s = now_s + (number + 1) * HOUR_S
        await here.event(title=f"Mass {number}", starts_s=starts_s, ends_s=starts_s + HOUR_S)
    await here.event(title="Off")
    off = (await here.client.get("/api/v1/discover/events?q=off")).json()["items"][0]
    changed = await here.system.catalogue.change_event(
        off["id"], off["version"], EventPatch(title="Off", description="It rains")
    )
    await here.system.catalogue.transition(changed.id, EventEvent.CANCEL)
    feed = feedparser.parse((await here.client.get(f"/providers/{here.city.id}/feed.xml")).content)
    names = [entry.title for entry in feed.entries]
    assert names == [f"Mass {number}" for number in range(30)] + ["Cancelled: Off"]


async def test_a_feed_of_no_provider(here: World) -> None:
    for provider_id in ("pr_0", "%00", "x" * 200):
        answer = await here.client.get(f"/providers/{provider_id}/feed.xml")
        assert (answer.status_code, answer.json()["code"]) == (404, "umbel.no_such_provider")


EVENT = Event(
    id="ev_1", provider_id="pr_1", provider_name="", title="", description="", starts_s=0, ends_s=1
)
ADDRESSES = Addresses("https://live.example.org/tv")


@given(st.text(max_size=50), st.text(max_size=200))
def test_any_text_makes_a_feed_and_a_description(title: str, description: str) -> None:
    event = Event(**{**vars(EVENT), "title": title, "description": description})
    provider = Provider(id="pr_1", name=title, access_node="pe1")
    ElementTree.fromstring(rss.serialize(provider, [event], ADDRESSES))
    found = oembed.described(event, ADDRESSES, oembed.Room())
    ElementTree.fromstring(oembed.as_xml(found))
    assert json.loads(oembed.as_json(found))["type"] == "video"


@given(st.text(max_size=60))
def test_any_address_is_looked_at(url: str) -> None:
    assert oembed.event_id_of(url, ADDRESSES.base) is None
    asked = oembed.event_id_of(f"{ADDRESSES.base}/watch/ev_1?{url}", ADDRESSES.base)
    assert asked in ("ev_1", None)


@given(
    st.none() | st.integers(min_value=1, max_value=5_000),
    st.none() | st.integers(min_value=1, max_value=5_000),
)
def test_any_room_is_kept(width: int | None, height: int | None) -> None:
    room = oembed.room_within(width, height)
    assert 1 <= room.width <= min(width or 960, 960)
    assert 1 <= room.height <= min(height or 540, 540)
