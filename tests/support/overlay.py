"""A drawn network as switches in memory, programmed for a stream, and what its packets do."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from umbel.network.drivers.fake.switch import MemoryNetwork, Packet, Plug
from umbel.network.overlay import compiler
from umbel.network.overlay.spanning import Drawing
from umbel.network.overlay.streams import Path, Receiver, RoutedStream, Stream
from umbel.network.switching import diff
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.program import Change, Field, Program

OUTSIDE, INSIDE, FUNCTION = 100, 60, 50
MAC = "02:00:00:00:00:60"
STREAM = Stream(name="ev1", number=7, target="10.0.0.255", port=5004, source="10.0.0.1")
PACKET: Packet = {
    Field.ETH_DST: "ff:ff:ff:ff:ff:ff",
    Field.ETH_TYPE: 0x0800,
    Field.IP_PROTO: 17,
    Field.IPV4_SRC: "10.0.0.1",
    Field.IPV4_DST: "10.0.0.255",
    Field.UDP_SRC: 4000,
    Field.UDP_DST: 5004,
}


def rollout(
    have: Mapping[str, Program], want: Mapping[str, Program], of: RoutedStream
) -> Iterator[tuple[str, tuple[Change, ...]]]:
    """The rounds that turn what switches hold into what they are to hold, switch by switch."""
    for some in diff.rounds(have, want, {of.stream.number: of.tree.depths}):
        yield from some.items()


def receiver(leaf: str, number: int = 1) -> Receiver:
    """A receiver of its own for each leaf."""
    return Receiver(address=f"192.0.2.{sum(leaf.encode()) % 200 + number}", mac="02:00:00:00:00:01")


def path(leaf: str, number: int = 1) -> Path:
    return Path(leaf=leaf, receiver=receiver(leaf, number))


def port_maps(drawing: Drawing) -> dict[str, PortMap]:
    """Each node's ports: its neighbours from 1 up, outside 100, inside 60, a function at 50."""
    tunnel_ports: dict[str, dict[str, int]] = {name: {} for name in drawing.roles}
    for a, b in drawing.links:
        tunnel_ports[a][b] = len(tunnel_ports[a]) + 1
        tunnel_ports[b][a] = len(tunnel_ports[b]) + 1
    return {
        name: PortMap(tunnel_ports=ports, patch_port=OUTSIDE, local_port=INSIDE, local_mac=MAC)
        for name, ports in tunnel_ports.items()
    }


def emitting(node: str) -> Packet:
    """What the function at `node` sends: the same stream from its own address."""
    return {**PACKET, Field.IPV4_SRC: f"10.9.9.{len(node)}", Field.UDP_SRC: 777}


def _answer(out: Packet, _packet: Packet) -> Packet:
    return out


@dataclass
class Overlay:
    """Switches that hold what was installed last."""

    switches: Mapping[str, PortMap]
    net: MemoryNetwork = field(default_factory=MemoryNetwork)

    @classmethod
    def of(cls, drawing: Drawing) -> "Overlay":
        overlay = cls(port_maps(drawing))
        for a, b in drawing.links:
            ends = (overlay.switches[a].tunnel_ports[b], overlay.switches[b].tunnel_ports[a])
            overlay.net.join(Plug(node=a, port=ends[0]), Plug(node=b, port=ends[1]))
        return overlay

    def held(self) -> dict[str, Program]:
        return {node: switch.program for node, switch in self.net.switches.items()}

    def install(self, *routed_streams: RoutedStream) -> None:
        """Straight to what these need."""
        want = compiler.programs(routed_streams, self.switches)
        for node, switch in self.net.switches.items():
            switch.apply(diff.diff(switch.program, want[node]))
            assert switch.program == want[node]

    def functions(self, nodes: Sequence[str]) -> None:
        """Running functions at these nodes, which answer each packet with one of their own."""
        for node in nodes:
            self.net.attach(Plug(node=node, port=FUNCTION), partial(_answer, emitting(node)))

    def send(self, root: str, port: int = OUTSIDE) -> tuple[Counter[tuple[str, str]], Counter[str]]:
        """One packet from the source: (node, destination) of what left to receivers, and the nodes
        whose functions got copies."""
        delivered, _ = self.net.send(Plug(node=root, port=port), PACKET)
        out = Counter(
            (d.at.node, str(d.packet[Field.IPV4_DST])) for d in delivered if d.at.port == OUTSIDE
        )
        took = Counter(d.at.node for d in delivered if d.at.port == FUNCTION)
        assert sum(out.values()) + sum(took.values()) == len(delivered)
        return out, took

    def crossed(self, root: str, port: int = OUTSIDE) -> list[tuple[str, str]]:
        """The links one packet's copies go over."""
        return self.net.send(Plug(node=root, port=port), PACKET)[1]
