"""WHEP and WHIP with clients that others wrote: Chromium, aiortc, ffmpeg."""

import asyncio
import random
from typing import Any

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from support.webrtc_lab import (
    AUDIO,
    FFMPEG,
    H264,
    SMALL_VIDEO,
    VIDEO,
    browser_page,
    encoder,
    gate,
    relay,
    rtp_input,
    running,
    until,
)
from support.webrtc_wire import Collected
from umbel.media.rtp import packet as rtp
from umbel.media.rtp import rtcp
from umbel.media.rtp.rtcp import SenderReport
from umbel.media.webrtc.reports import PublishPhase

pytestmark = pytest.mark.lab

WATCH = """
async url => {
  const pc = window.watching = new RTCPeerConnection(), stream = new MediaStream();
  pc.ontrack = event => stream.addTrack(event.track);
  pc.addTransceiver('video', {direction: 'recvonly'});
  pc.addTransceiver('audio', {direction: 'recvonly'});
  await pc.setLocalDescription(await pc.createOffer());
  const post = {method: 'POST', body: pc.localDescription.sdp};
  const response = await fetch(url, post);
  if (response.status !== 201) throw new Error(await response.text());
  await pc.setRemoteDescription({type: 'answer', sdp: await response.text()});
  const video = document.getElementById('v');
  video.srcObject = stream;
  video.play();
  return response.headers.get('Location');
}
"""
PUBLISH = """
async ([url, codec]) => {
  const pc = window.publishing = new RTCPeerConnection();
  const ask = {video: {width: 640, height: 360}, audio: true};
  const media = await navigator.mediaDevices.getUserMedia(ask);
  for (const track of media.getTracks()) {
    const one = pc.addTransceiver(track, {direction: 'sendonly', streams: [media]});
    const known = RTCRtpSender.getCapabilities(track.kind).codecs;
    if (codec && track.kind === 'video')
      one.setCodecPreferences(known.filter(c => c.mimeType === 'video/' + codec));
  }
  await pc.setLocalDescription(await pc.createOffer());
  const post = {method: 'POST', body: pc.localDescription.sdp};
  const response = await fetch(url, post);
  if (response.status !== 201) throw new Error(await response.text());
  await pc.setRemoteDescription({type: 'answer', sdp: await response.text()});
  return response.headers.get('Location');
}
"""
STATS = """
async () => {
  const found = {};
  for (const one of (await window.watching.getStats()).values())
    if (one.type === 'inbound-rtp') found[one.kind] = one;
  return found;
}
"""


async def decoded(page: Any, frames: int) -> dict[str, dict[str, float]]:
    """The browser's numbers once it decoded so many pictures."""
    async with asyncio.timeout(90):
        while True:
            stats: dict[str, dict[str, float]] = await page.evaluate(STATS)
            if stats.get("video", {}).get("framesDecoded", 0) >= frames:
                return stats
            await asyncio.sleep(0.1)


async def skew_ms(page: Any) -> float:
    """How far sound and pictures are apart, once the browser's clocks have a sender report each."""
    async with asyncio.timeout(90):
        while True:
            stats: dict[str, dict[str, float]] = await page.evaluate(STATS)
            both = [one.get("estimatedPlayoutTimestamp") for one in stats.values()]
            if len(both) == 2 and all(both):
                return (
                    stats["video"]["estimatedPlayoutTimestamp"]
                    - (stats["audio"]["estimatedPlayoutTimestamp"])
                )
            await asyncio.sleep(0.1)


async def test_chromium_watches_pictures_and_sound() -> None:
    async with gate() as here, rtp_input(here.stream) as port:
        with encoder(port):
            await until(lambda: here.stream.video.gop.is_filled)
            async with browser_page(here.url) as page:
                resource = await page.evaluate(WATCH, f"{here.url}/whep")
                stats = await decoded(page, 120)
                assert stats["video"]["keyFramesDecoded"] >= 2
                assert stats["video"]["frameWidth"] == 640
                assert stats["video"]["packetsLost"] == 0
                assert stats["audio"]["totalSamplesReceived"] > 48_000
                assert abs(await skew_ms(page)) < 1000
                (numbers,) = here.port.stats()
                assert numbers.srtp_profile == "AEAD_AES_128_GCM"
                await until(lambda: here.port.stats()[0].round_trip_s is not None)
                await page.evaluate("url => fetch(url, {method: 'DELETE'})", here.url + resource)
                await until(lambda: here.ended == ["deleted"])


async def test_chromium_gets_lost_packets_again() -> None:
    async with gate() as here, rtp_input(here.stream) as port, relay(here.port.port) as network:
        here.relay = network
        with encoder(port):
            await until(lambda: here.stream.video.gop.is_filled)
            async with browser_page(here.url) as page:
                await page.evaluate(WATCH, f"{here.url}/whep")
                await decoded(page, 30)
                chance = random.Random(1)
                network.lose = lambda data: data[0] >= 128 and chance.random() < 0.05
                stats = await decoded(page, 300)
                assert stats["video"]["retransmittedPacketsReceived"] > 10
                (numbers,) = here.port.stats()
                assert numbers.packets_resent > 10


async def test_chromium_gets_the_cached_picture_when_packets_stay_lost() -> None:
    async with gate() as here, rtp_input(here.stream) as port, relay(here.port.port) as network:
        here.relay = network
        # A group of pictures without end: the cache holds more than a minute of it.
        async with browser_page(here.url) as page:
            with encoder(port, gop=3000, video_source=SMALL_VIDEO):
                await until(lambda: here.stream.video.gop.is_filled)
                await page.evaluate(WATCH, f"{here.url}/whep")
                before = await decoded(page, 60)
                network.lose = lambda data: data[0] >= 128
                sent = here.stream.video.packets
                await until(lambda: here.stream.video.packets > sent + 30)
                # The network is well again, but what it lost stays lost.
                media = {here.stream.video.ssrc, here.stream.audio.ssrc}
                network.lose = lambda data: (
                    data[0] >= 128
                    and not rtp.is_rtcp(data)
                    and int.from_bytes(data[8:12], "big") not in media
                )
                after = await decoded(page, int(before["video"]["framesDecoded"]) + 150)
                assert after["video"]["keyFramesDecoded"] > before["video"]["keyFramesDecoded"]
                (numbers,) = here.port.stats()
                assert numbers.replays >= 1


def kinds(sink: Collected) -> set[int]:
    """The payload types of what came."""
    return {rtp.payload_type(one) for one in sink.all if not rtp.is_rtcp(one)}


async def test_chromium_publishes_h264_and_watches_itself() -> None:
    async with gate() as here, browser_page(here.url) as page:
        resource = await page.evaluate(PUBLISH, [f"{here.url}/whip", ""])
        await until(lambda: here.stream.video.gop.is_filled)
        await until(lambda: here.stream.audio.packets > 0)
        await until(lambda: here.states[-1].phase is PublishPhase.FLOWING)
        assert (here.states[-1].video, here.states[-1].audio) == ("H264", "OPUS")
        await page.evaluate(WATCH, f"{here.url}/whep")
        stats = await decoded(page, 60)
        assert stats["audio"]["totalSamplesReceived"] > 0
        await until(lambda: here.stream.video.has_clock and here.stream.audio.has_clock)
        await page.evaluate("url => fetch(url, {method: 'DELETE'})", here.url + resource)
        await until(lambda: here.states[-1].phase is PublishPhase.ENDED)


async def test_chromium_publishes_vp8_where_it_offers_no_h264() -> None:
    sink = Collected()
    async with gate(sink) as here, browser_page(here.url) as page:
        await page.evaluate(PUBLISH, [f"{here.url}/whip", "VP8"])
        await until(lambda: len(sink.all) > 200 and len(kinds(sink)) > 1)
        assert kinds(sink) == {97, 111}
        assert here.states[-1].video == "VP8"


async def test_ffmpeg_publishes_by_whip() -> None:
    sink = Collected()
    async with gate(sink) as here:
        command = f"-loglevel error -re {VIDEO} -re {AUDIO} {H264} -g 60 -pix_fmt yuv420p"
        sound = "-c:a libopus -ac 2 -ar 48000"
        target = here.url.removeprefix("http://")
        words = f"{command} {sound} -f whip http://{target}/whip".split()
        with running(FFMPEG, *words):
            await until(lambda: len(sink.all) > 400 and len(kinds(sink)) > 1)
        assert kinds(sink) == {96, 111}
        reports = [one for p in sink.all if rtp.is_rtcp(p) for one in rtcp.parse(p)]
        assert all(isinstance(one, SenderReport) for one in reports)


async def drained(track: MediaStreamTrack, counts: dict[str, int]) -> None:
    """Decode a track until it ends."""
    try:
        while True:
            await track.recv()
            counts[track.kind] += 1
    except MediaStreamError:
        pass


async def test_aiortc_watches_and_its_leaving_is_noticed() -> None:
    counts = {"video": 0, "audio": 0}
    tasks = []
    async with gate() as here, rtp_input(here.stream) as port:
        with encoder(port):
            await until(lambda: here.stream.video.gop.is_filled)
            client = RTCPeerConnection()
            client.on("track", lambda t: tasks.append(asyncio.create_task(drained(t, counts))))
            client.addTransceiver("video", direction="recvonly")
            client.addTransceiver("audio", direction="recvonly")
            await client.setLocalDescription(await client.createOffer())
            answer = here.port.watch(
                client.localDescription.sdp, here.stream, session="s1", on_end=here.ended.append
            )
            description = RTCSessionDescription(sdp=answer.sdp, type="answer")
            await client.setRemoteDescription(description)
            await until(lambda: counts["video"] > 60 and counts["audio"] > 60)
            await client.close()
            await until(lambda: here.ended == ["the client left"])
            await asyncio.gather(*tasks)
            assert here.port.stats() == ()
