"""The controller with real Open vSwitch instances: they hold what was intended, and do it."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from support import ovs
from support.ovs import Ovs
from support.waiting import until
from umbel.network.drivers.openflow.controller import Controller
from umbel.network.overlay import compiler
from umbel.network.overlay.spanning import Drawing, Role, span
from umbel.network.overlay.streams import Path as StreamPath
from umbel.network.overlay.streams import Receiver, RoutedStream, Slice, Stream
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.program import (
    Bucket,
    Delete,
    Field,
    Group,
    GroupKind,
    Output,
    Program,
    Put,
    Rule,
    UseGroup,
)
from umbel.network.switching.signals import (
    PortStatus,
    SwitchDisconnected,
    SwitchEvent,
    SwitchRefused,
)

ABSENT = ovs.absent()
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]

ROOT, LEAF = 0xA, 0xB
IDS = {"root": ROOT, "leaf": LEAF}
GOLD = Slice(number=1, kbps=10_000, burst_kb=1_000, dscp=46)
DRAWING = Drawing(roles={"root": Role.ROOT, "leaf": Role.LEAF}, links=(("root", "leaf"),))
PLUGGED = {
    "root": PortMap(tunnel_ports={"leaf": 1}, patch_port=100),
    "leaf": PortMap(tunnel_ports={"root": 2}, patch_port=101),
}
MISSES = [
    "table=1, priority=0 actions=goto_table:2",
    "table=2, priority=0 actions=goto_table:3",
    "table=3, priority=0 actions=goto_table:4",
]
INTENDED = {
    "root": [
        "table=0, priority=100,udp,in_port=100,nw_src=10.0.0.1,nw_dst=10.0.0.255,tp_dst=5004 "
        "actions=write_metadata:0x7,goto_table:1",
        "table=1, priority=100,udp,metadata=0x7,in_port=100 "
        "actions=meter:1,set_field:46->ip_dscp,goto_table:2",
        "table=3, priority=100,metadata=0x7,in_port=100 actions=output:1",
    ],
    "leaf": [
        "table=0, priority=100,udp,in_port=2,nw_src=10.0.0.1,nw_dst=10.0.0.255,tp_dst=5004 "
        "actions=write_metadata:0x7,goto_table:1",
        f"table=4, priority=100,udp,metadata=0x7 actions=group:{7 << 16 | 2 << 14}",
    ],
}


def routed(receivers: int) -> RoutedStream:
    """A stream from outside the root to receivers outside the leaf."""
    stream = Stream(
        name="ev1", number=7, target="10.0.0.255", port=5004, source="10.0.0.1", slice=GOLD
    )
    paths = [
        StreamPath(
            leaf="leaf",
            receiver=Receiver(address=f"192.0.2.{n}", mac=f"02:00:00:00:00:0{n}", port=6000 + n),
        )
        for n in range(1, receivers + 1)
    ]
    return RoutedStream(stream=stream, tree=span(DRAWING), paths=tuple(paths))


def dumped(switch: Ovs) -> list[str]:
    """What `ovs-ofctl dump-flows` says, less its counters."""
    noise = r"(cookie|duration|n_packets|n_bytes)=\S+, ?|reset_counts "
    return sorted(re.sub(noise, "", line) for line in switch.ofctl("dump-flows"))


class Lab:
    """Two joined switches and their controller. The root's takes bundles, the leaf's does not."""

    def __init__(self, switches: dict[str, Ovs]) -> None:
        self.switches = switches
        self.events: list[SwitchEvent] = []
        self.controller = Controller(self.events.append)

    async def connect(self) -> None:
        for name, switch in self.switches.items():
            await self.controller.listen_unix(switch.controller)
            switch.connect(IDS[name])
        await when(lambda: self.controller.switches == {ROOT, LEAF})

    async def ensure(self, *routed_streams: RoutedStream) -> list[int]:
        """How many changes each switch took."""
        want = compiler.programs(routed_streams, PLUGGED)
        return [await self.controller.ensure(IDS[node], want[node]) for node in IDS]


@pytest.fixture
def switches(tmp_path: Path) -> Iterator[dict[str, Ovs]]:
    with ovs.switches(tmp_path, {"root": "OpenFlow14", "leaf": "OpenFlow13"}) as running:
        ovs.join(running["root"], 1, running["leaf"], 2)
        for name, number in (("root", 100), ("leaf", 101)):
            ip = ("ip", "-n", running[name].namespace, "link")
            ovs.run(*ip, "add", f"p{number}", "type", "veth", "peer", "name", "far")
            for end in (f"p{number}", "far"):
                ovs.run(*ip, "set", end, "up")
            ovs.plug(running[name], f"p{number}", number)
        yield running


@pytest.fixture
async def lab(switches: dict[str, Ovs]) -> AsyncIterator[Lab]:
    made = Lab(switches)
    try:
        await made.connect()
        yield made
    finally:
        await made.controller.close()


async def when(condition: Callable[[], bool]) -> None:
    async def ask() -> bool:
        return condition()

    await until(ask)


async def test_the_switches_hold_what_was_intended(lab: Lab) -> None:
    assert await lab.ensure(routed(2)) == [7, 6]
    for node, switch in lab.switches.items():
        assert dumped(switch) == sorted([*MISSES, *INTENDED[node]])
    (group,) = lab.switches["leaf"].ofctl("dump-groups")
    assert group.startswith(f"group_id={7 << 16 | 2 << 14},type=all,bucket=actions=set_field:02:")
    assert group.count("output:101") == 2
    assert "rate=10000 burst_size=1000" in " ".join(lab.switches["root"].ofctl("dump-meters"))
    assert await lab.ensure(routed(2)) == [0, 0]
    assert await lab.ensure(routed(1)) == [0, 2]
    assert await lab.ensure() == [4, 2]
    for switch in lab.switches.values():
        assert dumped(switch) == MISSES
        assert switch.ofctl("dump-groups") == []


async def test_packets_reach_the_receivers_rewritten(lab: Lab) -> None:
    await lab.ensure(routed(2))
    root, leaf = (lab.switches[node].namespace for node in ("root", "leaf"))
    with ovs.listening(leaf, "far", 2) as listener:
        ovs.send(root, "far", "10.0.0.9", "10.0.0.255", 5004)
        ovs.send(root, "far", "10.0.0.1", "10.0.0.255", 5004)
        said, _ = listener.communicate(timeout=60)
    assert sorted(said.splitlines()) == [
        "02:00:00:00:00:01 192.0.2.1 6001 46",
        "02:00:00:00:00:02 192.0.2.2 6002 46",
    ]


async def test_a_bundle_is_made_whole_or_not_at_all(lab: Lab) -> None:
    await lab.ensure(routed(1))
    before = await lab.controller.held(ROOT)
    good = Rule(table=4, priority=7, actions=(Output(port=1),))
    bad = Rule(table=4, priority=8, actions=(UseGroup(group=4242),))
    with pytest.raises(SwitchRefused):
        await lab.controller.apply(ROOT, [Put(entry=good), Put(entry=bad)])
    assert await lab.controller.held(ROOT) == before
    many = [
        Put(entry=Rule(table=4, priority=9, match=((Field.IN_PORT, n),), actions=good.actions))
        for n in range(1, 700)
    ]
    with pytest.raises(SwitchRefused):
        await lab.controller.apply(ROOT, [many[0], Put(entry=bad), *many[1:]])
    assert await lab.controller.held(ROOT) == before
    with pytest.raises(SwitchRefused):
        await lab.controller.apply(LEAF, [Put(entry=bad)])
    await lab.controller.apply(ROOT, [Put(entry=good), Delete(entry=good)])
    assert await lab.controller.held(ROOT) == before


async def test_failover_groups_are_held_and_foreign_rules_go(lab: Lab) -> None:
    buckets = tuple(Bucket(actions=(Output(port=port),), watch=port) for port in (1, 100))
    group = Group(id=5, kind=GroupKind.FAILOVER, buckets=buckets)
    rule = Rule(table=0, priority=1, actions=(UseGroup(group=5),))
    want = Program(rules=frozenset({rule}), groups=frozenset({group}))
    await lab.controller.ensure(ROOT, want)
    assert await lab.controller.held(ROOT) == want
    lab.switches["root"].ofctl("add-flow", "table=7,ip,nw_dst=10.0.0.0/8,actions=NORMAL")
    lab.switches["root"].ofctl("add-flow", "table=8,ip,actions=resubmit(,9),output:1")
    assert await lab.controller.held(ROOT) is None
    await lab.controller.ensure(ROOT, want)
    assert await lab.controller.held(ROOT) == want


async def test_ports_and_switches_that_go_are_told(lab: Lab) -> None:
    assert {p.number for p in lab.controller.ports(LEAF) if p.live} >= {2, 101}
    ovs.run("ip", "-n", lab.switches["root"].namespace, "link", "set", "p1", "down")

    def down(dpid: int, number: int) -> bool:
        return any(
            isinstance(e, PortStatus) and e.dpid == dpid and e.port.number == number
            for e in lab.events
            if not (isinstance(e, PortStatus) and e.port.live)
        )

    await when(lambda: down(ROOT, 1) and down(LEAF, 2))
    lab.switches["leaf"].stop()
    await when(lambda: SwitchDisconnected(dpid=LEAF) in lab.events)
    assert lab.controller.switches == {ROOT}
