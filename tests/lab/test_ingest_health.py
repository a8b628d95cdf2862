"""Packets that are lost on the way from real encoders are counted, whatever they speak."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.ingest_lab import ADDRESS, KEY, PLAIN_H264, Lab, encoder, lab, live
from support.lossy import LossyLink

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
EVERY = 10
ENOUGH = 200
SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=video 5004 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1
"""


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as it:
        yield it


@asynccontextmanager
async def link(here: Lab, protocol: str, every: int) -> AsyncIterator[LossyLink]:
    """A way to the port of the protocol."""
    port = int(here.urls[protocol].rpartition(":")[2])
    made = LossyLink(receiver=(ADDRESS, port), every=every)
    await made.open(ADDRESS)
    try:
        yield made
    finally:
        made.close()


def output(protocol: str, port: int) -> tuple[str, ...]:
    """ffmpeg's arguments to send by the protocol."""
    if protocol == "srt":
        return ("-f", "mpegts", f"srt://{ADDRESS}:{port}?streamid={KEY}&latency=500000")
    if protocol == "mpegts":
        return ("-f", "mpegts", f"udp://{ADDRESS}:{port}?pkt_size=1316")
    return ("-f", "rtp", f"rtp://{ADDRESS}:{port}?pkt_size=1200")


@pytest.mark.parametrize("every", [EVERY, 0], ids=["lossy", "good"])
@pytest.mark.parametrize("protocol", ["rtp", "mpegts", "srt"])
async def test_what_is_lost_on_the_way_is_counted(here: Lab, protocol: str, every: int) -> None:
    if protocol == "rtp":
        await here.desk.describe_rtp("ev_lab", SDP)
    rate = ("-b:v", "3M", "-minrate", "3M", "-x264-params", "nal-hrd=cbr")
    async with link(here, protocol, every) as way:
        source = live(*PLAIN_H264, *rate, audio=False)
        async with encoder(*source, *output(protocol, way.port)):
            await here.until(lambda: way.passed + way.lost >= ENOUGH, "packets")

            def share() -> float:
                return here.desk.state("ev_lab").packet_loss

            if every:
                await here.until(lambda: 0.05 < share() < 0.15, f"a loss of a tenth, not {share()}")
            else:
                await here.until(lambda: way.passed >= 2 * ENOUGH, "more packets")
                assert share() == 0.0
    await here.until_stopped()
    assert here.desk.state("ev_lab").packet_loss == 0.0


async def test_packets_that_srt_repeats_are_not_expected_twice(here: Lab) -> None:
    """A third is lost, also of those that are sent again."""
    rate = ("-b:v", "3M", "-minrate", "3M", "-x264-params", "nal-hrd=cbr")
    source = live(*PLAIN_H264, *rate, audio=False)
    async with link(here, "srt", 3) as way, encoder(*source, *output("srt", way.port)):
        await here.until(lambda: way.passed + way.lost >= 2 * ENOUGH, "packets")

        def share() -> float:
            return here.desk.state("ev_lab").packet_loss

        await here.until(lambda: 0.29 < share() < 0.4, f"a loss of a third, not {share()}")


async def test_rtmp_loses_nothing(here: Lab) -> None:
    url = f"{here.urls['rtmp']}/{KEY}"
    async with encoder(*live(*PLAIN_H264, audio=False), "-f", "flv", url):
        await here.until(lambda: here.sink.frames() > 30, "pictures")
        assert here.desk.state("ev_lab").packet_loss == 0.0
