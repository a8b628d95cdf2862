"""How a stream's receivers reach who sends it, and how one of them alone gets a packet again. Pure.

In: a stream as it is routed, and how switches are plugged. Out: rules of the classifier, by node.
Receivers send reports to where packets come from: the stream's own address. The switch at the leaf
gives such a report the stream's address as its source too, which no other packet has, and a source
port of the receiver's own; from there it goes up the tree to the sender. What the sender sends to
that port goes down to that receiver alone.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from umbel.network.overlay.streams import Path, Receiver, RoutedStream
from umbel.network.switching.port_map import PortMap, Side
from umbel.network.switching.program import BACK, Action, Field, Match, Output, Rule, SetField
from umbel.network.switching.tables import RETURNS, Table

FIRST_PORT, PORTS = 1024, 15_360
"""The receivers' ports at the stream's address: all below the port of any stream of the platform
(addresses.py)."""

_UDP_PACKET: Match = ((Field.ETH_TYPE, 0x0800), (Field.IP_PROTO, 17))


@dataclass(frozen=True, kw_only=True)
class _Return:
    """A receiver: the nodes from the root to it, and its port at the stream's address."""

    chain: tuple[str, ...]
    receiver: Receiver
    port: int


def rules(routed: RoutedStream, switches: Mapping[str, PortMap]) -> Iterator[tuple[str, Rule]]:
    """What the nodes' switches hold so that reports go up and packets are sent again to one."""
    for one in _returns(routed, switches):
        yield from _upward(routed, switches, one)
        yield from _downward(routed, switches, one)


def ports(receivers: Sequence[tuple[str, Receiver]]) -> dict[tuple[str, Receiver], int]:
    """Each receiver's port, from its node, address and port; the next free one where another has
    it. The rest has none where there are more receivers than ports."""
    found: dict[tuple[str, Receiver], int] = {}
    taken: set[int] = set()
    known = sorted(set(receivers), key=lambda r: (r[0], r[1].address, r[1].port, r[1].is_guest))
    for leaf, receiver in known[:PORTS]:
        seed = f"{leaf} {receiver.address}:{receiver.port}".encode()
        place = int.from_bytes(hashlib.blake2b(seed, digest_size=4).digest(), "big") % PORTS
        while place in taken:
            place = (place + 1) % PORTS
        taken.add(place)
        found[leaf, receiver] = FIRST_PORT + place
    return found


def _returns(routed: RoutedStream, switches: Mapping[str, PortMap]) -> Iterator[_Return]:
    """The receivers that have a way back. Those behind a function have none: it may number packets
    in its own way, and the sender would send what the function never saw."""
    if routed.reports is None or not routed.stream.port:
        return
    tree = routed.tree
    functions = routed.functions.keys() - {tree.root}
    ends = {
        (path.leaf, path.receiver): tree.chain(path.leaf)
        for path in routed.paths
        if path.receiver and _is_reached(path, path.receiver, switches)
    }
    free = {end: chain for end, chain in ends.items() if functions.isdisjoint(chain)}
    for (leaf, receiver), port in ports(list(free)).items():
        yield _Return(chain=free[leaf, receiver], receiver=receiver, port=port)


def _is_reached(path: Path, receiver: Receiver, switches: Mapping[str, PortMap]) -> bool:
    is_process = receiver.side is Side.INSIDE and receiver.port
    return bool(is_process and receiver.exit(switches[path.leaf])[0])


def _upward(
    routed: RoutedStream, switches: Mapping[str, PortMap], one: _Return
) -> Iterator[tuple[str, Rule]]:
    """From the receiver to the root. The rules above the leaf serve all receivers below."""
    target, leaf, receiver = routed.stream.target, one.chain[-1], one.receiver
    signed: list[Action] = [
        SetField(field=Field.IPV4_SRC, value=target),
        SetField(field=Field.UDP_SRC, value=one.port),
    ]
    entry, _ = receiver.exit(switches[leaf])
    match: Match = (
        (Field.IN_PORT, entry),
        *_UDP_PACKET,
        (Field.IPV4_SRC, receiver.address),
        (Field.IPV4_DST, target),
        (Field.UDP_SRC, receiver.port),
    )
    on = _to_parent(routed, switches, one.chain, entry)
    yield leaf, _rule(routed, RETURNS, match, [*signed, *on])
    for at in range(len(one.chain) - 2, -1, -1):
        node, below = one.chain[at], one.chain[at + 1]
        came = switches[node].tunnel_ports[below]
        match = (
            (Field.IN_PORT, came),
            *_UDP_PACKET,
            (Field.IPV4_SRC, target),
            (Field.IPV4_DST, target),
        )
        on = _to_parent(routed, switches, one.chain[: at + 1], came)
        yield node, _rule(routed, RETURNS, match, on)


def _to_parent(
    routed: RoutedStream, switches: Mapping[str, PortMap], chain: Sequence[str], entry: int
) -> list[Action]:
    """From the last of these nodes towards the root, and there to the sender."""
    node = chain[-1]
    if len(chain) > 1:
        return [Output(port=switches[node].tunnel_ports[chain[-2]])]
    return _given(routed.reports, switches[node], entry) if routed.reports else []


def _downward(
    routed: RoutedStream, switches: Mapping[str, PortMap], one: _Return
) -> Iterator[tuple[str, Rule]]:
    """From the sender to the receiver alone, within the stream's slice."""
    stream, root, kind = routed.stream, one.chain[0], routed.stream.slice
    entry = routed.functions.get(root, switches[root].patch_port)
    for node, below in pairwise((*one.chain, "")):
        match: Match = (
            (Field.IN_PORT, entry),
            *_UDP_PACKET,
            (Field.IPV4_DST, stream.target),
            (Field.UDP_DST, one.port),
        )
        marked = [SetField(field=Field.IP_DSCP, value=kind.dscp)] if kind and node == root else []
        if below:
            on: list[Action] = [Output(port=switches[node].tunnel_ports[below])]
        else:
            source = SetField(field=Field.IPV4_SRC, value=stream.target)
            on = [source, *_given(one.receiver, switches[node], entry)]
        meter = kind.number if kind and node == root else 0
        yield node, _rule(routed, RETURNS, match, [*marked, *on], meter)
        if below:
            entry = switches[below].tunnel_ports[node]


def _given(receiver: Receiver, switch: PortMap, entry: int) -> list[Action]:
    """To a process of the node or a guest there, of what came by the port `entry`."""
    port, mac = receiver.exit(switch)
    actions: list[Action] = [
        SetField(field=Field.ETH_DST, value=mac),
        SetField(field=Field.IPV4_DST, value=receiver.address),
    ]
    if receiver.port:
        actions.append(SetField(field=Field.UDP_DST, value=receiver.port))
    return [*actions, Output(port=BACK if port == entry else port)]


def _rule(
    routed: RoutedStream, priority: int, match: Match, actions: Sequence[Action], meter: int = 0
) -> Rule:
    return Rule(
        table=Table.CLASSIFIER,
        priority=priority,
        match=match,
        actions=tuple(actions),
        meter=meter,
        metadata=routed.stream.number,
    )
