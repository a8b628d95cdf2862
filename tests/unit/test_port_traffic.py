"""The rates at switches' ports, from counters that are read again and again."""

from dataclasses import dataclass, field

import pytest

from umbel.kit.errors import Unavailable
from umbel.network.model import Pair
from umbel.network.port_traffic import PortTraffic
from umbel.network.switching.counters import Count, FabricCounts

HERE, BACK = ("pe1", "c1"), ("c1", "pe1")


@dataclass
class Clock:
    at_s: float = 100.0

    def monotonic_s(self) -> float:
        return self.at_s

    def now_s(self) -> float:
        return self.at_s


@dataclass
class Switches:
    """Ports that have counted so many bytes; None: no switch answers."""

    sent: dict[Pair, int] | None = field(default_factory=dict)

    async def counters(self) -> FabricCounts:
        if self.sent is None:
            raise Unavailable("no switch answers")
        counts = {link: Count(packets=n, bytes=n) for link, n in self.sent.items()}
        return FabricCounts(links=counts)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_rate_is_known_after_two_looks_for_each_direction(clock: Clock) -> None:
    switches = Switches({HERE: 9_000_000, BACK: 0})
    traffic = PortTraffic(fabric=switches, clock=clock)
    await traffic.measure(switches)
    assert traffic.mbps(*HERE) is None
    switches.sent, clock.at_s = {HERE: 10_000_000, BACK: 500_000}, 102.0
    await traffic.measure(switches)
    assert (traffic.mbps(*HERE), traffic.mbps(*BACK)) == (4.0, 2.0)
    assert traffic.mbps("pe1", "c2") is None


async def test_a_port_that_is_not_counted_any_more_has_no_rate(clock: Clock) -> None:
    switches = Switches({HERE: 0, BACK: 0})
    traffic = PortTraffic(fabric=switches, clock=clock)
    for at_s in (100.0, 101.0):
        clock.at_s = at_s
        await traffic.measure(switches)
    assert traffic.mbps(*HERE) == 0.0
    switches.sent, clock.at_s = {BACK: 0}, 102.0
    await traffic.measure(switches)
    assert (traffic.mbps(*HERE), traffic.mbps(*BACK)) == (None, 0.0)
    switches.sent, clock.at_s = {HERE: 9_000_000, BACK: 0}, 103.0
    await traffic.measure(switches)
    assert traffic.mbps(*HERE) is None, "it was not counted in between"
    switches.sent = None
    await traffic.measure(switches)
    assert traffic.mbps(*BACK) is None


async def test_without_switches_nothing_is_measured(clock: Clock) -> None:
    traffic = PortTraffic(fabric=None, clock=clock)
    await traffic.run()
    assert traffic.mbps(*HERE) is None
