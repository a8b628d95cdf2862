"""Counters on the wire: what a switch may answer, and what becomes of it. Needs os-ken."""

import struct
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from umbel.network.drivers.openflow import frames, statistics
from umbel.network.drivers.openflow.codec import Codec
from umbel.network.drivers.openflow.frames import Framer, NotOpenFlow
from umbel.network.switching.counters import Count, SwitchCounts
from umbel.network.switching.program import Output, Put, Rule

VERSIONS = [frames.V13, frames.V14]
_UNKNOWN = 0xFFFFFFFFFFFFFFFF
METER, GROUP, PORT = frames.METER_STATS, frames.GROUP_STATS, frames.PORT_STATS
# What Open vSwitch 3.1 answered of a fresh meter, group and inner port.
SAID = {
    (4, METER): "041300480000000a0009000000000000"
    "0000000200380000000000000000000100000000000000000000000000000000"
    "00000000001e848000000000000000000000000000000000",
    (4, GROUP): "041300580000000b0006000000000000"
    "004800000000000900000001000000000000000000000000000000000000000000000000001e8480"
    "0000000000000000000000000000000000000000000000000000000000000000",
    (4, PORT): "041300800000000d0004000000000000fffffffe" + "00" * 104 + "2a333900",
    (5, PORT): "0513014000000010000400000000000001300000fffffffe0000000020c85580"
    + "00" * 64
    + "0000002800000000"
    + "00" * 32
    + "ffff00b80000aa010000000100000000"
    + "ff" * 168,
}


class Wire:
    """A switch that answers with given bodies, by multipart type."""

    def __init__(self, version: int, bodies: Mapping[int, bytes]) -> None:
        self.codec = Codec(version)
        self._bodies = bodies

    async def request(self, message: Any) -> list[Any]:
        body = struct.pack("!HH4x", message.type, 0) + self._bodies.get(message.type, b"")
        raw = struct.pack("!BBHI", self.codec.ofproto.OFP_VERSION, 19, 8 + len(body), 1) + body
        (frame,) = Framer().feed(raw)
        found: list[Any] = self.codec.decode(frame).body
        return found


def meter(number: int, packets: int, *bands: int) -> bytes:
    head = struct.pack("!IH6xIQQII", number, 40 + 16 * len(bands), 1, packets, packets * 100, 0, 0)
    return head + b"".join(struct.pack("!QQ", drops, drops * 100) for drops in bands)


def group(number: int, packets: int) -> bytes:
    counts = struct.pack("!QQ", packets, packets * 100)
    return struct.pack("!H2xII4x", 56, number, 1) + counts + struct.pack("!II", 0, 0) + counts


def port(version: int, number: int, sent: int, dropped: int) -> bytes:
    counts = struct.pack("!8Q", 0, sent, 0, min(sent * 100, _UNKNOWN), 0, dropped, 0, 0)
    if version == frames.V13:
        return struct.pack("!I4x", number) + counts + bytes(40)
    return struct.pack("!H2xIII", 80, number, 0, 0) + counts


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_counted(version: int) -> None:
    rule = Rule(table=3, priority=7, actions=(Output(port=1),))
    flow = Codec(version).change(Put(entry=rule))
    flow.set_xid(1)
    flow.serialize()
    tail = bytes(flow.buf)[48:]
    head = struct.pack("!HBxIIHHHH4xQQQ", 48 + len(tail), 3, 0, 0, 7, 0, 0, 0, 0, 11, 1100)
    wire = Wire(
        version,
        {
            METER: meter(1, 90, 5, 2) + meter(2, 8),
            GROUP: group(9, 30),
            PORT: port(version, 1, 70, 3) + port(version, 2, _UNKNOWN, _UNKNOWN),
            frames.FLOW: head + tail,
        },
    )
    assert await statistics.counts(wire) == SwitchCounts(
        meters={1: Count(packets=90, bytes=9000, drops=7), 2: Count(packets=8, bytes=800)},
        groups={9: Count(packets=30, bytes=3000)},
        rules={(3, 7, ()): Count(packets=11, bytes=1100)},
        ports={1: Count(packets=70, bytes=7000, drops=3), 2: Count()},
    )


def taken(raw: bytes) -> list[Any]:
    """All that a controller makes of these bytes, in either version."""
    found: list[Any] = []
    for frame in Framer().feed(raw):
        if frame.version in VERSIONS:
            found.append(Codec(frame.version).decode(frame))
    return found


@pytest.mark.parametrize(("kind", "said"), SAID.items(), ids=str)
def test_what_a_real_switch_said_is_understood(kind: tuple[int, int], said: str) -> None:
    (message,) = taken(bytes.fromhex(said))
    (entry,) = message.body
    numbers = {METER: "meter_id", GROUP: "group_id", PORT: "port_no"}
    assert getattr(entry, numbers[kind[1]]) == {METER: 2, GROUP: 9, PORT: 0xFFFFFFFE}[kind[1]]


LEAST_ENTRY_BYTES = 40
"""Statistics of a meter or a group without bands or buckets (OpenFlow 1.3.5, section 7.3.5)."""


def assert_bounded(raw: bytes) -> None:
    """Garbage, or no more entries than the bytes can hold."""
    try:
        found = taken(raw)
    except NotOpenFlow:
        return
    entries = sum(len(one.body) for one in found if isinstance(getattr(one, "body", None), list))
    assert entries * LEAST_ENTRY_BYTES <= len(raw)


@pytest.mark.parametrize("part", [METER, GROUP, PORT])
@examples(200)
@given(data=st.data())
def test_what_a_switch_might_say_is_understood_or_garbage(part: int, data: st.DataObject) -> None:
    said = data.draw(st.sampled_from([text for (_, p), text in SAID.items() if p == part]))
    raw = bytearray.fromhex(said)
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 319), st.integers(0, 255)))):
        raw[at % len(raw)] = value
    assert_bounded(bytes(raw))


@pytest.mark.parametrize("version", VERSIONS)
@examples(300)
@given(
    part=st.sampled_from([METER, GROUP, PORT]),
    body=st.binary(max_size=160)
    | st.lists(st.sampled_from([b"\0\0", b"\0\x08", b"\0\x28", b"\0\x38", b"\0\x50"])).map(
        b"".join
    ),
)
def test_what_passes_the_checks_decodes_or_is_garbage(version: int, part: int, body: bytes) -> None:
    body = struct.pack("!HH4x", part, 0) + body
    assert_bounded(struct.pack("!BBHI", version, 19, 8 + len(body), 1) + body)


@pytest.mark.parametrize(
    ("version", "part", "body"),
    [
        (4, METER, meter(1, 1, 1)[:-8]),
        (4, GROUP, struct.pack("!H2xII4x", 48, 9, 1) + bytes(32)),
        (4, PORT, bytes(104)),
        (5, PORT, struct.pack("!H2xIII", 88, 1, 0, 0) + bytes(72)),
    ],
)
def test_lengths_that_do_not_add_up_are_garbage(version: int, part: int, body: bytes) -> None:
    body = struct.pack("!HH4x", part, 0) + body
    with pytest.raises(NotOpenFlow):
        list(Framer().feed(struct.pack("!BBHI", version, 19, 8 + len(body), 1) + body))
