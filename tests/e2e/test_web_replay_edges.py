"""A real Chromium plays a recording from an edge that dies after a piece: it goes on with the front
end's. In the edge's place is a server that gives what the front end has."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from e2e.test_web_recordings import APPEARS_MS, SHOWN, recorded, signed_in

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

GIVEN = 2


@dataclass
class DyingEdge:
    """Gives GIVEN pieces, and then accepts no connection."""

    front: str
    given: list[str] = field(default_factory=list)
    server: asyncio.Server | None = None

    async def start(self) -> str:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ", 2)[1]
            if self.server is None or len(self.given) >= GIVEN:
                return
            self.given.append(path)
            if len(self.given) == GIVEN:
                self.server.close()
            async with httpx.AsyncClient(
                base_url=self.front, trust_env=False, timeout=60
            ) as client:
                body = (await client.get(path)).content
            lines = ["HTTP/1.1 200 OK", "access-control-allow-origin: *", "connection: close"]
            lines += ["content-type: video/mp4", f"content-length: {len(body)}", "", ""]
            writer.write("\r\n".join(lines).encode() + body)
            await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


async def test_the_player_goes_on_without_its_edge(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as (here, url, _, page):
        await recorded(here)
        edge = DyingEdge(url)
        node = await here.system.delivery.access_node_for("127.0.0.1")
        here.system.replay_edges.edges[node] = await edge.start()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{url}/recordings")
        row = page.get_by_role("listitem", name="Council")
        await row.get_by_role("button", name="Play").click(timeout=APPEARS_MS)
        await page.wait_for_function(SHOWN, arg=[0, 1.0], timeout=APPEARS_MS)
        await page.evaluate("document.querySelector('[data-testid=replay]').currentTime = 10")
        await page.wait_for_function(SHOWN, arg=[0, 10.0], timeout=APPEARS_MS)
        assert [path.rpartition("/")[2] for path in edge.given] == ["init-0.mp4", "segment-0.m4s"]
        assert sum("direct=true" in one for one in asked) == 1, "it turns to the front end once"
        own = [one for one in asked if one.startswith(url) and one.endswith(".m4s")]
        assert any(one.endswith("segment-5.m4s") for one in own)
        assert await row.get_by_role("alert").count() == 0
