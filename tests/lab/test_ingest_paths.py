import asyncio
import itertools
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from av.video.frame import PictureType

from support.ingest_lab import (
    B_FRAMES,
    KEY,
    PICTURE,
    PLAIN_H264,
    RATE,
    TONE,
    Lab,
    clip,
    decode_audio,
    decode_video,
    encode,
    encoder,
    lab,
    live,
    nals,
    split,
)
from umbel.media.io.ingest_claims import Claim
from umbel.media.rtp import rtcp
from umbel.media.rtp.errors import UnsupportedCodec
from umbel.media.rtp.packet import RtpPacket, is_rtcp

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
SECONDS = 3
_SETS = {7, 8}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as it:
        yield it


async def nals_of(path: Path, to: Path) -> list[bytes]:
    await encode("-i", str(path), "-c:v", "copy", "-an", "-bsf:v", "h264_mp4toannexb", str(to))
    return split(await asyncio.to_thread(to.read_bytes))


async def until_described(here: Lab) -> None:
    """What comes in says a moment later what it is."""
    await here.until(lambda: here.desk.state("ev_lab").width > 0, "the size")
    await here.until(lambda: here.desk.state("ev_lab").audio != "", "the audio")


def check_platform(here: Lab) -> None:
    """What every stream inside the platform keeps to."""
    for payload_type in (96, 111):
        packets = here.sink.rtp(payload_type)
        for before, after in itertools.pairwise(packets):
            assert (after.sequence - before.sequence) & 0xFFFF == 1
        assert all(len(item.payload) <= 1200 for item in packets)
    units: list[list[bytes]] = [[]]
    stamps: dict[int, int] = {}
    for packet in here.sink.rtp(96):
        units[-1].append(packet.payload)
        assert stamps.setdefault(len(units), packet.timestamp) == packet.timestamp
        if packet.marker:
            units.append([])
    starts = [unit for unit in units if any(key_fragment(item) for item in unit)]
    assert starts
    for unit in starts:
        kinds = [item[0] & 0x1F for item in unit]
        assert set(kinds[: kinds.index(5) if 5 in kinds else kinds.index(28)]) >= _SETS
    frames = decode_video(nals(here.sink.rtp(96)))
    assert PictureType.B not in {PictureType(frame.pict_type) for frame in frames}


def check_reports(here: Lab) -> None:
    """Both media have sender reports, and each says what was sent until then (RFC 3550, 6.4.1)."""
    sent: Counter[int] = Counter()
    reported: Counter[int] = Counter()
    for data in here.sink.taken:
        if not is_rtcp(data):
            packet = RtpPacket.parse(data)
            assert reported[packet.ssrc], "media came before the first report"
            sent[packet.ssrc] += 1
        else:
            [report] = rtcp.parse(data)
            assert isinstance(report, rtcp.SenderReport)
            assert report.packets == sent[report.ssrc]
            reported[report.ssrc] += 1
    assert len(sent) == 2
    assert min(reported.values()) >= 2


def key_fragment(payload: bytes) -> bool:
    return (payload[0] & 0x1F) == 5 or (payload[0] & 0x1F == 28 and payload[1] & 0x9F == 0x85)


def key_times(here: Lab) -> list[float]:
    found = {item.timestamp: None for item in here.sink.rtp(96) if key_fragment(item.payload)}
    first = here.sink.rtp(96)[0].timestamp
    return [((stamp - first) & 0xFFFFFFFF) / 90_000 for stamp in found]


def clocks(here: Lab) -> dict[int, float]:
    """Wall time of each medium's first packet, by its last report."""
    out = {}
    for payload_type, rate in ((96, 90_000), (111, 48_000)):
        first = here.sink.rtp(payload_type)[0]
        report = [
            item for item in here.sink.reports() if item[4:8] == struct.pack("!I", first.ssrc)
        ]
        ntp, stamp = struct.unpack_from("!QI", report[-1], 8)
        back = (stamp - first.timestamp + 2**31 & 0xFFFFFFFF) - 2**31
        out[payload_type] = ntp / 2**32 - back / rate
    return out


async def test_rtmp_passes_h264_bit_by_bit(here: Lab) -> None:
    path = await clip(here.clips / "a.flv", *PLAIN_H264, "-c:a", "aac")
    url = f"{here.urls['rtmp']}/{KEY}"
    assert await encode("-re", "-i", str(path), "-c", "copy", "-f", "flv", url) == 0
    await here.until_stopped()
    sent = [nal for nal in await nals_of(path, here.clips / "a.264") if nal[0] & 0x1F not in _SETS]
    came = [nal for nal in nals(here.sink.rtp(96)) if nal[0] & 0x1F not in _SETS]
    assert came == sent
    assert len(decode_video(nals(here.sink.rtp(96)))) == SECONDS * RATE
    check_platform(here)
    assert abs(decode_audio(here.sink.rtp(111)) / 48_000 - SECONDS) < 0.1
    assert here.events[0] == "started"
    # The clip's video and audio begin together, within the Opus and AAC encoders' look-ahead.
    times = clocks(here)
    assert abs(times[96] - times[111]) < 0.08
    check_reports(here)


async def test_rtmp_with_b_frames_is_transcoded(here: Lab) -> None:
    url = f"{here.urls['rtmp']}/{KEY}"
    async with encoder(*live(*B_FRAMES, "-c:a", "aac"), "-f", "flv", url):
        await here.until(lambda: here.sink.frames() > 6 * RATE, "six seconds of video")
        await until_described(here)
        state = here.desk.state("ev_lab")
    assert state.transcoding == "video: B-frames (high profile); audio: AAC to Opus"
    assert (state.protocol, state.video, state.audio) == ("rtmp", "H.264", "AAC")
    assert (state.width, state.height) == (320, 240)
    await here.until_stopped()
    check_platform(here)
    times = key_times(here)
    assert len(times) >= 3
    assert max(b - a for a, b in itertools.pairwise(times)) <= 2.05
    clock = clocks(here)
    assert abs(clock[96] - clock[111]) < 0.2


async def test_srt_passes_h264(here: Lab) -> None:
    url = f"{here.urls['srt']}?streamid={KEY}"
    async with encoder(*live(*PLAIN_H264, "-c:a", "aac"), "-f", "mpegts", url):
        await here.until(lambda: here.sink.frames() > 2 * RATE, "video")
        await until_described(here)
        state = here.desk.state("ev_lab")
    assert (state.protocol, state.video, state.transcoding) == (
        "srt",
        "H.264",
        "audio: AAC to Opus",
    )
    await here.until_stopped()
    check_platform(here)
    assert decode_audio(here.sink.rtp(111)) > 48_000


@pytest.mark.parametrize("form", ["mpegts udp", "rtp_mpegts rtp"])
async def test_transport_stream_passes_bit_by_bit(here: Lab, form: str) -> None:
    muxer, scheme = form.split()
    path = await clip(here.clips / "a.ts", *PLAIN_H264, "-c:a", "mp2")
    query = "?pkt_size=1316"
    url = f"{scheme}://{here.urls['mpegts']}{query}"
    async with encoder("-re", "-i", str(path), "-c", "copy", "-f", muxer, url) as process:
        await here.until(lambda: here.sink.frames() >= SECONDS * RATE - 3, "nearly all frames")
        assert here.desk.state("ev_lab").transcoding == "audio: MPEG audio to Opus"
        await process.wait()
    await here.until_stopped()
    own = _SETS | {9}
    sent = [nal for nal in await nals_of(path, here.clips / "a.264") if nal[0] & 0x1F not in own]
    came = [nal for nal in nals(here.sink.rtp(96)) if nal[0] & 0x1F not in own]
    assert came == sent[: len(came)]
    assert len(came) >= len(sent) - 2
    check_platform(here)


FAST = ("-deadline", "realtime", "-cpu-used", "8", "-g", "25")
EXPERIMENTAL = ("-strict", "experimental")
RTP_CASES = {
    "h264 opus": ("H264/90000", PLAIN_H264, "opus/48000/2", ("-c:a", "libopus"), "", ""),
    "vp8 pcmu": (
        "VP8/90000",
        ("-c:v", "libvpx", *FAST),
        "PCMU/8000",
        ("-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"),
        "VP8 to H.264",
        "PCMU to Opus",
    ),
    "vp9 aac": (
        "VP9/90000",
        ("-c:v", "libvpx-vp9", *FAST, *EXPERIMENTAL),
        "MPEG4-GENERIC/48000/1",
        ("-c:a", "aac", "-ac", "1"),
        "VP9 to H.264",
        "AAC to Opus",
    ),
    "av1 opus": (
        "AV1/90000",
        ("-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "25", *EXPERIMENTAL),
        "opus/48000/2",
        ("-c:a", "libopus"),
        "AV1 to H.264",
        "",
    ),
    "hevc pcma": (
        "H265/90000",
        ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=0:keyint=25"),
        "PCMA/8000",
        ("-c:a", "pcm_alaw", "-ar", "8000", "-ac", "1"),
        "HEVC to H.264",
        "PCMA to Opus",
    ),
}
AAC_FORMAT = (
    "a=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;"
    "config=118856E500\r\n"
)


def describe(video: str, audio: str) -> str:
    extra = AAC_FORMAT if "MPEG4" in audio else ""
    return (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=video 9 RTP/AVP 96\r\na=rtpmap:96 {video}\r\n"
        f"m=audio 9 RTP/AVP 97\r\na=rtpmap:97 {audio}\r\n{extra}"
    )


@pytest.mark.parametrize("case", RTP_CASES)
async def test_described_rtp(here: Lab, case: str) -> None:
    video, video_codec, audio, audio_codec, *reasons = RTP_CASES[case]
    answer = await here.desk.describe_rtp("ev_lab", describe(video, audio))
    port = here.urls["rtp"].split(":")[1]
    assert f"m=video {port} RTP/AVP 96" in answer
    assert f"m=audio {port} RTP/AVP 97" in answer
    url = f"rtp://{here.urls['rtp']}?rtcpport={port}&pkt_size=1200"
    arguments = (
        *("-re", *PICTURE, "-re", *TONE),
        *("-map", "0:v", *video_codec, "-f", "rtp", url),
        *("-map", "1:a", *audio_codec, "-payload_type", "97", "-f", "rtp", url),
    )
    async with encoder(*arguments):
        await here.until(lambda: here.sink.frames() > 2 * RATE, "video")
        await here.until(lambda: len(here.sink.rtp(111)) > 60, "audio")
        await until_described(here)
        state = here.desk.state("ev_lab")
    texts = [f"{m}: {why}" for m, why in zip(("video", "audio"), reasons, strict=True) if why]
    assert state.transcoding == "; ".join(texts)
    assert state.protocol == "rtp"
    assert (state.width, state.height) == (320, 240)
    await here.until_stopped()
    check_platform(here)
    assert len(decode_video(nals(here.sink.rtp(96)))) > 2 * RATE - 10
    clock = clocks(here)
    assert abs(clock[96] - clock[111]) < 1.5


async def test_unsupported_rtp_is_refused_at_its_description(here: Lab) -> None:
    with pytest.raises(UnsupportedCodec, match="H263-1998"):
        await here.desk.describe_rtp("ev_lab", describe("H263-1998/90000", "opus/48000/2"))


async def test_hevc_over_enhanced_rtmp_is_transcoded(here: Lab) -> None:
    codec = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=0:keyint=25")
    url = f"{here.urls['rtmp']}/{KEY}"
    async with encoder(*live(*codec, "-c:a", "aac"), "-f", "flv", url):
        await here.until(lambda: here.sink.frames() > 2 * RATE, "video")
        await until_described(here)
        state = here.desk.state("ev_lab")
    assert state.video == "HEVC"
    assert state.transcoding == "video: HEVC to H.264; audio: AAC to Opus"
    await here.until_stopped()
    check_platform(here)


async def test_only_video(here: Lab) -> None:
    url = f"{here.urls['rtmp']}/{KEY}"
    async with encoder(*live(*PLAIN_H264, audio=False), "-f", "flv", url):
        await here.until(lambda: here.sink.frames() > 2 * RATE, "video")
        state = here.desk.state("ev_lab")
    assert (state.audio, state.transcoding) == ("", "")
    assert not here.sink.rtp(111)


async def test_only_audio(here: Lab) -> None:
    url = f"{here.urls['rtmp']}/{KEY}"
    async with encoder("-re", *TONE, "-c:a", "aac", "-f", "flv", url):
        await here.until(lambda: len(here.sink.rtp(111)) > 100, "audio")
        state = here.desk.state("ev_lab")
    assert (state.video, state.audio) == ("", "AAC")
    assert not here.sink.rtp(96)
    assert decode_audio(here.sink.rtp(111)) > 90_000


async def test_unsupported_codec_is_refused_by_name(here: Lab) -> None:
    url = f"{here.urls['rtmp']}/{KEY}"
    async with encoder(*live("-c:v", "flv", "-c:a", "aac"), "-f", "flv", url) as process:
        await here.until(lambda: "stopped" in here.events, "the end of it")
        state = here.desk.state("ev_lab")
        await here.until(lambda: process.returncode is not None, "the encoder is disconnected")
    assert state.error == "umbel.unsupported_codec: Sorenson H.263 is not supported"
    assert state.protocol == ""
    assert "refused" in here.events
    assert not here.sink.rtp(96)


async def test_unsupported_codec_in_a_transport_stream_is_refused_once(here: Lab) -> None:
    url = f"udp://{here.urls['mpegts']}?pkt_size=1316"
    codec = ("-c:v", "vc2", "-strict", "experimental")
    assert await encode(*live(*codec, seconds=5, audio=False), "-f", "mpegts", url) == 0
    await here.until(lambda: "stopped" in here.events, "the end of it")
    assert here.desk.state("ev_lab").error == "umbel.unsupported_codec: dirac is not supported"
    assert here.events == ["started", "refused", "stopped"]


@pytest.mark.parametrize("codec", ["VP8", "VP9"])
async def test_whip_publisher_without_h264(here: Lab, codec: str) -> None:
    """The packets of a WHIP publisher as its transport would give them."""
    claim = here.desk.claim("ev_lab", "whip", key=KEY)
    assert isinstance(claim, Claim)
    place = await here.desk.transcode("ev_lab", codec, here.sink)
    name = {"VP8": "libvpx", "VP9": "libvpx-vp9"}[codec]
    payload_type = {"VP8": 97, "VP9": 98}[codec]
    source = await receive()
    url = f"rtp://127.0.61.1:{source.port}?rtcpport={source.port}&pkt_size=1200"
    types = ("-payload_type", str(payload_type))
    arguments = (*live("-c:v", name, *FAST, *EXPERIMENTAL, audio=False), *types, "-f", "rtp", url)
    source.to = lambda data: place.packets([data], 0.0)
    async with encoder(*arguments):
        await here.until(lambda: here.sink.frames() > 2 * RATE, "video")
        state = here.desk.state("ev_lab")
    source.transport.close()
    assert state.protocol == "whip"
    assert state.transcoding == f"video: {codec} to H.264"
    claim.release()
    await here.until_stopped()
    check_platform(here)


class Receiver(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.to: Callable[[bytes], None] = lambda data: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.to(data)

    def connection_lost(self, exc: object) -> None:
        pass


async def receive() -> Receiver:
    loop = asyncio.get_running_loop()
    _, receiver = await loop.create_datagram_endpoint(Receiver, ("127.0.61.1", 0))
    return receiver
