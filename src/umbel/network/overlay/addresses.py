"""Streams' own addresses, allotted from their names. Pure.

In: a stream's name and the streams there are. Out: its number, address and UDP port; and which
other addresses nodes' own processes send to.
"""

import hashlib
import ipaddress
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from umbel.network.overlay.streams import MOST_STREAMS, Stream, StreamIntent
from umbel.network.switching.port_map import Side
from umbel.network.topology.sites import LOCAL_PORT

NETWORK = ipaddress.IPv4Network("10.203.0.0/16")
_FIRST_PORT, _PORTS = 16_384, 32_768


def allot(name: str, others: Collection[Stream]) -> Stream:
    """A stream with a number and address (10.203.x.y) of its own, and a port. All come from its
    name, the next free ones where another stream has them: a control plane that starts again
    allots the same again, whatever the order, but for that rare case."""
    seed = hashlib.blake2b(name.encode(), digest_size=8).digest()
    number = int.from_bytes(seed[:4], "big") % MOST_STREAMS
    numbers = {other.number for other in others}
    while number + 1 in numbers:
        number = (number + 1) % MOST_STREAMS
    place = 1 + int.from_bytes(seed[2:6], "big") % 0xFFFE
    targets = {other.target for other in others}
    while (target := f"10.203.{place >> 8}.{place & 0xFF}") in targets:
        place = 1 + place % 0xFFFE
    port = int.from_bytes(seed[6:], "big") % _PORTS
    return Stream(name=name, number=number + 1, target=target, port=_FIRST_PORT + port)


def stream_gateway(gateway: str) -> str:
    """The address by which a node sends streams into the overlay: the last host of its access
    network. `gateway` has its prefix length."""
    return str(ipaddress.IPv4Interface(gateway).network.broadcast_address - 1)


def route_into_overlay(gateway: str, target: str) -> str:
    """What `ip` is to do so that what a node sends to a stream's address goes into the overlay.
    A group's Ethernet address is made from it, so that it needs no gateway."""
    is_group = ipaddress.IPv4Address(target).is_multicast
    via = "" if is_group else f" via {stream_gateway(gateway)}"
    return f"route replace {target}/32{via} dev {LOCAL_PORT}"


def foreign_targets(intents: Iterable[StreamIntent]) -> Mapping[str, frozenset[str]]:
    """By node, the addresses outside `NETWORK` that its processes send streams to: where a stream
    begins inside, and where a process takes it on its way."""
    found: dict[str, set[str]] = defaultdict(set)
    for intent in intents:
        target = intent.stream.target
        if ipaddress.IPv4Address(target) in NETWORK:
            continue
        for node in (*intent.processes, *([intent.root] if intent.sender is Side.INSIDE else [])):
            found[node].add(target)
    return {node: frozenset(targets) for node, targets in found.items()}
