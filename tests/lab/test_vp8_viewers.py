"""A stream of VP8 at an edge, watched over WebRTC by browsers with and without H.264."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import firefox
from support.waiting import until
from support.webrtc_lab import (
    AUDIO,
    FFMPEG,
    VIDEO,
    browser_page,
    gate,
    own_address,
    rtp_input,
    running,
)

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

VP8 = "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -auto-alt-ref 0"
WATCH = """(async () => {
  const pc = window.watching = new RTCPeerConnection(), stream = new MediaStream();
  pc.ontrack = event => stream.addTrack(event.track);
  pc.addTransceiver('video', {direction: 'recvonly'});
  pc.addTransceiver('audio', {direction: 'recvonly'});
  await pc.setLocalDescription(await pc.createOffer());
  const response = await fetch('/whep', {method: 'POST', body: pc.localDescription.sdp});
  if (response.status !== 201) throw new Error(await response.text());
  await pc.setRemoteDescription({type: 'answer', sdp: await response.text()});
  const video = document.getElementById('v');
  video.srcObject = stream;
  video.play();
  return /H264/i.test(pc.localDescription.sdp);
})()"""
STATS = """(async () => {
  const found = {};
  for (const one of (await window.watching.getStats()).values())
    if (one.type === 'inbound-rtp') found[one.kind] = one;
  return {
    decoded: found.video?.framesDecoded ?? 0,
    heard: found.audio?.packetsReceived ?? 0,
    width: document.getElementById('v').videoWidth,
  };
})()"""


def shown(now: dict[str, Any]) -> bool:
    """Frames are decoded, and the element has their size: it comes later on a busy machine."""
    return now["decoded"] >= 60 and now["width"] == 640


@contextlib.contextmanager
def encoder(port: int, *, gop: int) -> Iterator[None]:
    """VP8 (97), Opus (111) and RTCP to one loopback port."""
    url = f"rtp://127.0.0.1:{port}?rtcpport={port}&pkt_size=1200"
    video = f"-map 0:v {VP8} -g {gop} -pix_fmt yuv420p -f rtp -payload_type 97 {url}"
    audio = f"-map 1:a -c:a libopus -ac 2 -f rtp -payload_type 111 {url}"
    with tempfile.TemporaryDirectory() as folder:
        described = ["-sdp_file", str(Path(folder) / "source.sdp")]
        words = f"-loglevel error -re {VIDEO} -re {AUDIO} {video} {audio}".split()
        with running(FFMPEG, *words[:2], *described, *words[2:]):
            yield


OWN_ADDRESS = own_address()


@pytest.mark.skipif(firefox.ABSENT != "", reason=firefox.ABSENT)
@pytest.mark.skipif(OWN_ADDRESS == "", reason="the machine has no route, and so no address")
async def test_firefox_without_h264_watches_vp8(tmp_path: Path) -> None:
    async with gate(address=OWN_ADDRESS) as here, rtp_input(here.stream) as port:
        # A key picture every 20 s: the viewer's first one comes from the cache.
        with encoder(port, gop=600):
            await until(_filled(here.stream), within_s=30)
            async with firefox.firefox(tmp_path) as page:
                await page.open(here.url)
                assert await page.evaluate(WATCH) is False

                async def stats() -> dict[str, Any]:
                    return await page.evaluate(STATS)

                seen = await until(
                    stats, lambda now: shown(now) and now["heard"] >= 50, within_s=60
                )
                assert seen["width"] == 640


async def test_chromium_takes_vp8_where_the_stream_is_vp8() -> None:
    async with gate() as here, rtp_input(here.stream) as port:
        with encoder(port, gop=600):
            await until(_filled(here.stream), within_s=30)
            async with browser_page(here.url) as page:
                await page.evaluate(WATCH)
                seen = await until(lambda: page.evaluate(STATS), shown, within_s=60)
                assert seen["width"] == 640


async def test_who_knows_no_vp8_is_told_so() -> None:
    async with gate() as here, rtp_input(here.stream) as port:
        with encoder(port, gop=60):
            await until(_filled(here.stream), within_s=30)
            async with browser_page(here.url) as page:
                offer = await page.evaluate(
                    """async () => {
                      const pc = new RTCPeerConnection();
                      const video = pc.addTransceiver('video', {direction: 'recvonly'});
                      const known = RTCRtpReceiver.getCapabilities('video').codecs;
                      video.setCodecPreferences(known.filter(c => c.mimeType === 'video/H264'));
                      return (await pc.createOffer()).sdp;
                    }"""
                )
            async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
                answer = await http.post(f"{here.url}/whep", content=offer)
            assert answer.status_code == 400
            assert "H264" in answer.text


def _filled(stream: Any) -> Any:
    async def ask() -> bool:
        return bool(stream.video.gop.is_filled)

    return ask
