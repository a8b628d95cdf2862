import itertools
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.ingest_lab import nals as unpacked
from umbel.kit.keys import digest
from umbel.media.ingest import codecs, keys, packer, rates, sdp, sources
from umbel.media.ingest.aligner import Aligner
from umbel.media.ingest.packer import AudioPacker, VideoPacker
from umbel.media.ingest.reports import SenderReports, SourceClock
from umbel.media.ingest.sender_lock import SenderBan, SenderLock
from umbel.media.ingest.timeline import EncoderTimeline, Unwrapped
from umbel.media.rtp.errors import BadSource, MalformedSdp, UnsupportedCodec
from umbel.media.rtp.packet import RtpPacket

MS = 1_000_000
SECOND = 1000 * MS


@given(st.lists(st.binary(min_size=1, max_size=5000), min_size=1, max_size=5))
def test_pictures_survive_packing(bodies: list[bytes]) -> None:
    sent = [b"\x65" + body for body in bodies]
    packets = VideoPacker(ssrc=5, offset=90).packets(sent, SECOND)
    read = [RtpPacket.parse(packet) for packet in packets]
    assert unpacked(read) == sent
    assert [item.marker for item in read] == [False] * (len(read) - 1) + [True]
    assert {(item.payload_type, item.ssrc, item.timestamp) for item in read} == {(96, 5, 90_090)}
    assert max(len(item.payload) for item in read) <= 1200


def test_delimiters_and_filler_are_left_out() -> None:
    packets = VideoPacker(ssrc=1, offset=0).packets([b"\x09\xf0", b"\x65x", b"\x0c\xff\x80"], 0)
    assert [RtpPacket.parse(item).payload for item in packets] == [b"\x65x"]


def test_opus_stamps_are_steady_and_follow_gaps() -> None:
    pack = AudioPacker(ssrc=1, offset=0)
    frame = bytes((0x7C,)) + b"x"  # 20 ms
    times_ms = [0, 20, 41, 60, 81, 500, 520]
    packets = [RtpPacket.parse(pack.packets(frame, at * MS)[0]) for at in times_ms]
    assert [item.timestamp for item in packets] == [0, 960, 1920, 2880, 3840, 24_000, 24_960]
    assert [item.marker for item in packets] == [True] + 6 * [False]


@pytest.mark.parametrize(
    ("frame", "samples"),
    [
        (b"\x7c", 960),
        (b"\x08", 960),
        (b"\x18", 2880),
        (b"\x60", 480),
        (b"\x80", 120),
        (b"\x7d", 1920),
        (b"\x7f\x03", 2880),
        (b"\x7f", 0),
        (b"", 0),
    ],
)
def test_opus_durations(frame: bytes, samples: int) -> None:
    assert packer.opus_samples(frame) == samples


@given(st.binary(max_size=10))
def test_any_opus_frame_has_a_duration(frame: bytes) -> None:
    assert packer.opus_samples(frame) >= 0


def test_timeline_keeps_both_media_together_over_a_jump() -> None:
    line = EncoderTimeline()
    placed = []
    for base, now in ((5000, 0.0), (0, 2.0)):
        for step in range(0, 2000, 40):
            at = (base + step) * MS
            for medium, early in (("video", 0), ("audio", 15 * MS)):
                shift = line.shift_ns(medium, at - early, now + step / 1000)
                placed.append((medium, at - early + shift))
    video = [at for medium, at in placed if medium == "video"]
    audio = [at for medium, at in placed if medium == "audio"]
    steps = [b - a for a, b in itertools.pairwise(video)]
    assert set(steps) <= {40 * MS, 25 * MS}
    assert min(audio) >= 0
    assert {a - b for a, b in zip(video, audio, strict=True)} == {15 * MS}


def test_timeline_keeps_pauses_and_bursts() -> None:
    line = EncoderTimeline()
    first = line.shift_ns("video", 0, 0.0)
    assert line.shift_ns("video", 20 * SECOND, 20.0) == first
    assert line.shift_ns("video", 20 * SECOND + 40 * MS, 29.0) == first
    assert line.shift_ns("video", 21 * SECOND, 29.0) == first
    assert line.shift_ns("video", 40 * SECOND, 29.1) != first


@given(st.lists(st.integers(-(2**30), 2**30), max_size=30), st.integers(0, 2**33))
def test_unwrapped_follows_any_steps(steps: list[int], start: int) -> None:
    counter = Unwrapped(32)
    value = start
    zero = counter.unwrap(value % 2**32) - value
    for step in steps:
        value += step
        assert counter.unwrap(value % 2**32) - value == zero


def packet(ssrc: int, stamp: int, payload_type: int = 96, size: int = 100) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type, 0, stamp & 0xFFFFFFFF, ssrc) + bytes(size)


def read_report(data: bytes) -> tuple[int, float, int, int, int]:
    assert (data[0], data[1], len(data)) == (0x80, 200, 28)
    _, ssrc, ntp, stamp, packets, octets = struct.unpack("!IIQIII", data)
    return ssrc, ntp / 2**32 - 2_208_988_800, stamp, packets, octets


def test_reports_tie_both_clocks_to_the_wall() -> None:
    video = SourceClock(ssrc=1, clock_hz=90_000, offset=0xFFFFFF00)
    audio = SourceClock(ssrc=2, clock_hz=48_000, offset=77)
    reports = SenderReports((video, audio))
    wall = 1_700_000_000.0
    out = []
    for step in range(0, 5000, 20):
        media_s, now = 10 + step / 1000, wall + step / 1000
        batch = [
            packet(1, video.offset + round(media_s * 90_000)),
            packet(2, audio.offset + round(media_s * 48_000), 111),
        ]
        out += reports.interleave(batch, now)
    assert [out[0][1], out[1][1] & 0x7F] == [200, 96]
    assert [out[2][1], out[3][1] & 0x7F] == [200, 111]
    found = [read_report(item) for item in out if item[1] == 200]
    assert 2 * 5 <= len(found) <= 2 * 6
    for ssrc, at, stamp, _, _ in found:
        medium = video if ssrc == 1 else audio
        media_s = ((stamp - medium.offset) & 0xFFFFFFFF) / medium.clock_hz
        assert media_s - (at - wall) == pytest.approx(10, abs=0.001)
    packets = {ssrc: count for ssrc, _, _, count, _ in found}
    assert packets[1] > 200
    assert found[-1][4] == found[-1][3] * 100


def test_reports_take_the_earliest_packet_for_the_true_time() -> None:
    reports = SenderReports((SourceClock(ssrc=1, clock_hz=90_000, offset=0),))
    late = reports.interleave([packet(1, 0)], 100.0)
    reports.interleave([packet(1, 90_000 // 2)], 100.0)
    last = reports.interleave([packet(1, 90_000 + 45_000)], 101.0)
    assert read_report(late[0])[2] == 0
    assert read_report(last[-1])[2] == 90_000 + 45_000


def test_foreign_packets_are_left_out() -> None:
    reports = SenderReports((SourceClock(ssrc=1, clock_hz=90_000, offset=0),))
    assert reports.interleave([packet(9, 0)], 1.0) == []


SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=x
c=IN IP4 127.0.0.1
t=0 0
m=video 5004 RTP/AVP 96
b=AS:200
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z2QA,aM4=; profile-level-id=64000D
m=audio 5006 RTP/AVP 0
"""


def test_sdp_is_read_and_answered() -> None:
    video, audio = sdp.parse(SDP.replace("\n", "\r\n"))
    assert (video.codec, video.payload_type, video.clock_hz) == ("H.264", 96, 90_000)
    assert video.parameters["sprop-parameter-sets"] == "Z2QA,aM4="
    assert (audio.codec, audio.payload_type, audio.clock_hz) == ("PCMU", 0, 8000)
    text = sdp.answer((video, audio), "127.0.1.1", 9000)
    assert "m=video 9000 RTP/AVP 96\r\n" in text
    assert "c=IN IP4 127.0.1.1\r\n" in text
    assert sdp.parse(text) == (video, audio)


@pytest.mark.parametrize(
    ("change", "line", "text"),
    [
        (("v=0", "v=1"), 1, "v=1"),
        (("s=x", "nonsense"), 3, "nonsense"),
        (("m=video 5004", "m=video 99999"), 6, "m=video 99999 RTP/AVP 96"),
        (("RTP/AVP 96", "RTP/SAVP 96"), 6, "m=video 5004 RTP/SAVP 96"),
        (("RTP/AVP 96", "RTP/AVP"), 6, "m=video 5004 RTP/AVP"),
        (("a=rtpmap:96 H264/90000", "a=rtpmap:96"), 8, "a=rtpmap:96"),
        (("a=rtpmap:96 H264/90000", "a=x"), 6, "m=video 5004 RTP/AVP 96"),
        (("AVP 0", "AVP 96\na=rtpmap:96 opus/48000/2"), 10, "m=audio 5006 RTP/AVP 96"),
    ],
)
def test_malformed_sdp_names_the_line(change: tuple[str, str], line: int, text: str) -> None:
    with pytest.raises(MalformedSdp) as caught:
        sdp.parse(SDP.replace(*change))
    assert caught.value.details == {"line": line, "text": text}
    assert caught.value.http_status == 400


def test_sdp_without_media_or_anything() -> None:
    for text in ("", "v=0\n", "v=0\ns=x\n"):
        with pytest.raises(MalformedSdp):
            sdp.parse(text)


def test_sdp_with_an_unknown_codec_names_it() -> None:
    with pytest.raises(UnsupportedCodec, match="theora") as caught:
        sdp.parse(SDP.replace("H264", "theora"))
    assert caught.value.details == {"codec": "theora"}


def test_sdp_takes_the_first_format_it_can() -> None:
    offer = "m=video 5004 RTP/AVP 98 96\na=rtpmap:98 theora/90000"
    [video, _] = sdp.parse(SDP.replace("m=video 5004 RTP/AVP 96", offer))
    assert video.payload_type == 96


@given(st.text(max_size=300))
def test_sdp_raises_only_its_own(text: str) -> None:
    for whole in (text, f"v=0\n{text}", f"{SDP}a=rtpmap:{text}\na=fmtp:0 {text}\nm={text}"):
        with suppress(MalformedSdp, UnsupportedCodec):
            assert_sound(sdp.parse(whole))


@given(st.integers(0, len(SDP) - 1), st.characters(), st.integers(0, 3))
def test_mutated_sdp_raises_only_its_own(at: int, noise: str, drop: int) -> None:
    with suppress(MalformedSdp, UnsupportedCodec):
        assert_sound(sdp.parse(SDP[:at] + noise + SDP[at + drop :]))


def assert_sound(formats: tuple[sdp.RtpFormat, ...]) -> None:
    """One of each medium at most, told apart by payload type, and as the answer says them."""
    assert len({one.medium for one in formats}) == len(formats) <= 2
    assert all(0 <= one.payload_type < 128 and one.clock_hz > 0 for one in formats)
    answered = sdp.parse(sdp.answer(formats, "192.0.2.1", 5004))
    assert [(one.medium, one.payload_type, one.codec) for one in answered] == [
        (one.medium, one.payload_type, one.codec) for one in formats
    ]


def test_latch_holds_the_first_sender_of_each_lane() -> None:
    latch = SenderLock()
    assert latch.silent(0.0)
    assert not latch.admits(("10.0.0.1", 5), -1, 0.0)
    assert latch.admits(("10.0.0.1", 5), 96, 0.0)
    assert latch.admits(("10.0.0.1", 7), 97, 0.1)
    assert latch.admits(("10.0.0.1", 9), -1, 0.1)
    assert not latch.admits(("10.0.0.1", 8), 96, 0.2)
    assert not latch.admits(("10.0.0.2", 5), 98, 0.2)
    assert not latch.silent(3.0)
    assert latch.silent(3.2)
    assert latch.admits(("10.0.0.2", 5), 96, 3.3)
    assert not latch.admits(("10.0.0.1", 5), 96, 3.4)
    latch.release()
    assert latch.silent(3.4)


def test_the_last_sender_may_come_back_before_another_takes_its_place() -> None:
    lock = SenderLock()
    assert not lock.is_reserved("10.0.0.2", 0.0)
    lock.admits(("10.0.0.1", 5), 96, 0.0)
    lock.release()
    assert lock.is_reserved("10.0.0.2", 10.0)
    assert not lock.is_reserved("10.0.0.1", 10.0)
    assert not lock.is_reserved("10.0.0.2", 10.1)
    lock.admits(("10.0.0.1", 5), 96, 20.0)
    lock.forget()
    assert not lock.is_reserved("10.0.0.2", 20.0)


def test_sources_are_addresses_and_prefixes() -> None:
    named = sources.parse(["192.0.2.7", "2001:db8::/32", "198.51.100.0/24", "192.0.2.7/32"])
    assert len(named) == 3
    inside = ("192.0.2.7", "198.51.100.200", "2001:db8::9")
    assert all(sources.includes(named, host) for host in inside)
    assert not any(sources.includes(named, host) for host in ("192.0.2.8", "2001:db9::1"))
    assert sources.includes((), "192.0.2.8")
    for wrong in (["a host"], ["192.0.2.7/24"], [f"10.0.0.{n}" for n in range(65)]):
        with pytest.raises(BadSource):
            sources.parse(wrong)


def test_reports_alone_do_not_keep_a_latch() -> None:
    latch = SenderLock()
    latch.admits(("10.0.0.1", 5), 96, 0.0)
    latch.admits(("10.0.0.1", 6), -1, 2.9)
    assert latch.silent(3.1)


def test_bar_keeps_a_refused_sender_out_until_it_pauses() -> None:
    bar = SenderBan()
    assert not bar.holds("10.0.0.1", 0.0)
    bar.put("10.0.0.1", 0.0)
    assert bar.holds("10.0.0.1", 2.0)
    assert not bar.holds("10.0.0.2", 2.0)
    assert bar.holds("10.0.0.1", 4.9)
    assert not bar.holds("10.0.0.1", 8.0)
    bar.put("10.0.0.1", 10.0)
    assert all(bar.holds("10.0.0.1", 10.0 + at) for at in range(60))
    assert not bar.holds("10.0.0.1", 70.0)


def test_keys() -> None:
    hashes = [digest("ev_1.a"), digest("ev_1.b")]
    assert keys.known("ev_1.b", hashes)
    assert not keys.known("ev_1.c", hashes)
    assert not keys.known("ev_1.c", [])
    assert keys.stream_of("ev_1.c") == "ev_1"
    assert keys.from_srt("ev_1.c") == "ev_1.c"
    assert keys.from_srt("#!::m=publish,r=ev_1.c") == "ev_1.c"
    assert keys.from_srt("#!::m=publish") == ""


@given(st.text())
def test_any_text_is_a_wrong_key(text: str) -> None:
    assert not keys.known(keys.from_srt(text), [digest("ev_1.a")])


def test_bitrate_follows_the_input_within_limits() -> None:
    meter = rates.BitrateMeter("H.264")

    def after(seconds: int, kbps: int, start: int) -> int:
        for step in range(seconds * 25):
            meter.count(kbps * 1000 // 8 // 25, (start + step) * 40 * MS)
        return meter.kbps

    assert after(1, 3_000, 0) == 2_500
    assert after(6, 4_000, 25) == pytest.approx(4_000, rel=0.16)
    assert 5_000 < after(6, 50_000, 175) <= 6_000
    assert 1_000 <= after(6, 10, 325) < 1_200


def test_preset() -> None:
    assert rates.preset(1280, 720) == "veryfast"
    assert rates.preset(1920, 1080) == "ultrafast"


def report(ssrc: int, ntp_s: float, stamp: int) -> bytes:
    return struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, round(ntp_s * 2**32), stamp, 0, 0)


def test_aligner_moves_audio_to_where_the_reports_put_it() -> None:
    aligner = Aligner({"video": 90_000, "audio": 48_000})
    aligner.packet("video", packet(1, 9_000), 50.0)
    aligner.packet("audio", packet(2, 4_800), 50.3)
    assert aligner.audio_shift_s == 0
    aligner.report(report(1, 1000.0, 9_000 + 90_000))
    aligner.report(report(2, 1000.1, 4_800 + 48_000))
    # Sent 0.1 s after the video began, arrived 0.3 s after: 0.2 s too late.
    assert aligner.audio_shift_s == pytest.approx(-0.2, abs=0.001)


@given(st.binary(max_size=60))
def test_aligner_takes_any_report(data: bytes) -> None:
    aligner = Aligner({"video": 90_000})
    aligner.packet("video", packet(1, 0), 0.0)
    aligner.report(data)
    assert aligner.audio_shift_s == 0


def test_codecs_by_every_name() -> None:
    assert codecs.on_pad("video/mpeg", {"mpegversion": 2}) == codecs.named("MPEG-2")
    assert codecs.on_pad("audio/mpeg", {"mpegversion": 4}) == codecs.named("AAC")
    assert codecs.on_pad("private/teletext", {}) is None
    assert codecs.in_flv("MP3") == codecs.named("MPEG audio")
    assert codecs.in_sdp("h264", "video") == codecs.named("H.264")
    assert codecs.in_sdp("opus", "video") is None
    with pytest.raises(UnsupportedCodec, match=r"jpc"):
        codecs.on_pad("image/x-jpc", {}) or codecs.on_pad("video/x-jpc", {})
    with pytest.raises(UnsupportedCodec, match="Speex"):
        codecs.in_flv("Speex")
    with pytest.raises(UnsupportedCodec, match="VP6"):
        codecs.named("VP6")
