"""How long a node's first viewer waits: from the request for a session to the first packet of the
stream over WebRTC or to the first playlist of HLS, with an edge made for him, with one in advance,
and, as the peer, where an edge serves already.

In: options. Out: JSON lines on stdout, a table for people on stderr. Edges are processes of this
machine. A viewer comes at each of five access nodes; one who is sent to an edge that serves a
neighbour is not counted as a first one.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from support.figures import Figure, emit  # noqa: E402

from support import whep_sinks  # noqa: E402
from support.platform import Platform, platform  # noqa: E402
from umbel.demo.stage import LiveEvent  # noqa: E402
from umbel.media.webrtc.dtls import GCM  # noqa: E402

ACCESS = ("pe1", "pe2", "pe3", "pe4", "pe5")
WITHIN_S = 60.0
POLL_S = 0.002
RUNNING_S = 6.0
"""The stream runs for so long before a viewer comes: it has had key pictures."""
First = Callable[[Platform, LiveEvent, str], Awaitable[tuple[str, float]]]
STARTING = (404, 503)
PEER = "an edge that serves"


async def first_packet(made: Platform, event: LiveEvent, node: str) -> tuple[str, float]:
    """A viewer comes, gets a packet, and leaves: his edge, and how long it took, in ms."""
    async with (
        whep_sinks.viewing(GCM, 1, POLL_S) as (sink,),
        httpx.AsyncClient(timeout=30) as http,
        asyncio.timeout(WITHIN_S),
    ):
        offer = sink.client.offer()
        began_s = time.monotonic()
        session = await made.session(event, node)
        sink.client.accept(answer := await answered(http, session, offer))
        line = next(one for one in answer.split("\r\n") if one.startswith("a=candidate"))
        sink.address = (line.split(" ")[4], int(line.split(" ")[5]))
        sink.check()
        while sink.packets == 0:
            await asyncio.sleep(POLL_S)
        return session["edge"], (time.monotonic() - began_s) * 1000


async def first_playlist(made: Platform, event: LiveEvent, node: str) -> tuple[str, float]:
    """A viewer comes, and gets a playlist with the first segment and its parts: his edge, and how
    long it took, in ms."""
    async with httpx.AsyncClient(timeout=30) as http, asyncio.timeout(WITHIN_S):
        began_s = time.monotonic()
        session = await made.session(event, node)
        listed = await fetched(http, session["hls"])
        name = next(line for line in listed.splitlines() if line and not line.startswith("#"))
        await fetched(http, str(httpx.URL(session["hls"]).join(name)))
        return session["edge"], (time.monotonic() - began_s) * 1000


async def fetched(http: httpx.AsyncClient, url: str) -> str:
    """The text there, once the edge answers."""
    while True:
        try:
            answer = await http.get(url, follow_redirects=True)
            if answer.status_code not in STARTING:
                return answer.raise_for_status().text
        except httpx.ConnectError:
            pass
        await asyncio.sleep(POLL_S)


async def answered(http: httpx.AsyncClient, session: dict[str, str], offer: str) -> str:
    """The edge's answer, once it is there."""
    headers = {"Authorization": f"Bearer {session['token']}", "Content-Type": "application/sdp"}
    while True:
        try:
            answer = await http.post(session["whep"], content=offer, headers=headers)
            if answer.status_code not in STARTING:
                return answer.raise_for_status().text
        except httpx.ConnectError:
            pass
        await asyncio.sleep(POLL_S)


async def prepare(made: Platform) -> None:
    """An idle edge at each access node, which is ready."""
    for node in ACCESS:
        answer = await made.api.put(f"/api/v1/nodes/{node}/prepared", json={"edges": 1})
        answer.raise_for_status()
    async with asyncio.timeout(WITHIN_S):
        while any(not one["ready"] for one in await made.get("prepared")):
            await asyncio.sleep(0.05)


async def case(first_of: First, *, in_advance: bool) -> tuple[list[float], list[float]]:
    """Of each edge's first viewer, and of later ones, in ms."""
    with tempfile.TemporaryDirectory() as folder:
        async with platform(Path(folder)) as made:
            event, _ = await made.live()
            await asyncio.sleep(RUNNING_S)
            if in_advance:
                await prepare(made)
            first: dict[str, float] = {}
            for node in ACCESS:
                edge, took_ms = await first_of(made, event, node)
                first.setdefault(edge, took_ms)
            again = [await first_of(made, event, node) for node in ACCESS]
    return [*first.values()], [took_ms for _, took_ms in again]


async def main(runs: int) -> None:
    for name, first_of, in_advance in (
        ("process", first_packet, False),
        ("process-in-advance", first_packet, True),
        ("hls-process", first_playlist, False),
        ("hls-process-in-advance", first_playlist, True),
    ):
        first: list[float] = []
        second: list[float] = []
        for _ in range(runs):
            a, b = await case(first_of, in_advance=in_advance)
            first, second = first + a, second + b
        emit(
            Figure(
                bench="pools",
                case=name,
                value=statistics.median(first),
                unit="ms",
                n=len(first),
                peer=PEER,
                peer_value=statistics.median(second),
            )
        )


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--runs", type=int, default=3, help="platforms for each case")
    return made


if __name__ == "__main__":
    asyncio.run(main(parser().parse_args().runs))
