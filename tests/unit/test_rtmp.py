"""A publisher's RTMP session: no sockets, steady time as an argument."""

import itertools
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.rtmp import CONNECT, ECHO, HELLO, command, media, publish
from umbel.kit.errors import Invalid
from umbel.media.ingest import flv
from umbel.media.ingest.chunks import MalformedRtmp
from umbel.media.ingest.flv import Tag
from umbel.media.ingest.rtmp import Event, PublishEnded, PublishRequested, RtmpSession

TAG = Tag(kind=flv.VIDEO, timestamp_ms=40, payload=b"\x17" + bytes(400))
TALK = HELLO + ECHO + CONNECT + publish("ev1.secret?x=1") + media(9, 40, TAG.payload)
LEAVE = command("FCUnpublish", 6.0, None, "ev1")


def talked(session: RtmpSession, data: bytes, now_s: float = 0.0) -> list[Event]:
    """What happened, with every key accepted."""
    events = []
    for event in session.feed(data, now_s):
        events.append(event)
        if isinstance(event, PublishRequested):
            session.accept(now_s)
    return events


@given(st.lists(st.integers(1, len(TALK)), max_size=8))
def test_a_publisher_is_heard_however_its_bytes_are_cut(cuts: list[int]) -> None:
    session, events, places = RtmpSession(0.0), [], [0, *sorted(cuts), len(TALK)]
    for begin, end in itertools.pairwise(places):
        events += talked(session, TALK[begin:end])
    assert events == [PublishRequested(key="ev1.secret"), TAG]
    sent = session.bytes_to_send()
    assert sent[0] == 3
    assert sent[1 + 1536 : 1 + 2 * 1536] == HELLO[1:]
    assert b"NetStream.Publish.Start" in sent
    assert session.bytes_to_send() == b""


def test_media_before_the_key_or_after_the_end_is_nobodys() -> None:
    session = RtmpSession(0.0)
    assert talked(session, HELLO + ECHO + CONNECT + media(9, 0, TAG.payload)) == []
    talked(session, publish("a"))
    [ended] = talked(session, LEAVE + media(9, 0, TAG.payload))
    assert isinstance(ended, PublishEnded)
    assert talked(session, publish("b")) == [PublishRequested(key="b")]


@pytest.mark.parametrize("data", [publish("a"), CONNECT + publish("a") + publish("a")])
def test_who_publishes_before_connecting_or_twice_is_no_publisher(data: bytes) -> None:
    with pytest.raises(MalformedRtmp):
        talked(RtmpSession(0.0), HELLO + ECHO + data)


def test_three_seconds_to_a_key_ten_of_silence() -> None:
    session = RtmpSession(100.0)
    talked(session, HELLO + ECHO + CONNECT, 102.0)
    assert session.next_deadline_s() == 103.0  # what is not a key buys no time
    session.handle_timer(102.9)
    assert not session.is_over
    talked(session, publish("a"), 102.9)
    assert session.next_deadline_s() == pytest.approx(112.9)
    talked(session, media(9, 0, b"x"), 110.0)
    assert session.next_deadline_s() == 120.0
    talked(session, LEAVE, 111.0)
    assert session.next_deadline_s() == 114.0
    session.handle_timer(114.0)
    assert session.is_over


def test_a_refusal_says_why_and_ends() -> None:
    session = RtmpSession(0.0)
    [_] = session.feed(HELLO + ECHO + CONNECT + publish("a"), 0.0)
    session.refuse("the stream key is wrong")
    assert b"the stream key is wrong" in session.bytes_to_send()
    assert session.is_over
    assert list(session.feed(media(9, 0, b"x"), 0.0)) == []


def test_who_has_no_key_is_given_a_few_kilobytes() -> None:
    session = RtmpSession(0.0)
    talked(session, HELLO + ECHO)
    with pytest.raises(MalformedRtmp, match="8192 bytes"):
        talked(session, media(9, 0, bytes(8193)))
    allowed = RtmpSession(0.0)
    large = Tag(kind=flv.VIDEO, timestamp_ms=0, payload=bytes(300_000))
    assert talked(allowed, TALK + media(9, 0, large.payload))[2:] == [large]


@given(st.binary(max_size=3000), st.booleans())
def test_a_stranger_opens_nothing_without_a_key_and_raises_our_own(data: bytes, met: bool) -> None:
    session = RtmpSession(0.0)
    with suppress(Invalid):
        for event in session.feed((HELLO + ECHO + CONNECT if met else b"") + data, 0.0):
            assert isinstance(event, PublishRequested)
    assert not session.is_publishing
    assert len(session.bytes_to_send()) < 8_192
