"""HLS playlists at a real edge: what they cost next to the picture, and who gets them."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from support import hls_player
from support.hls_player import PlaylistView
from support.media_server import Ground, ground
from support.media_tree import Tree
from support.waiting import until
from umbel.media.drivers.jsonrpc import JsonRpcMedia

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

# The picture and sound of the test's encoder have 564 kbit/s; a viewer's picture has twice that.
MOST_SHARE = 0.03


@dataclass
class Follower:
    """A player as hls.js is: reloads the playlist for each part, and fetches the part."""

    http: httpx.AsyncClient
    url: str = ""
    playlist_bytes: int = 0
    media_bytes: int = 0

    async def enter(self, entry: str) -> None:
        index = await until(
            lambda: self.http.get(entry), lambda found: found.status_code == 200, within_s=60
        )
        self.url = str(index.url.join(hls_player.variants(index.text)[0][0]))

    async def follow(self, parts: int) -> None:
        view = await self.load({})
        for _ in range(parts):
            next_part = {"_HLS_msn": view.last_number + 1, "_HLS_part": view.open_parts}
            later = await self.load(next_part)
            hls_player.check_next(view, later)
            found = await self.http.get(httpx.URL(self.url).join(view.hint))
            assert found.status_code == 200
            self.media_bytes += found.num_bytes_downloaded
            view = later

    async def load(self, query: dict[str, int]) -> PlaylistView:
        found = await self.http.get(self.url, params=query or None)
        assert found.status_code == 200, found.text
        if query:
            self.playlist_bytes += found.num_bytes_downloaded
        return hls_player.parse(found.text)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Ground]:
    with ground(tmp_path) as opened:
        yield opened


@pytest.fixture
async def tree(made: Ground) -> AsyncIterator[Tree]:
    plane = JsonRpcMedia()
    grown = Tree(
        ground=made,
        plane=plane,
        acquirer=made.start("acq-pe1-1", "acquirer", "127.0.9.21"),
        forwarder=made.start("fwd-p2-1", "forwarder", "127.0.9.22"),
        edge=made.start("edge-pe4-1", "edge", "127.0.9.23"),
    )
    await grown.grow()
    yield grown
    await plane.close()


async def test_playlists_are_small_next_to_the_picture(tree: Tree) -> None:
    tree.push_rtmp()
    token = tree.ground.token("session-2", "ev1")
    entry = f"{tree.edge.http}/hls/ev1/index.m3u8?token={token}"
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        player = Follower(http)
        await player.enter(entry)
        # Until the playlist has its full length, and one segment more.
        await player.follow(45)
        player.playlist_bytes = player.media_bytes = 0
        await player.follow(12)
    assert player.playlist_bytes < MOST_SHARE * player.media_bytes


async def test_a_player_enters_by_query_by_header_or_at_the_media_playlist(tree: Tree) -> None:
    tree.push_rtmp()
    token = tree.ground.token("session-3", "ev1")
    folder = f"{tree.edge.http}/hls/ev1/"
    header = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        by_query = Follower(http)
        await by_query.enter(f"{folder}index.m3u8?token={token}")
        assert by_query.url == f"{folder}{token}/media.m3u8"
        await by_query.follow(2)
        asked = {"token": token, "_HLS_msn": "0"}
        moved = await http.get(f"{folder}media.m3u8", params=asked, follow_redirects=True)
        assert moved.status_code == 200
        assert str(moved.url) == f"{folder}{token}/media.m3u8?_HLS_msn=0"
        refused = await http.get(f"{folder}media.m3u8")
        assert (refused.status_code, refused.json()["code"]) == (401, "umbel.token_missing")
    async with httpx.AsyncClient(trust_env=False, timeout=20, headers=header) as http:
        by_header = Follower(http)
        await by_header.enter(f"{folder}index.m3u8")
        assert by_header.url == f"{folder}media.m3u8"
        await by_header.follow(2)


async def test_only_a_client_that_takes_gzip_gets_it(tree: Tree) -> None:
    tree.push_rtmp()
    token = tree.ground.token("session-4", "ev1")
    folder = f"{tree.edge.http}/hls/ev1/{token}/"
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        await Follower(http).enter(f"{folder}index.m3u8")
        for accepted, coding in (("gzip, br", "gzip"), ("identity", None), ("gzip;q=0", None)):
            headers = {"Accept-Encoding": accepted}
            found = await http.get(f"{folder}media.m3u8", headers=headers)
            assert found.headers.get("content-encoding") == coding
            assert found.headers["vary"] == "Accept-Encoding"
            hls_player.parse(found.text)
            # What holds a secret, and what does not get smaller, stays as it is.
            for name in ("index.m3u8", hls_player.parse(found.text).segments[0].map_uri):
                other = await http.get(folder + name, headers=headers)
                assert other.status_code == 200
                assert "content-encoding" not in other.headers
