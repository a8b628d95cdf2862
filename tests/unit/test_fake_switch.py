"""The switch in memory refuses what OpenFlow calls an error, and tells a loop."""

import pytest

from support.overlay import PACKET
from umbel.network.drivers.fake.switch import Looped, MemoryNetwork, MemorySwitch, Plug, Refused
from umbel.network.switching.counters import Count
from umbel.network.switching.program import (
    Bucket,
    Change,
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
    UseGroup,
)

GROUP = Group(id=1, kind=GroupKind.ALL, buckets=(Bucket(actions=(Output(port=2),)),))
METER = Meter(id=1, kbps=100, burst_kb=10)
IP = ((Field.ETH_TYPE, 0x0800),)
RULE = Rule(table=0, priority=1, match=IP, actions=(UseGroup(group=1),), meter=1)
HELD = [Put(entry=METER), Put(entry=GROUP), Put(entry=RULE)]


@pytest.mark.parametrize(
    "change",
    [
        Put(entry=GROUP),
        Put(entry=METER),
        Put(entry=Group(id=2, kind=GroupKind.ALL, buckets=()), new=False),
        Put(entry=Meter(id=2, kbps=1, burst_kb=1), new=False),
        Put(entry=Rule(table=1, priority=1, goto=1)),
        Put(entry=Rule(table=1, priority=1, meter=9)),
        Put(entry=Rule(table=1, priority=1, actions=(UseGroup(group=9),))),
        Put(entry=Rule(table=1, priority=1, actions=(SetField(field=Field.UDP_DST, value=1),))),
        Put(entry=Rule(table=1, priority=1, match=((Field.IPV4_DST, "192.0.2.1"),))),
        Put(entry=Group(id=3, kind=GroupKind.ALL, buckets=(Bucket(actions=(UseGroup(group=9),)),))),
    ],
    ids=str,
)
def test_a_refused_change_takes_all_with_it(change: Change) -> None:
    switch = MemorySwitch()
    switch.apply(HELD)
    before = switch.program
    with pytest.raises(Refused):
        switch.apply([Put(entry=Rule(table=5, priority=5)), Delete(entry=RULE), change])
    assert switch.program == before


def test_a_switch_counts_what_it_does() -> None:
    switch = MemorySwitch()
    switch.apply(HELD)
    for _ in range(3):
        switch.process(PACKET, 1)
    switch.down.add(2)
    switch.process(PACKET, 1)
    found = switch.counts
    assert found.meters == {METER.id: Count(packets=4)}
    assert found.rules == {RULE.key: Count(packets=4)}
    assert found.ports == {2: Count(packets=3)}


def test_what_uses_a_group_or_meter_goes_with_it() -> None:
    for gone in (GROUP, METER):
        switch = MemorySwitch()
        switch.apply([*HELD, Delete(entry=gone)])
        assert switch.program.rules == frozenset()
    switch = MemorySwitch()
    switch.apply([*HELD, Delete(entry=RULE), Delete(entry=GROUP), Delete(entry=METER)])
    assert switch.program == Program()


def test_actions_are_applied_in_order_and_priorities_decide() -> None:
    switch = MemorySwitch()
    rewrite = SetField(field=Field.IPV4_DST, value="192.0.2.9")
    switch.apply(
        [
            Put(entry=Rule(table=0, priority=1, actions=(Output(port=9),))),
            Put(
                entry=Rule(
                    table=0,
                    priority=2,
                    match=IP,
                    actions=(Output(port=1), rewrite, Output(port=2), Output(port=3)),
                    metadata=4,
                    goto=1,
                )
            ),
            Put(
                entry=Rule(
                    table=1, priority=1, match=((Field.METADATA, 4),), actions=(Output(port=5),)
                )
            ),
        ]
    )
    switch.down.add(2)
    found = [(port, copy[Field.IPV4_DST]) for port, copy in switch.process(PACKET, 3)]
    assert found == [(1, "10.0.0.255"), (5, "192.0.2.9")]
    assert switch.process({**PACKET, Field.ETH_TYPE: 0x0806}, 3)[0][0] == 9
    switch.down.add(3)
    assert switch.process(PACKET, 3) == []


def test_a_failover_group_without_a_live_bucket_drops() -> None:
    buckets = tuple(Bucket(actions=(Output(port=n),), watch=n) for n in (1, 2))
    switch = MemorySwitch()
    switch.apply(
        [
            Put(entry=Group(id=1, kind=GroupKind.FAILOVER, buckets=buckets)),
            Put(entry=Rule(table=0, priority=1, actions=(UseGroup(group=1),))),
        ]
    )
    for down, leaves in ((set(), [1]), ({1}, [2]), ({1, 2}, [])):
        switch.down = down
        assert [port for port, _ in switch.process(PACKET, 3)] == leaves


def test_a_loop_is_told() -> None:
    net = MemoryNetwork()
    for a, b in (("a", "b"), ("b", "c"), ("c", "a")):
        net.join(Plug(node=a, port=1), Plug(node=b, port=2))
        rule = Rule(table=0, priority=1, actions=(Output(port=1),))
        net.switches[a].apply([Put(entry=rule)])
    with pytest.raises(Looped):
        net.send(Plug(node="a", port=3), PACKET)
