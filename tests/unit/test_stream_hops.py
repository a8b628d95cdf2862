"""The hops of a stream that switches refuse, with a clock that the test sets."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest

from support.clocks import SetClock
from umbel.delivery.loop.hops import StreamHops
from umbel.kit.signal import Signal
from umbel.network.drivers.fake.fabric import FakeFabric
from umbel.network.model import Endpoint, Hop, Link, Topology
from umbel.network.switching.signals import SwitchRefused

STAR = Topology(nodes=("a", "b", "c", "d"), links=tuple(Link(a="a", b=node) for node in "bcd"))


def hop(node: str, port: int = 7001) -> Hop:
    return Hop(source_node="a", target=Endpoint(node=node, address="10.0.0.1", port=port))


B, C, D = hop("b"), hop("c"), hop("d")


class Fabric(FakeFabric):
    """Counts how often it is asked."""

    asked = 0

    async def ensure(self, stream: str, hops: Sequence[Hop]) -> Mapping[Hop, Endpoint]:
        self.asked += 1
        return await super().ensure(stream, hops)


class Run:
    def __init__(self) -> None:
        self.fabric, self.clock, self.changed = Fabric(STAR), SetClock(), Signal()
        self.hops = StreamHops(fabric=self.fabric, clock=self.clock, changed=self.changed)

    async def ensure(self, *hops: Hop) -> set[Hop]:
        await self.hops.ensure("ev_1", hops)
        assert self.hops.reach("ev_1").keys() == set(self.fabric.streams.get("ev_1", ()))
        return set(self.hops.reach("ev_1"))


async def test_a_refused_hop_keeps_no_other_from_being_carried() -> None:
    run = Run()
    run.fabric.full.add("c")
    assert await run.ensure(B, C) == {B}
    assert run.hops.refused("ev_1") == {C}
    assert await run.ensure(B, C, D) == {B, D}
    assert await run.ensure(C, D) == {D}
    assert run.hops.refused("ev_1") == {C}
    assert await run.ensure(D) == {D}
    assert not run.hops.refused("ev_1")


async def test_a_stream_stays_where_all_that_is_new_is_refused() -> None:
    run = Run()
    await run.ensure(B)
    run.fabric.full.add("c")
    assert await run.ensure(C) == {B}
    assert await run.ensure(C) == {B}
    assert await run.ensure(B, C) == {B}


async def test_a_refused_hop_is_tried_again_after_waits_that_grow() -> None:
    run = Run()
    run.fabric.full.add("c")
    tries = []
    for _ in range(200):
        before = run.fabric.asked
        await run.ensure(B, C)
        if run.fabric.asked > before:
            tries.append(run.clock.at_s)
        run.clock.at_s += 1.0
    waits = [late - early for early, late in pairwise(tries)]
    assert 4 <= len(waits) <= 12
    assert waits[0] <= 2.0
    assert max(waits) <= 61.0
    assert waits[-1] >= 8 * waits[0]
    run.fabric.full.clear()
    run.clock.at_s += 61.0
    assert await run.ensure(B, C) == {B, C}
    assert not run.hops.refused("ev_1")


async def test_who_waits_is_told_of_what_was_laid_or_refused() -> None:
    run = Run()
    for step, full in ((B,), ""), ((B, C), "c"), ((B, D), ""):
        run.fabric.full = set(full)
        listener = run.changed.listen()
        await run.ensure(*step)
        assert listener.notified
        listener = run.changed.listen()
        await run.ensure(*step)
        assert not listener.notified


async def test_a_refusal_of_no_new_hop_is_the_callers() -> None:
    class Odd(Fabric):
        async def ensure(self, stream: str, hops: Sequence[Hop]) -> Mapping[Hop, Endpoint]:
            raise SwitchRefused("a rule of no hop", stream=stream)

    run = Run()
    run.hops.fabric = Odd(STAR)
    with pytest.raises(SwitchRefused):
        await run.ensure(B)
