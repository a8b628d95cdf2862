"""What the overlay is to carry: a stream over a tree, along the paths asked for; and its moves.

In: trees from spanning.py, what the operator or delivery asks. Out: values that compiler.py turns
into rules. A stream goes only along its paths; other packets of it are dropped.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from umbel.kit.errors import Unprocessable
from umbel.network.model import Endpoint
from umbel.network.overlay.spanning import SpanningTree
from umbel.network.switching.port_map import PortMap, Side

MOST_STREAMS, _MOST_PORTS = 0xFFFE, 0x3FFF  # both go into the ids of groups


class InvalidRoute(Unprocessable):
    """This stream cannot be routed with these settings."""

    code = "umbel.invalid_route"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A class of streams: its meter's number and rate, and the DSCP that queues go by."""

    number: int
    kbps: int
    burst_kb: int
    dscp: int


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A stream's UDP 5-tuple: where it is sent (of any kind: unicast, multicast, broadcast), and
    from where, if that is known. Port 0: whatever IPv4 packets go to the target, of any protocol;
    they meet no functions. `number` is its own as long as it is carried."""

    name: str
    number: int
    target: str
    port: int
    source: str = ""
    source_port: int = 0
    slice: Slice | None = None


class ReceiverKind(StrEnum):
    """How many hosts an address reaches."""

    UNICAST = "unicast"
    MULTICAST = "multicast"
    BROADCAST = "broadcast"


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Who takes a stream at a leaf: somebody in the network outside, or a process of the node, or
    inside also a guest with a port of its own (`is_guest`). A multicast group, the limited
    broadcast and those inside need no `mac`; port 0 leaves the port as it is."""

    address: str
    mac: str = ""
    port: int = 0
    side: Side = Side.OUTSIDE
    is_guest: bool = False

    def exit(self, switch: PortMap) -> tuple[int, str]:
        """The port that leads to it, and its Ethernet address; 0: a guest that has none here."""
        if self.is_guest:
            found = switch.guests.get(self.address)
            return (found.number, found.mac) if found else (0, "")
        if self.side is Side.INSIDE:
            return switch.local_port, switch.local_mac
        return switch.patch_port, self.ethernet

    def is_expected(self, switch: PortMap) -> bool:
        """Whether it is a guest whose port is not there yet, although its number is known."""
        found = switch.guests.get(self.address) if self.is_guest else None
        return found is not None and found.is_expected

    @property
    def kind(self) -> ReceiverKind:
        """One host, the hosts of a group, or all of them."""
        if ipaddress.IPv4Address(self.address).is_multicast:
            return ReceiverKind.MULTICAST
        is_all = self.address == "255.255.255.255" or self.mac.lower() == "ff:ff:ff:ff:ff:ff"
        return ReceiverKind.BROADCAST if is_all else ReceiverKind.UNICAST

    @property
    def ethernet(self) -> str:
        """Its Ethernet address; empty when it is not known (RFC 1112, section 6.4)."""
        address = ipaddress.IPv4Address(self.address)
        if self.mac or not (address.is_multicast or self.address == "255.255.255.255"):
            return self.mac
        if not address.is_multicast:
            return "ff:ff:ff:ff:ff:ff"
        low = int(address) & 0x7FFFFF
        return f"01:00:5e:{low >> 16:02x}:{low >> 8 & 0xFF:02x}:{low & 0xFF:02x}"


@dataclass(frozen=True, kw_only=True)
class Path:
    """From the root to a leaf. Without a receiver it ends at the leaf's function."""

    leaf: str
    receiver: Receiver | None = None


@dataclass(frozen=True, kw_only=True)
class Move:
    """A leaf on its way from one node to another: packets are cloned to both. `function` is the
    port its function will have there; 0: none moves. With `coming` the receiver is another one
    there, which gets clones at once, and `leaving` the one at `source` that it stands in for. Where
    a move is `processed` both get only what a function at their node sends: what no function took
    sinks there. `refused` is what a switch said against the clones; there are none then."""

    source: str
    target: str
    function: int = 0
    leaving: Receiver | None = None
    coming: Receiver | None = None
    processed: bool = False
    refused: str = ""


@dataclass(frozen=True, kw_only=True)
class RoutedStream:
    """One stream and how it is carried. `functions` are the switch ports, by node, of the functions
    it passes; at the root, of the function that sends it (else it comes in from outside). Each
    function sends the stream on to the stream's own target, from whatever address it has. `hosts`
    are those of the functions that are processes of their node: where they take the stream.
    `reports` is the process at the root that takes what receivers report (returns.py)."""

    stream: Stream
    tree: SpanningTree
    paths: tuple[Path, ...] = ()
    functions: Mapping[str, int] = field(default_factory=dict)
    processes: Mapping[str, Receiver] = field(default_factory=dict)
    move: Move | None = None
    reports: Receiver | None = None

    @property
    def leaves(self) -> tuple[str, ...]:
        """Where packets are led: the paths' leaves, and the one a leaf moves to."""
        ends = [path.leaf for path in self.paths]
        return tuple(dict.fromkeys([*ends, self.move.target] if self.move else ends))

    def receivers(self, leaf: str) -> tuple[Receiver, ...]:
        """Who takes the stream at the leaf of a path."""
        move = self.move
        found = [path.receiver for path in self.paths if path.leaf == leaf and path.receiver]
        if move is None or leaf not in (move.source, move.target):
            return tuple(dict.fromkeys(found))
        sinks = move.processed and leaf not in self.functions
        if leaf == move.source and sinks and move.leaving in found:
            found.remove(move.leaving)
        if leaf == move.target and move.coming and not sinks:
            found.append(move.coming)
        return tuple(dict.fromkeys(found))

    def clone_port(self, node: str) -> int:
        """The port that gets clones at `node` because a function moves there; 0: none. Where the
        stream already ends or meets a function, what is there goes on until the move is done."""
        if self.move is None or self.move.target != node or node in self.functions:
            return 0
        return 0 if any(path.leaf == node for path in self.paths) else self.move.function


@dataclass(frozen=True, kw_only=True)
class StreamIntent:
    """A stream as requested. It enters at `root` from the side `sender`; `functions` are the
    ports of functions on the way, `processes` the processes, by node. `refused` is what a switch
    said against it; it is not carried then. `rejected` is what a switch said against a change of
    it; it is carried as before the change then. `reports` is the process at the root that takes
    what receivers report."""

    stream: Stream
    root: str
    sender: Side = Side.INSIDE
    paths: tuple[Path, ...] = ()
    functions: Mapping[str, int] = field(default_factory=dict)
    processes: Mapping[str, Receiver] = field(default_factory=dict)
    move: Move | None = None
    reports: Receiver | None = None
    refused: str = ""
    rejected: str = ""

    @property
    def leaves(self) -> frozenset[str]:
        """The nodes where it is to end."""
        ends = {path.leaf for path in self.paths}
        moving = self.move is not None and not self.move.refused
        return frozenset(ends | {self.move.target} if self.move and moving else ends)


def unresolved(path: Path) -> str:
    """Why packets cannot be led to the path's receiver: it has no Ethernet address; empty: it has
    one or needs none."""
    receiver = path.receiver
    if receiver is None or receiver.side is not Side.OUTSIDE or receiver.ethernet:
        return ""
    return (
        f"receiver {receiver.address} has no Ethernet address: no host at {path.leaf} answers for "
        "it, and none is given"
    )


def portless(intent: StreamIntent, leaf: str, switch: PortMap) -> list[str]:
    """The guests at a leaf that have no port there: they are not reached. One that moves may have
    left already."""
    if intent.move is not None and leaf in (intent.move.source, intent.move.target):
        return []
    receivers = [path.receiver for path in intent.paths if path.leaf == leaf and path.receiver]
    missing = [one.address for one in receivers if not one.exit(switch)[0]]
    return [f"guest {address} has no port at {leaf} yet" for address in missing]


def process_ports(intent: StreamIntent, port_maps: Mapping[str, PortMap]) -> dict[str, int]:
    """The ports, by node, of the processes and guests that the stream passes and that are there."""
    exits = {
        node: receiver.exit(port_maps[node])[0]
        for node, receiver in intent.processes.items()
        if node in port_maps and not receiver.is_expected(port_maps[node])
    }
    return {node: port for node, port in exits.items() if port}


def local_receiver(end: Endpoint, *, is_guest: bool = False) -> Receiver:
    """A process of a node, or a guest there, as the receiver of a stream."""
    return Receiver(address=end.address, port=end.port, side=Side.INSIDE, is_guest=is_guest)


def path_to(end: Endpoint, guest_home: Callable[[str], str]) -> Path:
    """The path to a process of a node, or to a guest there, whose address has a home."""
    is_guest = bool(guest_home(end.address))
    return Path(leaf=end.node, receiver=local_receiver(end, is_guest=is_guest))


def check(routed_streams: Sequence[RoutedStream], switches: Mapping[str, PortMap]) -> None:
    """Raises InvalidRoute with every problem in `problems` when these cannot be carried together
    over switches with these ports."""
    problems = [*clashes([routed.stream for routed in routed_streams])]
    for routed in routed_streams:
        title = f"stream {routed.stream.name}"
        problems += [f"{title}: {problem}" for problem in _wrong(routed, switches)]
    if problems:
        raise InvalidRoute(f"There are {len(problems)} problem(s)", problems=problems)


def clashes(streams: Sequence[Stream]) -> Iterator[str]:
    """What two streams may not share: a name, a number, a target; a slice number with another
    slice. Those of whole hosts may have one target where they come from two known sources."""
    slices = {stream.slice for stream in streams if stream.slice}
    shared: Mapping[str, Sequence[Hashable]] = {
        "streams are named": [stream.name for stream in streams],
        "streams have the number": [stream.number for stream in streams],
        "streams have the target": [f"{s.target}:{s.port}" for s in streams if s.port],
        "slices have the number": [kind.number for kind in slices],
    }
    for title, values in shared.items():
        for value, times in Counter(values).items():
            if times > 1:
                yield f"{times} {title} {value}"
    yield from _covered(streams)


def _covered(streams: Sequence[Stream]) -> Iterator[str]:
    """The targets of streams of port 0 whose packets another stream is for, too."""
    for target in sorted({stream.target for stream in streams if not stream.port}):
        there = [stream for stream in streams if stream.target == target]
        sources = {stream.source for stream in there if stream.source and not stream.port}
        if len(there) > 1 and len(sources) < len(there):
            yield f"{len(there)} streams have packets to {target} in common"


def _wrong(routed: RoutedStream, switches: Mapping[str, PortMap]) -> Iterator[str]:
    if not 1 <= routed.stream.number <= MOST_STREAMS:
        yield f"its number is not in 1..{MOST_STREAMS}"
    lost = [leaf for leaf in routed.leaves if leaf not in routed.tree.nodes]
    yield from (f"leaf {leaf} is not in the tree below the root" for leaf in lost)
    for path in routed.paths:
        if not path.receiver:
            if path.leaf not in routed.functions or path.leaf == routed.tree.root:
                yield f"the path to {path.leaf} ends at no function and no receiver"
        elif problem := unresolved(path):
            yield problem
    if not routed.stream.port:
        yield from _whole(routed)
    if not lost:
        yield from _unplugged(routed, switches)


def _whole(routed: RoutedStream) -> Iterator[str]:
    """What cannot be asked for a stream of port 0."""
    on_path = set(routed.functions) - {routed.tree.root}
    if on_path or (routed.move and routed.move.function):
        yield "only a stream with a UDP port meets functions"
    if any(receiver.port for leaf in routed.leaves for receiver in routed.receivers(leaf)):
        yield "only a stream with a UDP port is given another at a leaf"


def _unplugged(routed: RoutedStream, switches: Mapping[str, PortMap]) -> Iterator[str]:
    """The links on the stream's ways that some switch has no port for, and ports out of range."""
    links = {pair for leaf in routed.leaves for pair in pairwise(routed.tree.chain(leaf))}
    for here, there in sorted(links | {(b, a) for a, b in links}):
        if here not in switches or there not in switches[here].tunnel_ports:
            yield f"node {here}: no port leads to {there}"
    on = {node for link in links for node in link} | set(routed.leaves)
    for node in sorted(on & switches.keys()):
        switch = switches[node]
        ports = [*switch.tunnel_ports.values(), switch.patch_port, switch.local_port or 1]
        functions_here = [routed.functions.get(node, 1), routed.clone_port(node) or 1]
        if not all(1 <= port <= _MOST_PORTS for port in (*ports, *functions_here)):
            yield f"node {node}: a port is not in 1..{_MOST_PORTS}"
        within = [r for r in routed.receivers(node) if r.side is Side.INSIDE]
        within += [routed.processes[node]] if node in routed.processes else []
        if within and not (switch.local_port and switch.local_mac):
            yield f"node {node}: its switch has no inner port"
