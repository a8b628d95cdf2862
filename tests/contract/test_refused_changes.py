"""A stream that is carried stays as it is when a switch refuses a change of its leaves.

The same for every fabric whose switches can refuse: in memory, with and without bundles, and real.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import Protocol

import pytest

from support import overlay_lab, overlay_traffic, switchboard, testbed
from support.overlay_lab import Lab
from support.overlay_traffic import Taker
from support.testbed import Testbed
from support.waiting import until
from umbel.kit.clock import SystemClock
from umbel.network.drivers.fake.fabric import FakeFabric
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.drivers.openflow.settings import OpenFlowSettings
from umbel.network.events import PathChanged
from umbel.network.model import Endpoint, Hop, Link, Topology
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.overlay.streams import Slice
from umbel.network.ports import Fabric
from umbel.network.switching.signals import SwitchRefused

NODES, LINKS = ("a", "b", "c"), (("a", "b"), ("b", "c"), ("a", "c"))
DRAWING = Drawing(roles=dict.fromkeys(NODES, Role.LEAF), links=LINKS)
VSCTL = ("ovs-vsctl", "--timeout=20", "--")
Sent = Mapping[Hop, Endpoint]


class World(Protocol):
    """A ring of three nodes. `ends` are two processes of b and two of c."""

    @property
    def fabric(self) -> Fabric: ...

    @property
    def ends(self) -> Sequence[Endpoint]: ...

    def held(self) -> object:
        """What the switches hold, or what is carried."""

    def refuse(self, node: str) -> None:
        """The node's switch takes no further rules from now on."""

    def allow(self, node: str) -> None:
        """It does again."""

    async def lose(self, a: str, b: str) -> None:
        """The link carries nothing from now on, and the fabric knows it."""

    async def arrives(self, stream: str, sent: Sent) -> Counter[Endpoint]:
        """How often a packet of the stream comes to each end."""


class FakeWorld:
    ends = tuple(
        Endpoint(node=node, address=f"127.0.{number}.1", port=port)
        for number, node in ((2, "b"), (3, "c"))
        for port in (7001, 7002)
    )

    def __init__(self) -> None:
        links = tuple(Link(a=a, b=b) for a, b in LINKS)
        self.fabric = FakeFabric(Topology(nodes=NODES, links=links))

    def held(self) -> object:
        return dict(self.fabric.streams)

    def refuse(self, node: str) -> None:
        self.fabric.full.add(node)

    def allow(self, node: str) -> None:
        self.fabric.full.discard(node)

    async def lose(self, a: str, b: str) -> None:
        self.fabric.lose(a, b)

    async def arrives(self, stream: str, sent: Sent) -> Counter[Endpoint]:
        hops = self.fabric.streams[stream]
        return Counter(hop.target for hop in hops if self.fabric.route(stream, hop) is not None)


class MemoryWorld:
    def __init__(self, *, bundles: bool) -> None:
        self.world = switchboard.World(switchboard.sites(NODES, LINKS), bundles=bundles)
        self.fabric = OpenFlowFabric(
            self.world.sites,
            DRAWING,
            switchboard.MemoryBridges(self.world),
            self.world.board,
            OpenFlowSettings(host="127.0.0.1", adopt_s=0.0),
            SystemClock(),
        )
        self.ends = tuple(
            switchboard.function(self.world.sites, node, port)
            for node in ("b", "c")
            for port in (7001, 7002)
        )

    def held(self) -> object:
        return {node: switch.program for node, switch in self.world.net.switches.items()}

    def refuse(self, node: str) -> None:
        self.world.full.add(node)

    def allow(self, node: str) -> None:
        self.world.full.discard(node)

    async def lose(self, a: str, b: str) -> None:
        self.world.lose(a, b)
        await self.fabric.install_extra_rules("", None)

    async def arrives(self, stream: str, sent: Sent) -> Counter[Endpoint]:
        got, _ = self.world.send("a", next(iter(sent.values())))
        return Counter(
            {
                Endpoint(node=node, address=address, port=port): times
                for (node, address, port), times in got.items()
            }
        )


class RealWorld:
    """Open vSwitch, whose first table takes so many rules and no more."""

    def __init__(self, lab: Lab, takers: Sequence[Taker]) -> None:
        self.lab, self.takers = lab, takers
        self.fabric = lab.fabric
        self.ends = tuple(taker.end for taker in takers)
        self.cuts = ExitStack()
        self.cut_off: set[str] = set()

    def held(self) -> object:
        bed = self.lab.bed
        return {n: (overlay_lab.dumped(bed, n), overlay_lab.groups(bed, n)) for n in NODES}

    def refuse(self, node: str) -> None:
        rules = [one for one in overlay_lab.dumped(self.lab.bed, node) if "table=0" in one]
        limit = f"flow_limit={len(rules)}"
        made = ("--id=@t", "create", "flow_table", limit, "overflow_policy=refuse")
        setting = ("--", "set", "bridge", "br1", "flow_tables:0=@t")
        self.lab.bed.nodes[node].run(*VSCTL, *made, *setting)

    def allow(self, node: str) -> None:
        self.lab.bed.nodes[node].run(*VSCTL, "clear", "bridge", "br1", "flow_tables")

    async def lose(self, a: str, b: str) -> None:
        """A node that was next to the root is `cut_off` then: what comes to it goes around."""
        await self.lab.alive()
        self.cut_off.update({a, b} - {"a"})
        self.cuts.enter_context(overlay_lab.cut(self.lab.bed, (a, b)))
        await self.lab.when(lambda: self.fabric.overlay.link_state.dead)
        await self.lab.settled()

    async def arrives(self, stream: str, sent: Sent) -> Counter[Endpoint]:
        if not self.cut_off:
            await self.lab.alive()
        for taker in self.takers:
            taker.took()
        count = await overlay_traffic.sent(self.lab.bed, "a", next(iter(sent.values())))
        targets = {hop.target for hop in sent if hop.target.node not in self.cut_off}
        for taker in self.takers:
            if taker.end in targets:
                assert len(await overlay_traffic.all_of(taker, count)) == count
        return Counter(targets | {taker.end for taker in self.takers if taker.took()})


@asynccontextmanager
async def real(bed: Testbed) -> AsyncIterator[RealWorld]:
    settings = overlay_lab.terms(bed.controller, bfd_ms=400)
    with overlay_traffic.taking(bed, "b", "b", "c", "c") as takers:
        try:
            async with overlay_lab.controlled(bed, DRAWING, settings) as lab:
                world = RealWorld(lab, takers)
                with world.cuts:
                    yield world
        finally:
            await overlay_lab.bare(bed)


@pytest.fixture(
    params=[
        "fake",
        "bundles",
        "no-bundles",
        pytest.param(
            "ovs",
            marks=[
                pytest.mark.lab,
                pytest.mark.skipif(bool(testbed.ABSENT), reason=testbed.ABSENT),
            ],
        ),
    ]
)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        yield FakeWorld()
    elif request.param == "ovs":
        async with real(request.getfixturevalue("three_nodes")) as made:
            yield made
    else:
        switches = MemoryWorld(bundles=request.param == "bundles")
        await switches.fabric.start()
        yield switches
        await switches.fabric.close()


def hops(*ends: Endpoint) -> list[Hop]:
    return [Hop(source_node="a", target=end) for end in ends]


async def test_a_stream_stays_when_a_change_of_its_leaves_is_refused(world: World) -> None:
    b1, b2, c1, c2 = world.ends
    other = await world.fabric.ensure("ev_2", hops(c2))
    sent = await world.fabric.ensure("ev_1", hops(b1))
    before = world.held()
    world.refuse("c")
    try:
        for ends in ((b1, c1), (b1, b2, c1), (b2, c1), (c1,)):
            with pytest.raises(SwitchRefused):
                await world.fabric.ensure("ev_1", hops(*ends))
            assert world.held() == before
        assert await world.arrives("ev_1", sent) == Counter([b1])
        assert await world.arrives("ev_2", other) == Counter([c2])
        # What needs nothing of that switch can still be changed.
        wider = await world.fabric.ensure("ev_1", hops(b1, b2))
        assert await world.arrives("ev_1", wider) == Counter([b1, b2])
    finally:
        world.allow("c")
    again = await world.fabric.ensure("ev_1", hops(b2, c1))
    assert await world.arrives("ev_1", again) == Counter([b2, c1])


async def test_a_new_stream_that_is_refused_leaves_nothing(world: World) -> None:
    b1, _, c1, c2 = world.ends
    await world.fabric.ensure("ev_2", hops(c2))
    before = world.held()
    world.refuse("c")
    try:
        for _ in range(2):
            with pytest.raises(SwitchRefused):
                await world.fabric.ensure("ev_1", hops(b1, c1))
            assert world.held() == before
    finally:
        world.allow("c")
    sent = await world.fabric.ensure("ev_1", hops(b1, c1))
    assert await world.arrives("ev_1", sent) == Counter([b1, c1])


async def test_a_stream_stays_on_its_route_when_a_new_one_is_refused(world: World) -> None:
    b1, _, c1, _ = world.ends
    sent = await world.fabric.ensure("ev_1", hops(b1, c1))
    await world.arrives("ev_1", sent)
    before = world.held()
    world.refuse("c")
    try:
        await world.lose("a", "c")
        assert world.held() == before
        # The leaf behind the dead link is cut off; the other one gets the stream as before.
        assert await world.arrives("ev_1", sent) == Counter([b1])
        assert await world.fabric.ensure("ev_1", hops(b1, c1)) == sent
    finally:
        world.allow("c")
    # The new route is tried again without being asked for.
    both = Counter([b1, c1])
    await until(lambda: world.arrives("ev_1", sent), lambda got: got == both, within_s=30)


async def test_a_route_that_is_refused_is_reported_once_and_tried_again() -> None:
    async with memory() as world:
        b1, _, c1, _ = world.ends
        sent = await world.fabric.ensure("ev_1", hops(b1, c1))
        reported: list[PathChanged] = []
        world.fabric.watch(lambda e: reported.append(e) if isinstance(e, PathChanged) else None)
        world.refuse("c")
        await world.lose("a", "c")
        (problem,) = [p for p in world.fabric.problems["ev_1"] if "old route" in p]
        assert "the switch of node c refuses a rule" in problem
        tries = world.world.tries
        first = tries["c"]
        await until(lambda: counted(tries, "c"), lambda count: count >= first + 2)
        # One event: that it is still refused is nothing new.
        assert [problem in event.error for event in reported] == [True]
        world.world.restore("a", "c")
        await world.fabric.install_extra_rules("", None)
        await until(lambda: world.arrives("ev_1", sent), lambda got: got == Counter([b1, c1]))
        world.allow("c")


async def counted(tries: Counter[str], node: str) -> int:
    return tries[node]


@asynccontextmanager
async def memory() -> AsyncIterator[MemoryWorld]:
    world = MemoryWorld(bundles=True)
    await world.fabric.start()
    try:
        yield world
    finally:
        await world.fabric.close()


async def test_a_slice_that_is_refused_leaves_the_stream_with_the_one_before() -> None:
    slow, fast = (Slice(number=n, kbps=n, burst_kb=1, dscp=8) for n in (1, 2))
    async with memory() as world:
        sent = await world.fabric.ensure("ev_1", hops(world.ends[0]))
        for before in (None, slow):
            await world.fabric.set_slice("ev_1", before)
            held = world.held()
            world.refuse("a")
            if before is None:
                with pytest.raises(SwitchRefused):
                    await world.fabric.set_slice("ev_1", fast)
            else:
                await world.fabric.set_slice("ev_1", fast)  # it replaces a rule: no further one
                held = world.held()
            world.allow("a")
            assert world.held() == held
            assert await world.arrives("ev_1", sent) == Counter([world.ends[0]])


async def test_changes_at_the_same_time_fall_back_to_what_was_accepted() -> None:
    async with memory() as world:
        b1, b2, c1, c2 = world.ends
        reported: list[PathChanged] = []
        sent = await world.fabric.ensure("ev_1", hops(b1))
        before = world.held()
        world.fabric.watch(lambda e: reported.append(e) if isinstance(e, PathChanged) else None)
        world.refuse("c")
        changes = [world.fabric.ensure("ev_1", hops(*ends)) for ends in ((b1, c1), (b2, c2))]
        answers = await asyncio.gather(*changes, return_exceptions=True)
        assert [type(answer) for answer in answers] == [SwitchRefused, SwitchRefused]
        assert world.held() == before
        assert await world.arrives("ev_1", sent) == Counter([b1])
        assert "the switch of node c refuses a rule" in reported[-1].error
        assert await world.fabric.ensure("ev_1", hops(b1)) == sent
        assert not reported[-1].error
        assert not world.fabric.problems
