"""What tc is told, and what its answers mean."""

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from umbel.network.drivers.linux import tc
from umbel.network.drivers.linux.tc import Device
from umbel.network.slices.admission import (
    DEFAULT,
    LINK,
    QueueClass,
    QueueRefused,
    StreamDestination,
    class_of,
)
from umbel.network.switching.counters import Count
from umbel.network.topology.sites import TunnelKind

WHOLE = QueueClass(number=LINK, rate_kbps=100, ceil_kbps=100, priority=0, depth=0)
REST = QueueClass(number=DEFAULT, rate_kbps=40, ceil_kbps=100, priority=4, depth=9)
GOLD = QueueClass(
    number=class_of(1),
    rate_kbps=50,
    ceil_kbps=100,
    priority=1,
    depth=9,
    burst_bytes=625,
    dscp=32,
    flows=(StreamDestination(address="10.203.1.2", port=5004),),
)
EMPTY = Device(ours="", free="root")
FULL = Device(ours="root", free="root", numbers=frozenset({LINK, DEFAULT, GOLD.number}))
ALL = (WHOLE, GOLD, REST)


def said(have: Device, laid: tuple[QueueClass, ...], want: tuple[QueueClass, ...]) -> list[str]:
    return [*tc.script("d0", have, laid, want)]


def test_a_bare_device_gets_everything_in_order() -> None:
    lines = said(EMPTY, (), ALL)
    assert lines[0] == "qdisc replace dev d0 root handle 756d: htb default 3"
    assert lines[1].startswith("class replace dev d0 parent 756d: classid 756d:1 htb rate 100kbit")
    assert lines[2].startswith("class replace dev d0 parent 756d:1 classid 756d:10 htb rate 50kbit")
    assert lines[2].endswith(" burst 625b")
    assert lines[3] == "qdisc replace dev d0 parent 756d:10 handle 7010: pfifo_head_drop limit 9"
    # GRE with a key: the packet inside begins 42 bytes on, its addresses 12 and 16 into it.
    assert lines[4] == (
        "filter add dev d0 parent 756d: protocol ip prio 16 u32 match ip tos 0x80 0xfc "
        "match ip protocol 47 0xff match u8 17 0xff at 51 match u16 0xacb 0xffff at 58 "
        "match u16 0x102 0xffff at 60 match u16 5004 0xffff at 64 flowid 756d:10"
    )
    vxlan = [*tc.script("d0", EMPTY, (), ALL, TunnelKind.VXLAN)][4]
    assert "match ip protocol 17 0xff match u8 17 0xff at 59" in vxlan
    whole = replace(GOLD, flows=(StreamDestination(address="10.203.1.2", port=0),))
    assert said(EMPTY, (), (WHOLE, whole, REST))[4].endswith(
        "match ip protocol 47 0xff match u16 0xacb 0xffff at 58 match u16 0x102 0xffff at 60 "
        "flowid 756d:10"
    )


def test_what_is_there_as_wanted_is_not_touched() -> None:
    assert said(FULL, ALL, ALL) == []


def test_a_rate_is_changed_in_place_and_no_filter_is_touched() -> None:
    lines = said(FULL, ALL, (WHOLE, replace(GOLD, rate_kbps=60), REST))
    assert [line.split()[0] for line in lines] == ["class", "qdisc"]


def test_a_filter_is_replaced_when_the_flows_change_or_are_not_known() -> None:
    moved = replace(GOLD, flows=())
    for laid, want in ((ALL, moved), ((), GOLD)):
        lines = [line for line in said(FULL, laid, (WHOLE, want, REST)) if "filter" in line]
        assert [line.split()[1] for line in lines] == ["del", "add"]


def test_a_class_goes_with_its_filter() -> None:
    assert said(FULL, ALL, (WHOLE, REST)) == [
        "filter del dev d0 parent 756d: protocol ip prio 16",
        "class del dev d0 classid 756d:10",
    ]


@pytest.mark.parametrize(
    ("shown", "free"),
    [
        ([], "root"),
        ([{"kind": "noqueue", "handle": "0:", "root": True}], "root"),
        ([{"kind": "tbf", "handle": "8001:", "root": True}], "parent 8001:1"),
        (
            [{"kind": "htb", "handle": "1:", "root": True, "options": {"default": "0x1a"}}],
            "parent 1:1a",
        ),
        ([{"kind": "htb", "handle": "1:", "root": True, "options": {"default": "0"}}], "root"),
    ],
)
def test_a_shaper_at_the_root_stays(shown: list[object], free: str) -> None:
    assert tc.parse_device(json.dumps(shown)) == Device(ours="", free=free)


def test_our_own_queue_is_found_wherever_it_hangs() -> None:
    mine = {"kind": "htb", "handle": "756d:", "root": True}
    assert tc.parse_device(json.dumps([mine])).ours == "root"
    below = [{"kind": "tbf", "handle": "1:", "root": True}, {**mine, "parent": "1:1", "root": None}]
    assert tc.parse_device(json.dumps(below)).ours == "parent 1:1"


def test_classes_are_counted_by_number() -> None:
    shown = """\
class tbf 1:1 parent 1: leaf 756d:
 Sent 9 bytes 9 pkt (dropped 9, overlimits 0 requeues 0)
class htb 756d:1 root rate 20Mbit ceil 20Mbit burst 1600b cburst 1600b
 Sent 1500 bytes 2 pkt (dropped 3, overlimits 0 requeues 0)
 backlog 0b 0p requeues 0
class htb 756d:1f parent 756d:1 prio 1 rate 10Mbit ceil 20Mbit burst 1600b cburst 1600b
 Sent 700 bytes 1 pkt (dropped 0, overlimits 0 requeues 0)
"""
    assert tc.parse_counts(shown) == {
        1: Count(packets=2, bytes=1500, drops=3),
        0x1F: Count(packets=1, bytes=700),
    }


WORDS = st.sampled_from(["756d:", "htb", "tbf", "1:", True, {"default": "0x30"}])
answers = st.text(max_size=60) | st.recursive(
    st.none() | st.text(max_size=5) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "handle", "root", "options", "parent"]), inner | WORDS
        )
    ),
).map(json.dumps)


@given(answers)
@example("{}")
@example('"text"')
@example("[" * 100_000)
def test_any_answer_is_read_or_refused(answer: str) -> None:
    try:
        raw = json.loads(answer or "[]")
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, list):
        with pytest.raises(QueueRefused):
            tc.parse_device(answer)
        return
    found = tc.parse_device(answer)
    handles = [one.get("handle") for one in raw if isinstance(one, dict)]
    assert bool(found.ours) == ("756d:" in handles)
    assert found.free == "root" or found.free.startswith("parent ")
    assert tc.parse_counts(answer) == {}


counts = st.builds(Count, packets=st.integers(0), bytes=st.integers(0), drops=st.integers(0))


@given(
    st.dictionaries(st.integers(1, 0xFFFF), counts, max_size=5),
    st.lists(st.text(max_size=20).map(lambda text: f"#{text}"), min_size=5, max_size=5),
)
def test_counts_are_read_back_among_other_lines(
    written: dict[int, Count], noise: list[str]
) -> None:
    text = "".join(
        f"class tbf 1:{number:x} parent 1:\n Sent 1 bytes 1 pkt (dropped 1, overlimits 0)\n"
        f"class htb 756d:{number:x} parent 756d:1 prio 1\n{other}\n"
        f" Sent {count.bytes} bytes {count.packets} pkt (dropped {count.drops}, overlimits 0)\n"
        for (number, count), other in zip(written.items(), noise, strict=False)
    )
    assert tc.parse_counts(text) == written
