"""OpenFlow as bytes: what a switch may say is understood or garbage, and rules survive the wire.
Needs os-ken."""

import ipaddress
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from support.examples import examples
from support.openflow_said import header
from umbel.network.drivers.openflow import frames, writing
from umbel.network.drivers.openflow.codec import Codec
from umbel.network.drivers.openflow.frames import Framer, NotOpenFlow
from umbel.network.drivers.openflow.switches import Switches
from umbel.network.switching.program import (
    Bucket,
    Delete,
    Field,
    Group,
    GroupKind,
    Meter,
    Output,
    Program,
    Put,
    Rule,
    SetField,
    Translate,
    UseGroup,
)
from umbel.network.topology.registry import SiteRegistry

VERSIONS = [frames.V13, frames.V14]
RULE = Rule(
    table=1,
    priority=100,
    match=(
        (Field.IN_PORT, 3),
        (Field.METADATA, 7),
        (Field.ETH_TYPE, 0x0800),
        (Field.IP_PROTO, 17),
        (Field.IPV4_DST, "10.0.0.255"),
        (Field.UDP_DST, 5004),
    ),
    actions=(
        SetField(field=Field.ETH_DST, value="02:00:00:00:00:09"),
        SetField(field=Field.IP_DSCP, value=46),
        Output(port=100),
        UseGroup(group=9),
    ),
    meter=2,
    metadata=7,
    goto=4,
)
GROUP = Group(
    id=9,
    kind=GroupKind.FAILOVER,
    buckets=(
        Bucket(actions=(Output(port=1),), watch=1),
        Bucket(actions=(Output(port=2),), watch=2),
    ),
)
METER = Meter(id=2, kbps=10_000, burst_kb=1_000)
# What Open vSwitch 3.1 answered: features, flows, groups, meters, ports, and a bundle's opening.
SAID = [
    "0406002000000001000000000000000100000000fe0000000000004f00000000",
    "041300a80000000a000100000000000000980100000000000000000000640000000000000000000000000000"
    "00000000000000000000000000000000000000000001001f800000040000000380000a020800800018040a00"
    "00ff8000140111000006000800000002000400200000000000190010800010012e0000000000000000160008"
    "0000000900020018000000000000000000000007ffffffffffffffff0001000804000000",
    "041300580000000b000700000000000000480300000000090020000000000001ffffffff0000000000000010"
    "00000001ffe50000000000000020000000000002ffffffff000000000000001000000002ffe5000000000000",
    "041300280000000c000a00000000000000180005000000020001001000002710000003e800000000",
    "0413005000000002000d000000000000fffffffe000000005e4c4f4d06480000627231000000000000000000"
    "000000000000000100000001000008400000000000000000000000000098968000000000",
    "0513005800000002000d000000000000fffffffe004800001267fb7f85460000627231000000000000000000"
    "0000000000000001000000010000002000000000000008400000000000000000000000000098968000000000",
    "05210010000000090000000800010000",
]


LEAST_ENTRY_BYTES = 8
"""A group or a meter of nothing: its head alone (OpenFlow 1.3.5, section 7.3.5)."""


def taken(raw: bytes) -> list[object]:
    """All that the controller makes of these bytes, in either version: no more than they hold."""
    found: list[object] = []
    for frame in Framer().feed(raw):
        if frame.version not in VERSIONS:
            continue
        codec = Codec(frame.version)
        message = codec.decode(frame)
        if frame.kind == frames.MULTIPART_REPLY and isinstance(message.body, list):
            assert len(message.body) * LEAST_ENTRY_BYTES <= len(frame.raw)
        if frame.kind == frames.PORT_STATUS:
            found.append(codec.port(message.desc))
        elif frame.kind == frames.MULTIPART_REPLY and frame.part == frames.PORT_DESC:
            found += [codec.port(desc) for desc in message.body]
        elif frame.kind == frames.MULTIPART_REPLY:
            at = {frames.FLOW: 0, frames.GROUP_DESC: 1, frames.METER_CONFIG: 2}.get(frame.part)
            bodies: list[list[object]] = [[], [], []]
            if at is not None:
                bodies[at] = message.body
            found.append(codec.program(*bodies))
    return found


def test_foreign_switches_are_logged_once_and_not_without_end() -> None:
    switches = Switches(SiteRegistry({}))
    with capture_logs() as logged:
        for _ in range(2):
            assert not any(switches.admits(dpid) for dpid in range(1, 5_001))
    assert len(logged) == len({entry["datapath_id"] for entry in logged}) == 1_000


def test_what_a_real_switch_said_is_understood() -> None:
    _, flow, group, meter, port_4, port_5, _ = [taken(bytes.fromhex(said)) for said in SAID]
    match = (*RULE.match[:1], *RULE.match[2:5])
    actions = (SetField(field=Field.IP_DSCP, value=46), UseGroup(group=9))
    rule = replace(RULE, match=match, actions=actions)
    assert flow == [Program(rules=frozenset({rule}))]
    assert group == [Program(groups=frozenset({GROUP}))]
    assert meter == [Program(meters=frozenset({METER}))]
    assert port_4 == port_5


def test_an_action_of_a_wrong_size_is_garbage() -> None:
    """A decoder that takes the usual size would go on between two actions, and may never end."""
    said = bytes.fromhex(SAID[2])
    wrong = said.replace(b"\0\0\0\x10\0\0\0\1", b"\0\0\0\x08\0\0\0\1")
    assert wrong != said
    with pytest.raises(NotOpenFlow):
        taken(wrong)


@examples(400)
@given(st.sampled_from(SAID), st.lists(st.tuples(st.integers(0, 167), st.integers(0, 255))))
def test_what_a_switch_might_say_is_understood_or_garbage(
    said: str, errors: list[tuple[int, int]]
) -> None:
    raw = bytearray.fromhex(said)
    for at, value in errors:
        raw[at % len(raw)] = value
    try:
        taken(bytes(raw))
    except NotOpenFlow:
        pass


@pytest.mark.parametrize("version", VERSIONS)
def test_rules_groups_and_meters_survive_the_wire(version: int) -> None:
    """As a switch would tell them again: a mod's body is laid out as the description's is."""
    codec = Codec(version)
    for entry in (RULE, GROUP, METER):
        for change in (Put(entry=entry), Put(entry=entry, new=False), Delete(entry=entry)):
            message = codec.change(change)
            message.set_xid(1)
            message.serialize()
            (frame,) = Framer().feed(bytes(message.buf))
            assert frame.version == version
    p = codec.ofproto_parser
    flow = codec.change(Put(entry=RULE))
    stats = p.OFPFlowStats(
        table_id=flow.table_id,
        priority=flow.priority,
        match=flow.match,
        instructions=flow.instructions,
    )
    group, meter = codec.change(Put(entry=GROUP)), codec.change(Put(entry=METER))
    desc = p.OFPGroupDescStats(type_=group.type, group_id=group.group_id, buckets=group.buckets)
    config = p.OFPMeterConfigStats(flags=meter.flags, meter_id=meter.meter_id, bands=meter.bands)
    assert codec.program([stats], [desc], [config]) == Program(
        rules=frozenset({RULE}), groups=frozenset({GROUP}), meters=frozenset({METER})
    )
    for fields in ({"ipv4_dst": ("10.0.0.0", "255.0.255.0")}, {"metadata": (1, 1)}):
        stats.match = p.OFPMatch(**fields)
        assert codec.program([stats], [], []) is None


def macs() -> st.SearchStrategy[str]:
    return st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":"))


def addresses() -> st.SearchStrategy[str]:
    return st.ip_addresses(v=4).map(str)


VALUES: dict[Field, st.SearchStrategy[int | str]] = {
    Field.IN_PORT: st.integers(1, 0xFFFFFFFF),
    Field.METADATA: st.integers(0, (1 << 64) - 1),
    Field.ETH_DST: macs(),
    Field.ETH_SRC: macs(),
    Field.ETH_TYPE: st.integers(0, 0xFFFF),
    Field.IP_PROTO: st.integers(0, 0xFF),
    Field.IP_DSCP: st.integers(0, 63),
    **dict.fromkeys((Field.IPV4_SRC, Field.IPV4_DST, Field.ARP_SPA, Field.ARP_TPA), addresses()),
    **dict.fromkeys(
        (Field.TCP_SRC, Field.TCP_DST, Field.UDP_SRC, Field.UDP_DST), st.integers(0, 0xFFFF)
    ),
}
_NUMBERS: list[Field] = [Field.IP_DSCP if name is Field.IP_PROTO else name for name in Field]
_NUMBERS[[*Field].index(Field.IP_DSCP)] = Field.IP_PROTO
NETWORKS = st.tuples(addresses(), st.integers(1, 31)).map(
    lambda pair: str(ipaddress.IPv4Network("/".join(map(str, pair)), strict=False))
)


@st.composite
def any_rule(draw: st.DrawFn) -> Rule:
    """Any rule that the network makes, and more."""
    names = draw(st.sets(st.sampled_from(list(Field))))
    asked = VALUES | {Field.IPV4_DST: addresses() | NETWORKS}
    by_number = sorted(names, key=_NUMBERS.index)  # as os-ken sorts them
    match = tuple((name, draw(asked[name])) for name in by_number)
    settable = st.sampled_from([name for name in Field if name != Field.IN_PORT])
    action = (
        st.builds(Output, port=st.integers(1, 0xFFFFFFF8))
        | st.builds(UseGroup, group=st.integers(0, 0xFFFFFF00))
        | settable.flatmap(
            lambda name: st.builds(SetField, field=st.just(name), value=VALUES[name])
        )
    )
    return Rule(
        table=draw(st.integers(0, 254)),
        priority=draw(st.integers(0, 0xFFFF)),
        match=match,
        actions=tuple(draw(st.lists(action, max_size=4))),
        meter=draw(st.integers(0, 0xFFFF)),
        metadata=draw(st.integers(0, (1 << 64) - 1)),
        goto=draw(st.none() | st.integers(0, 254)),
    )


@pytest.mark.parametrize("version", VERSIONS)
@examples(60)
@given(rule=any_rule(), put=st.booleans())
def test_rules_are_written_as_os_ken_writes_them(version: int, rule: Rule, put: bool) -> None:
    codec, change = Codec(version), Put(entry=rule) if put else Delete(entry=rule)
    message = codec.change(change)
    message.set_xid(7)
    message.serialize()
    assert writing.numbered(codec.packed(change), 7) == bytes(message.buf)


@examples(60)
@given(rule=any_rule(), xid=st.integers(1, 0x7FFFFFFF))
def test_changes_are_bundled_as_os_ken_bundles_them(rule: Rule, xid: int) -> None:
    codec = Codec(frames.V14)
    inner, flags = codec.change(Put(entry=rule)), 3
    message = codec.ofproto_parser.OFPBundleAddMsg(codec, 5, flags, inner, [])
    message.set_xid(xid)
    inner.xid = xid
    message.serialize()
    assert writing.bundled(codec.packed(Put(entry=rule)), xid, 5, flags) == bytes(message.buf)


@pytest.mark.parametrize("version", VERSIONS)
@examples(30)
@given(frame=st.binary(max_size=100), port=st.integers(1, 0x3FFF))
def test_packets_go_out_as_os_ken_sends_them(version: int, frame: bytes, port: int) -> None:
    codec = Codec(version)
    o, p = codec.ofproto, codec.ofproto_parser
    actions = [p.OFPActionOutput(port)]
    message = p.OFPPacketOut(codec, o.OFP_NO_BUFFER, o.OFPP_CONTROLLER, actions, frame)
    message.set_xid(7)
    message.serialize()
    assert writing.numbered(writing.packet(version, port, frame), 7) == bytes(message.buf)


@examples(30)
@given(st.binary(max_size=100), st.lists(st.integers(1, 40), max_size=3))
def test_packets_that_come_in_are_found_behind_their_match(
    packet: bytes, fields: list[int]
) -> None:
    match = b"".join(struct.pack("!HBB", 0x8000, 0, size) + bytes(size) for size in fields)
    padded = struct.pack("!HH", 1, 4 + len(match)) + match
    padded += bytes(-len(padded) % 8)
    head = struct.pack("!IHBBQ", 0xFFFFFFFF, len(packet), 1, 0, 0)
    raw = header(frames.V14, frames.PACKET_IN, 0, head + padded + bytes(2) + packet)
    (frame,) = Framer().feed(raw)
    assert frames.packet(frame) == packet
    (frame,) = Framer().feed(raw[:2] + struct.pack("!H", 34) + raw[4:34])
    assert frames.packet(frame) == b"" or not match


def told(version: int, rule: Rule) -> bytes:
    """A rule as a switch would tell it in its flow description."""
    flow = Codec(version).change(Put(entry=rule))
    flow.set_xid(1)
    flow.serialize()
    body = bytes(flow.buf)[48:]
    entry = struct.pack("!HBxIIH", 48 + len(body), rule.table, 0, 0, rule.priority)
    entry += bytes(48 - len(entry)) + body
    return header(version, frames.MULTIPART_REPLY, 1, struct.pack("!HH4x", frames.FLOW, 0) + entry)


def translating(**there: Any) -> Rule:
    return Rule(
        table=6,
        priority=100,
        match=((Field.ETH_TYPE, 0x0800), (Field.IPV4_DST, "10.204.0.0/16")),
        actions=(Translate(table=7, **there),),
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("there", [{}, {"address": "10.97.1.1", "port": 8080}])
def test_translations_survive_the_wire_and_others_are_foreign(
    version: int, there: dict[str, Any]
) -> None:
    rule, codec = translating(**there), Codec(version)
    raw = told(version, rule)
    (frame,) = Framer().feed(raw)
    stats = codec.decode(frame).body
    assert codec.program(stats, [], []) == Program(rules=frozenset({rule}))
    for at in range(raw.index(b"\x00\x00\x23\x20") + 4, len(raw)):
        wounded = bytearray(raw)
        wounded[at] ^= 1
        try:
            (frame,) = Framer().feed(bytes(wounded))
            other = codec.program(codec.decode(frame).body, [], [])
        except NotOpenFlow:
            continue
        assert other != Program(rules=frozenset({rule})) or at in padding(raw)


def padding(raw: bytes) -> set[int]:
    """Where bytes mean nothing: after a `ct`'s table, in a `nat`, and at its end."""
    ct = raw.index(b"\x00\x00\x23\x20") - 4
    nat = raw.index(b"\x00\x00\x23\x20", ct + 8) - 4
    used = 22 if len(raw) - nat > 16 else 16
    return {*range(ct + 19, ct + 22), nat + 10, nat + 11, *range(nat + used, len(raw))}


@given(st.binary(max_size=200), st.lists(st.integers(1, 60), max_size=4))
def test_any_bytes_are_frames_or_garbage(data: bytes, cuts: list[int]) -> None:
    """Frames are the bytes in order, however they were cut: nothing is lost, doubled or moved."""
    framer, taken = Framer(), b""
    cuts = sorted(cuts)
    try:
        for start, end in zip([0, *cuts], [*cuts, 200], strict=True):
            for frame in framer.feed(data[start:end]):
                taken += frame.raw
                assert data.startswith(taken)
                assert len(frame.raw) == int.from_bytes(frame.raw[2:4], "big")
                frames.versions(frame)
    except NotOpenFlow:
        pass


@pytest.mark.parametrize("version", VERSIONS)
@examples(400)
@given(
    kind=st.sampled_from([frames.ERROR, frames.FEATURES_REPLY, frames.PORT_STATUS, 19, 21, 33]),
    part=st.sampled_from([frames.FLOW, frames.GROUP_DESC, frames.METER_CONFIG, frames.PORT_DESC]),
    body=st.binary(max_size=160)
    | st.lists(st.sampled_from([b"\0\1", b"\0\4", b"\0\x08", b"\0\x10", b"\0\x38", b"\0\0"])).map(
        b"".join
    ),
)
def test_what_passes_the_checks_decodes_or_is_garbage(
    version: int, kind: int, part: int, body: bytes
) -> None:
    if kind == frames.MULTIPART_REPLY:
        body = struct.pack("!HH4x", part, 0) + body
    try:
        taken(header(version, kind, 1, body))
    except NotOpenFlow:
        pass
