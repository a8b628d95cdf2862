"""Offers and answers: what is taken, what is refused, and how errors are named."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.webrtc_client import (
    AUDIO_LINES,
    H264_TYPE,
    OPUS_TYPE,
    RTX_TYPE,
    VIDEO_LINES,
    VP8_LINES,
    Client,
    without_rtx,
)
from support.webrtc_wire import CLIENT, SERVER, answer_of
from umbel.kit.errors import Invalid
from umbel.media.rtp.errors import MalformedSdp, UnsupportedCodec
from umbel.media.rtp.stream import LiveStream
from umbel.media.webrtc import negotiate, sdp
from umbel.media.webrtc.negotiate import UnsupportedOffer
from umbel.media.webrtc.sdp import PayloadFormat
from umbel.media.webrtc.viewer import Viewer

OFFER = Client(CLIENT).offer()


def answered(offer: str, profile: str | None = None) -> sdp.Offer:
    plan = negotiate.for_viewer(sdp.parse_offer(offer), profile)
    viewer = Viewer(plan, LiveStream(), SERVER, 0.0)
    return sdp.parse_offer(answer_of(viewer, plan))


def h264(payload_type: int, profile: str, mode: int = 1) -> PayloadFormat:
    text = f"packetization-mode={mode};profile-level-id={profile}"
    return PayloadFormat(payload_type=payload_type, name="H264", clock_hz=90_000, parameters=text)


def test_answer_takes_the_offers_payload_types() -> None:
    video, audio = answered(OFFER).sections
    assert video.formats == (str(H264_TYPE), str(RTX_TYPE))
    assert audio.formats == (str(OPUS_TYPE),)
    assert (video.direction, audio.direction) == ("sendonly", "sendonly")
    assert video.codecs[0].parameter("profile-level-id", "") == "42e01f"
    assert video.codecs[0].feedback == ("nack", "nack pli", "ccm fir")
    assert video.codecs[1].parameters == f"apt={H264_TYPE}"
    assert video.setup == audio.setup == "passive"
    assert answered(OFFER).bundle == ("video", "audio")


def test_a_passive_client_gets_an_active_server() -> None:
    assert answered(Client(CLIENT, setup="passive").offer()).sections[0].setup == "active"


def test_sections_that_cannot_flow_are_refused_or_inactive() -> None:
    offer = OFFER.replace("a=group:BUNDLE video audio", "a=group:BUNDLE video audio data")
    offer += "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:data\r\n"
    offer = offer.replace("opus", "G722")
    video, audio, data = answered(offer).sections
    assert (video.port, audio.port, data.port) == (4000, 0, 0)
    assert answered(offer).bundle == ("video",)
    one_way = OFFER.replace("a=mid:audio\r\na=recvonly", "a=mid:audio\r\na=inactive")
    assert answered(one_way).sections[1].direction == "inactive"
    assert answered(one_way).sections[1].port == 4000


def test_an_offer_of_one_medium_is_answered_with_one() -> None:
    assert [one.kind for one in answered(Client(CLIENT, audio=()).offer()).sections] == ["video"]
    assert [one.kind for one in answered(Client(CLIENT, video=()).offer()).sections] == ["audio"]


def test_without_retransmission_types_none_is_answered() -> None:
    video = answered(Client(CLIENT, video=without_rtx()).offer()).sections[0]
    assert video.formats == (str(H264_TYPE),)


@pytest.mark.parametrize(
    "change",
    [
        ("H264", "H265"),
        ("packetization-mode=1", "packetization-mode=0"),
        ("a=recvonly", "a=inactive"),
    ],
)
def test_an_offer_without_a_usable_codec_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(UnsupportedCodec) as caught:
        answered(OFFER.replace(*change))
    assert caught.value.code == "umbel.unsupported_codec"


@pytest.mark.parametrize("missing", ["a=rtcp-mux", "a=group", "a=ice-ufrag", "a=fingerprint"])
def test_an_offer_without_its_transport_is_refused(missing: str) -> None:
    offer = "\r\n".join(line for line in OFFER.split("\r\n") if not line.startswith(missing))
    with pytest.raises(UnsupportedOffer):
        answered(offer)


def test_the_decoder_nearest_to_the_stream_is_taken() -> None:
    offered = (
        h264(1, "42001f"),
        h264(2, "42e01f", mode=0),
        h264(3, "4d001f"),
        h264(4, "42e01f"),
        h264(5, "640c1f"),
    )
    choose = {None: 4, "42c01f": 4, "4d401f": 3, "640028": 5, "42001f": 1, "f4001f": 5}
    for profile, payload_type in choose.items():
        chosen = negotiate.choose_h264(offered, profile)
        assert chosen is not None
        assert chosen.payload_type == payload_type, profile
    only_baseline = negotiate.choose_h264(offered[3:4], "640028")
    assert only_baseline is not None
    assert negotiate.choose_h264(offered[1:2], None) is None


def test_publishers_give_h264_when_they_can() -> None:
    both = Client(CLIENT, direction="sendonly", video=(*VP8_LINES, *VIDEO_LINES)).offer()
    plan = negotiate.for_publisher(sdp.parse_offer(both))
    assert [one.platform_type for one in plan.media if one] == [96, 111]
    only_vp8 = Client(CLIENT, direction="sendonly", video=VP8_LINES).offer()
    plan = negotiate.for_publisher(sdp.parse_offer(only_vp8))
    assert [one.platform_type for one in plan.media if one] == [97, 111]
    mode_0 = both.replace("packetization-mode=1", "packetization-mode=0")
    plan = negotiate.for_publisher(sdp.parse_offer(mode_0))
    assert [one.platform_type for one in plan.media if one] == [96, 111]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("v=0", "v=1"), 1),
        (("s=-", "hello"), 3),
        (("m=video 9", "m=video nine"), 6),
        (("m=video 9", "m=video 99999"), 6),
        (("a=rtpmap:102 H264/90000", "a=rtpmap:102 H264"), 15),
        (("a=setup:actpass", "a=setup:maybe"), 14),
        (("sha-256 ", "sha-256 ZZ:"), 13),
    ],
)
def test_errors_name_the_line(change: tuple[str, str], line: int) -> None:
    with pytest.raises(MalformedSdp) as caught:
        sdp.parse_offer(OFFER.replace(*change))
    assert caught.value.code == "umbel.malformed_sdp"
    assert caught.value.details["line"] == line
    shown = str(caught.value.details["text"])
    assert shown == OFFER.replace(*change).split("\r\n")[line - 1]


@pytest.mark.parametrize("text", ["", "v=0", "v=0\r\no=x\r\n", "\n\n"])
def test_too_little_is_malformed(text: str) -> None:
    with pytest.raises(MalformedSdp):
        sdp.parse_offer(text)


def test_a_fragment_is_read() -> None:
    fragment = sdp.parse_fragment(
        "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
        "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
        "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0\r\n"
        "a=end-of-candidates\r\n"
    )
    assert fragment.ufrag == "EsAw"
    assert len(fragment.candidates) == 1
    assert (fragment.mid, fragment.ended) == ("0", True)
    with pytest.raises(MalformedSdp):
        sdp.parse_fragment("a=candidate:no\r\n")


@given(st.text(max_size=300))
def test_any_text_is_an_offer_or_malformed(text: str) -> None:
    with suppress(MalformedSdp):
        assert len(sdp.parse_offer(text).sections) <= text.count("m=")
    with suppress(MalformedSdp):
        assert len(sdp.parse_fragment(text).candidates) <= text.count("candidate")


LINES = [*OFFER.split("\r\n"), *AUDIO_LINES]


@given(st.data())
def test_damaged_offers_are_answered_or_refused(data: st.DataObject) -> None:
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        cut = data.draw(st.integers(0, len(lines[at])))
        lines[at] = lines[at][:cut] + data.draw(st.text(max_size=8)) + lines[at][cut + 1 :]
        if data.draw(st.booleans()):
            lines.insert(data.draw(st.integers(0, len(lines))), data.draw(st.sampled_from(LINES)))
    text = "\r\n".join(lines)
    try:
        answer = answered(text)
        negotiate.for_publisher(sdp.parse_offer(text))
    except Invalid:
        return
    offered = sdp.parse_offer(text).sections
    assert [section.mid for section in answer.sections] == [section.mid for section in offered]
    for mine, theirs in zip(answer.sections, offered, strict=True):
        assert (mine.kind, set(mine.formats) <= set(theirs.formats)) == (theirs.kind, True)
