"""One 720p30 H.264 stream from an encoder to N WHEP viewers by all that Umbel runs for it: CPU time
per packet that a viewer gets, and memory.

In: options. Out: a table on stderr, JSON lines on stdout. Umbel takes RTMP, and is `umbel serve`,
its fork servers, an acquirer and an edge. The peers, Janus and Pion, take the same clip as RTP, and
are one process each. `rest` is with the encoder and without viewers. Encoder and viewers are not
counted.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from fanout import FFMPEG, Sender, connect, make_clip, peers, playing  # noqa: E402
from support.family import cpu_s, family, pss_mib  # noqa: E402
from support.figures import Figure, emit_next_to  # noqa: E402
from support.whep_sinks import Sink  # noqa: E402

from support import alone, whep_sinks  # noqa: E402
from support.platform import platform  # noqa: E402
from support.webrtc_client import Client  # noqa: E402
from umbel.demo import stage  # noqa: E402
from umbel.media.webrtc.dtls import GCM  # noqa: E402

NODE = "pe1"
"""Where the acquirer is: a single server would have both."""
SETTLE_S = 2.0
EDGE_S = 30.0
STARTING = (404, 503)


@dataclass(frozen=True)
class Spent:
    """What all processes of a path took during a while. `packets` reached viewers."""

    cpu_s: float
    lasted_s: float
    packets: int
    pss_mib: float

    @property
    def cpu(self) -> float:
        """Microseconds a packet; milliseconds a second where nobody watches."""
        return self.cpu_s / self.packets * 1e6 if self.packets else self.cpu_s / self.lasted_s * 1e3


@contextlib.asynccontextmanager
async def umbel_path(clip: Path) -> AsyncIterator[Sender]:
    """A platform whose event is live."""
    with tempfile.TemporaryDirectory() as folder:
        async with platform(Path(folder)) as made, httpx.AsyncClient(timeout=30) as http:
            event = await made.event()
            words = f"-loglevel error -re -stream_loop -1 -i {clip} -c copy -f flv".split()
            target = f"{event.ingest['rtmp']}/{event.stream_key}"
            pusher = await made.run("encoder", [FFMPEG, *words, target])
            await stage.until_live(made.api, event.id, pusher)

            async def watch(client: Client, _port: int) -> tuple[str, int]:
                session = await made.session(event, NODE)
                answer = await _asked(http, session, client.offer())
                client.accept(answer)
                line = next(one for one in answer.split("\r\n") if one.startswith("a=candidate"))
                return line.split(" ")[4], int(line.split(" ")[5])

            yield Sender(made.serve.process.pid, 0, watch, is_lite=True)


async def _asked(http: httpx.AsyncClient, session: dict[str, Any], offer: str) -> str:
    """The edge's answer. The first viewer's edge is being started."""
    headers = {"Authorization": f"Bearer {session['token']}", "Content-Type": "application/sdp"}
    async with asyncio.timeout(EDGE_S):
        while True:
            try:
                answer = await http.post(session["whep"], content=offer, headers=headers)
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
                continue
            if answer.status_code not in STARTING:
                return answer.raise_for_status().text
            await asyncio.sleep(0.05)


def peer_path(
    running: Callable[[], AbstractAsyncContextManager[Sender]],
) -> Callable[[Path], AbstractAsyncContextManager[Sender]]:
    """A peer with the clip playing."""

    @contextlib.asynccontextmanager
    async def path(clip: Path) -> AsyncIterator[Sender]:
        async with running() as sender:
            with playing(clip, sender.rtp):
                yield sender

    return path


async def measure(sender: Sender, viewers: int, seconds: float) -> Spent:
    """So many viewers join, watch for a while, and leave."""
    async with whep_sinks.viewing(GCM, viewers) as sinks:
        await connect(sender, sinks)
        await asyncio.sleep(SETTLE_S)
        return await count(sender.pid, sinks, seconds)


async def count(root: int, sinks: list[Sink], seconds: float) -> Spent:
    """What the path spends during `seconds`, and then has in memory."""
    packets = sum(one.packets for one in sinks)
    spent = {pid: cpu_s(pid) for pid in family(root)}
    began_s = time.monotonic()
    await asyncio.sleep(seconds)
    spent_s = sum(cpu_s(pid) - spent.get(pid, 0.0) for pid in family(root))
    return Spent(
        cpu_s=spent_s,
        lasted_s=time.monotonic() - began_s,
        packets=sum(one.packets for one in sinks) - packets,
        pss_mib=sum(pss_mib(pid) for pid in family(root)),
    )


def report(case: str, unit: str, values: dict[str, list[float]]) -> None:
    """The medians of a case, next to each peer's."""
    medians = {name: statistics.median(rows) for name, rows in values.items()}
    n, value = len(values["umbel"]), medians.pop("umbel")
    emit_next_to(Figure(bench="whole-path", case=case, value=value, unit=unit, n=n), medians)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--runs", type=int, default=3)
    made.add_argument("--seconds", type=float, default=5.0)
    made.add_argument("--viewers", type=int, nargs="+", default=[1, 10, 50, 200])
    return made


async def main(runs: int, seconds: float, viewers: list[int]) -> None:
    """Every case, the paths in turn."""
    paths = {"umbel": umbel_path, **{name: peer_path(peer) for name, peer in peers().items()}}
    cases = [0, *viewers]
    spent: dict[int, dict[str, list[Spent]]] = {
        case: {name: [] for name in paths} for case in cases
    }
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(clip)
        for _ in range(runs):
            for name, path in paths.items():
                async with path(clip) as sender:
                    for case in cases:
                        spent[case][name].append(await measure(sender, case, seconds))
    for case, found in spent.items():
        where = f"whep-{case}" if case else "rest"
        unit = "us/packet" if case else "ms/s"
        report(f"{where}-cpu", unit, {n: [one.cpu for one in r] for n, r in found.items()})
        report(f"{where}-pss", "MiB", {n: [one.pss_mib for one in r] for n, r in found.items()})


if __name__ == "__main__":
    options = parser().parse_args()
    if os.geteuid() == 0:
        alone.go_alone()
    else:
        print("not root: no namespace, and so no Janus", file=sys.stderr)
    asyncio.run(main(options.runs, options.seconds, options.viewers))
