"""What switches and queues have counted, and the rates two looks at it give. Pure.

In: totals since the counters began, as drivers read them. Out: totals that only grow, and Mbit/s
over the last interval. A counter that went back began again: the switch or queue was made again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from umbel.network.model import Pair
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.program import Field, Match
from umbel.network.switching.tables import Table

Key = TypeVar("Key")


@dataclass(frozen=True, kw_only=True)
class Count:
    """Packets and bytes taken, and packets dropped of them or instead of them, as the counter's
    owner says."""

    packets: int = 0
    bytes: int = 0
    drops: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            packets=self.packets + other.packets,
            bytes=self.bytes + other.bytes,
            drops=self.drops + other.drops,
        )


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What a counter's owner has carried since it is watched, and its rate lately."""

    total: Count = Count()
    mbps: float = 0.0
    drops_per_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SwitchCounts:
    """One switch's counters: meters by number (in, and dropped over the rate), groups by id, rules
    by table, priority and match, and what left by each port (and was dropped there)."""

    meters: Mapping[int, Count] = field(default_factory=dict)
    groups: Mapping[int, Count] = field(default_factory=dict)
    rules: Mapping[tuple[int, int, Match], Count] = field(default_factory=dict)
    ports: Mapping[int, Count] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FabricCounts:
    """A whole network's: what was offered to each meter, what each link end sent by its tunnel, and
    by node, IPv4 address and UDP port what the node's own processes gave to the overlay."""

    meters: Mapping[int, Count] = field(default_factory=dict)
    links: Mapping[Pair, Count] = field(default_factory=dict)
    given: Mapping[tuple[str, str, int], Count] = field(default_factory=dict)


def gather(counts: Mapping[str, SwitchCounts], switches: Mapping[str, PortMap]) -> FabricCounts:
    """The nodes' counters together. A meter counts a stream again behind each function on its way,
    so what was offered is the most that one switch saw; drops add up."""
    meters: dict[int, Count] = {}
    links: dict[Pair, Count] = {}
    given: dict[tuple[str, str, int], Count] = {}
    for node, found in counts.items():
        for number, count in found.meters.items():
            meters[number] = _most(meters.get(number, Count()), count)
        for neighbour, port in switches[node].tunnel_ports.items() if node in switches else ():
            links[node, neighbour] = found.ports.get(port, Count())
        local_port = switches[node].local_port if node in switches else 0
        for (table, _, match), count in found.rules.items():
            of = dict(match)
            if table == Table.CLASSIFIER and of.get(Field.IN_PORT) == local_port:
                end = (node, str(of.get(Field.IPV4_DST, "")), int(of.get(Field.UDP_DST, 0)))
                given[end] = given.get(end, Count()) + count
    return FabricCounts(meters=meters, links=links, given=given)


def _most(a: Count, b: Count) -> Count:
    more = a if a.packets >= b.packets else b
    return replace(more, drops=a.drops + b.drops)


def grown(before: Count, after: Count) -> Count:
    """What came between two looks at the same counter."""
    if after.packets < before.packets or after.bytes < before.bytes or after.drops < before.drops:
        return after
    return Count(
        packets=after.packets - before.packets,
        bytes=after.bytes - before.bytes,
        drops=after.drops - before.drops,
    )


def step(traffic: Traffic, before: Count, after: Count, interval_s: float) -> Traffic:
    """The traffic after another look, `interval_s` seconds after the one before."""
    more = grown(before, after)
    if interval_s <= 0:
        return replace(traffic, total=traffic.total + more)
    return Traffic(
        total=traffic.total + more,
        mbps=more.bytes * 8 / interval_s / 1e6,
        drops_per_s=more.drops / interval_s,
    )


@dataclass
class RateMeter(Generic[Key]):
    """Looks at counters by key, one after another. The first look at one counts from there: what
    it had before is not ours."""

    _seen: dict[Key, tuple[float, Count]] = field(default_factory=dict)
    _traffic: dict[Key, Traffic] = field(default_factory=dict)

    def update(self, counts: Mapping[Key, Count], now_s: float) -> None:
        """The counters as they are now."""
        for key, count in counts.items():
            at_s, before = self._seen.get(key, (now_s, count))
            self._seen[key] = (now_s, count)
            self._traffic[key] = step(self.of(key), before, count, now_s - at_s)

    def retain(self, keys: Iterable[Key]) -> None:
        """Forget all others."""
        kept = set(keys)
        self._seen = {key: seen for key, seen in self._seen.items() if key in kept}
        self._traffic = {key: one for key, one in self._traffic.items() if key in kept}

    def is_known(self, key: Key) -> bool:
        """Whether it was looked at before."""
        return key in self._seen

    def of(self, key: Key) -> Traffic:
        """What was seen of it; nothing for an unknown one."""
        return self._traffic.get(key, Traffic())
